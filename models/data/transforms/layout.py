"""What a layout has to know of a text: its tokens in order, the part each plays, and where lines may begin.

Tokens are the leaves of the syntax tree; comments, strings, characters and preprocessor lines are one token each.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from tree_sitter import Node, Tree

from models.data.transforms.checked import Source, nodes_of


class Part(Enum):
    """What a token is to the layout."""

    FIXED = auto()
    """A comment or a preprocessor line: stays on its line."""
    NUMBER = auto()
    OPERATOR = auto()
    """Between two values."""
    COMMA = auto()
    KEYWORD = auto()
    """One that a parenthesis follows."""
    OPEN = auto()
    """An opening parenthesis."""
    CLOSE = auto()
    BLOCK = auto()
    """The brace that opens the body of a statement or function."""
    BLOCK_END = auto()
    ELSE = auto()
    OTHER = auto()


class Token(NamedTuple):
    """A piece of text that is never changed.

    Args:
        first: Its first byte.
        last: The byte after it.
        part: What it is.
        depth: Where it begins a line of its own: how deep that is indented; -1: it goes on with one.
        holds_indent: Whether the line's indent is part of it.
    """

    first: int
    last: int
    part: Part
    depth: int = -1
    holds_indent: bool = False


_WHOLE = {
    "comment": Part.FIXED,
    "string_literal": Part.OTHER,
    "char_literal": Part.OTHER,
    "raw_string_literal": Part.OTHER,
    "system_lib_string": Part.OTHER,
    "number_literal": Part.NUMBER,
}
_PARTS = {",": Part.COMMA, "(": Part.OPEN, ")": Part.CLOSE, "else": Part.ELSE} | dict.fromkeys(
    ["if", "for", "while", "switch"], Part.KEYWORD
)
_OPERATIONS = frozenset(
    ["binary_expression", "assignment_expression", "init_declarator", "conditional_expression", "initializer_pair"]
)
_LOOPS = frozenset(["for_statement", "while_statement", "do_statement"])
_HEADS = _LOOPS | {"function_definition", "if_statement", "else_clause", "switch_statement"}
_LISTS = frozenset(["compound_statement", "initializer_list", "enumerator_list", "field_declaration_list"])
_DEEPER = _LISTS | {"case_statement"}
_LINES = _DEEPER | {"translation_unit", "labeled_statement"}


class _Around(NamedTuple):
    """A node that is being walked through.

    Args:
        kind: Its name in the grammar.
        depth: How deep lines inside are indented.
    """

    kind: str
    depth: int


def tokens_of(source: Source) -> list[Token]:
    """The tokens of a text in order; what lies between two is white space, or was not understood."""
    directives = [Token(first, last, Part.FIXED, holds_indent=True) for first, last in source.directives]
    return _without_overlaps(
        sorted(directives + _leaves(source.best_tree), key=lambda token: (token.first, -token.last))
    )


def _without_overlaps(tokens: list[Token]) -> list[Token]:
    """A token that begins inside another one, such as a comment on a preprocessor line, becomes part of it."""
    kept = tokens[:1]
    for token in tokens[1:]:
        if token.first >= kept[-1].last:
            kept.append(token)
        elif token.last > kept[-1].last:
            kept[-1] = kept[-1]._replace(last=token.last, part=Part.FIXED)
    return kept


def _leaves(tree: Tree) -> list[Token]:
    tokens: list[Token] = []
    line_depths: dict[int, int] = {}  # first byte of what begins a line -> its depth
    around: list[_Around] = []
    whole_at = -1  # depth of the token that is being walked through
    for node, at in nodes_of(tree):
        if at > whole_at >= 0:
            continue
        whole_at = -1
        del around[at:]
        kind, parent = node.type, around[-1] if around else _Around("", 0)
        if _begins_line(kind, node.is_named, parent.kind):
            line_depths.setdefault(node.start_byte, parent.depth + _is_bare_body(kind, parent.kind))
        around.append(_Around(kind, parent.depth + (kind in _DEEPER or _is_bare_body(kind, parent.kind))))
        if kind in _WHOLE:
            whole_at = at
        elif node.child_count:
            continue
        if (node.text or b"").strip():
            if kind in {"{", "}"}:
                line_depths.setdefault(node.start_byte, parent.depth - (parent.kind in _DEEPER))
            depth = line_depths.get(node.start_byte, -1)
            tokens.append(Token(node.start_byte, node.end_byte, _part_of(node, kind, around), depth))
    return tokens


def _begins_line(kind: str, is_named: bool, parent: str) -> bool:
    if not is_named or kind == "comment":
        return kind in {"case", "default"} or kind == "comment"
    return parent in _LINES or parent.startswith("preproc_") or _is_bare_body(kind, parent)


def _is_bare_body(kind: str, parent: str) -> bool:
    """Whether it is the one statement, without braces, that an ``if`` or a loop leads to."""
    if parent not in _HEADS or not kind.endswith("_statement") or kind == "compound_statement":
        return False
    return not (parent == "else_clause" and kind == "if_statement")


def _part_of(node: Node, kind: str, around: list[_Around]) -> Part:
    if kind in _WHOLE:
        return _WHOLE[kind]
    parent = around[-2].kind if len(around) > 1 else ""
    if kind in {"{", "}"} and parent == "compound_statement":
        has_head = len(around) > 2 and around[-3].kind in _HEADS
        return (Part.BLOCK if kind == "{" else Part.BLOCK_END) if has_head else Part.OTHER
    if not node.is_named and parent in _OPERATIONS and kind not in _PARTS and kind not in {"{", "}"}:
        return Part.OPERATOR
    return _PARTS.get(kind, Part.OTHER)
