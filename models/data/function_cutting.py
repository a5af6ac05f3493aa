"""Functions cut out of C source files by the syntax tree.

C++ is read with the grammar of C, as well as it goes. A function with an error inside is cut by its node all the same,
and so is one whose head is a macro, such as ``PHP_FUNCTION(name) {``. Where braces alone find more functions than the
tree of a file with errors, they are taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import tree_sitter_c
from tree_sitter import Language, Node, Parser

from models.data.function_blocks import NO_NAMES, Block, find_blocks, name_of_head
from models.data.syntax_trees import without_directives

_NAME = re.compile(rb"[A-Za-z_~][\w:~]*\s*$")
_NOT_ENTERED = frozenset({"initializer_list", "comment"})
_HEADS = frozenset({"expression_statement", "ERROR"})
"""What the head of a function becomes where it is a macro or a template."""

_MAX_BLANK_BYTES = 1000


class CutFunction(NamedTuple):
    """A function as it stands in its file.

    Args:
        name: As it is declared, such as ``main`` or ``Reader::next``; of a macro with what it is called with.
        content: Its bytes, from its type to its last brace.
        line: Line of its start, counted from 1.
    """

    name: str
    content: bytes
    line: int


class FunctionCutter:
    """Cuts functions; one per process, and never two threads at once: two parsers at once crash CPython 3.11."""

    def __init__(self) -> None:
        self._parser = Parser(Language(tree_sitter_c.language()))

    def cut(self, content: bytes) -> list[CutFunction]:
        """Functions with a body, in the order of the file.

        Where the file has a syntax error, it is parsed again with preprocessor directives blanked (a brace opened in
        two branches of ``#if`` hides all that follows), and read by its braces; what finds most functions is taken.

        Args:
            content: A source file; any bytes.
        """
        root = self._parser.parse(content).root_node
        found = list(_functions_of(root, content))
        if not root.has_error:
            return found
        tries = [found]
        if b"#" in content:
            tries.append(list(_functions_of(self._parser.parse(without_directives(content)).root_node, content)))
        tries.append([_cut(block, content) for block in find_blocks(content)])
        return max(reversed(tries), key=len)  # of those that find as many, braces: errors end nodes early


def _cut(block: Block, content: bytes) -> CutFunction:
    return CutFunction(block.name, content[block.start : block.end], content.count(b"\n", 0, block.start) + 1)


def _functions_of(root: Node, content: bytes) -> Iterator[CutFunction]:
    """Functions below a node; not those within a function."""
    above = [root]
    while above:
        node = above.pop()
        start, name = node, ""
        if node.type == "function_definition":
            name = _name_of_definition(node, content)
        elif node.type == "compound_statement" and node.prev_sibling is not None:
            start = node.prev_sibling
            name = _name_of_head(start, node, content)
        if name:
            yield CutFunction(name, content[start.start_byte : node.end_byte], start.start_point[0] + 1)
        elif node.type not in _NOT_ENTERED:
            above.extend(reversed(node.named_children))


def _name_of_definition(node: Node, content: bytes) -> str:
    """Name of a definition with a body; empty where it is none, such as an ``else if`` behind an error."""
    body, inner = node.child_by_field_name("body"), node.child_by_field_name("declarator")
    if body is None or body.type != "compound_statement" or inner is None:
        return ""
    macro = inner if inner.type == "parenthesized_declarator" else None
    function = None
    while inner is not None:
        function = inner if inner.type == "function_declarator" else function
        inner = inner.child_by_field_name("declarator") or (
            inner.named_children[0] if inner.type == "parenthesized_declarator" and inner.named_children else None
        )
    parameters = function.child_by_field_name("parameters") if function is not None else None
    if parameters is None:
        return _text_of(content[node.start_byte : macro.end_byte]) if macro is not None else ""
    match = _NAME.search(content[node.start_byte : parameters.start_byte])
    name = _text_of(match.group()) if match else ""
    return "" if name in NO_NAMES else name


def _name_of_head(head: Node, body: Node, content: bytes) -> str:
    """Name of a block by what stands before it: a macro as it is called, or a template; empty where it is no head."""
    text = content[head.start_byte : head.end_byte].rstrip()
    if head.type not in _HEADS or not text.endswith(b")") or content[head.end_byte : body.start_byte].strip():
        return ""
    before = content[max(0, head.start_byte - _MAX_BLANK_BYTES) : head.start_byte].rstrip()
    if head.start_point[1] > 0 and before[-1:] not in (b";", b"{", b"}", b""):  # such as ``: member(1) {``
        return ""
    return name_of_head(text)


def _text_of(content: bytes) -> str:
    return " ".join(content.decode(errors="replace").split())
