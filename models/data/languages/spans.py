"""Where the functions of a syntax tree begin and end: those that stand in no other function.

The tree is walked from above and no function is entered: a query of tree-sitter visits every node of every body, which
costs 25 to 50 % of parsing; the walk costs a few per cent, as most nodes lie within functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from tree_sitter import Node

from models.data.function_blocks import name_of_head
from models.data.languages.definitions import DEFINITIONS, named_by
from models.settings.languages import LanguageName

_NEVER_ENTERED = frozenset({"comment", "string", "initializer_list"})
_DECLARATIONS = frozenset({"lexical_declaration", "variable_declaration"})
"""Of several variables, each is its own."""
_HEADS = frozenset({"expression_statement", "ERROR"})
"""What the head of a function of C becomes where it is a macro that no rule of the grammar fits."""
_MAX_BLANK_BYTES = 1000
_start = attrgetter("start")


class Span(NamedTuple):
    """A function's place in a file.

    Args:
        name: As it is declared, after the name of its class.
        start: Its first byte.
        end: Behind its last byte.
    """

    name: str
    start: int
    end: int


class _Place(NamedTuple):
    """Nodes to look at: what they are in, their class, and the node that a function among them begins and ends with."""

    nodes: Sequence[Node]
    parent_kind: str
    scope: str
    wrapper: Node | None


def spans_below(root: Node, content: bytes, language: LanguageName) -> list[Span]:
    """Functions of a tree, in the order of the file; where it has errors, also those within them.

    Args:
        root: Of the tree.
        content: What was parsed.
        language: Whose grammar parsed it.
    """
    return spans_among(root.named_children, content, language, "", has_error=root.has_error)


def spans_among(
    nodes: Sequence[Node], content: bytes, language: LanguageName, scope: str, *, has_error: bool
) -> list[Span]:
    """Functions that some siblings are or hold, in the order of the file.

    Args:
        nodes: Named siblings, one behind the other.
        content: What was parsed.
        language: Whose grammar parsed it.
        scope: The class they stand in; empty for none.
        has_error: Whether the tree has an error: functions may then hide where the grammar knows none.
    """
    definitions = DEFINITIONS[language]
    functions, containers, may_hold = definitions.functions, definitions.containers, definitions.may_hold
    found: list[Span] = []
    above = [_Place(nodes, "", scope, None)]
    while above:
        place = above.pop()
        before: Node | None = None
        for node in place.nodes:
            kind = node.type
            if (namer := functions.get(kind)) and (name := namer(node, content)):
                whole = place.wrapper or node
                found.append(Span(joined(place.scope, name, language), whole.start_byte, whole.end_byte))
            elif has_error and kind == "compound_statement" and (name := _name_of_block(before, node, content)):
                assert before is not None
                found.append(Span(joined(place.scope, name, language), before.start_byte, node.end_byte))
            elif (kind in containers or (has_error and _may_hide(node, place.parent_kind))) and may_hold(
                content, node.start_byte, node.end_byte
            ):
                above.append(_below(node, place, content, language))
            before = node
    return sorted(found, key=_start)


def joined(scope: str, name: str, language: LanguageName) -> str:
    """A name after that of its class."""
    return f"{scope}{DEFINITIONS[language].joint}{name}" if scope and name else scope or name


def scope_below(node: Node, scope: str, content: bytes, language: LanguageName) -> str:
    """The class that what is in a node stands in: the node itself where it is one."""
    if node.type not in DEFINITIONS[language].classes:
        return scope
    return joined(scope, named_by(node, "name", content), language)


def _may_hide(node: Node, parent_kind: str) -> bool:
    """Whether functions may stand in a node of another kind, as an error is in it or around it."""
    return node.has_error or (parent_kind == "ERROR" and node.type not in _NEVER_ENTERED)


def _below(node: Node, place: _Place, content: bytes, language: LanguageName) -> _Place:
    kind, wrapper = node.type, None
    if kind in DEFINITIONS[language].wrappers and (kind not in _DECLARATIONS or node.named_child_count == 1):
        wrapper = place.wrapper or node
    return _Place(node.named_children, kind, scope_below(node, place.scope, content, language), wrapper)


def _name_of_block(head: Node | None, body: Node, content: bytes) -> str:
    """Name of a block by what stands before it: a macro as it is called, or a template; empty where it is no head."""
    if head is None or head.type not in _HEADS or content[head.end_byte : body.start_byte].strip():
        return ""
    text = content[head.start_byte : head.end_byte].rstrip()
    if not text.endswith(b")"):
        return ""
    before = content[max(0, head.start_byte - _MAX_BLANK_BYTES) : head.start_byte].rstrip()
    if head.start_point[1] > 0 and before[-1:] not in (b";", b"{", b"}", b""):  # such as ``: member(1) {``
        return ""
    return name_of_head(text)
