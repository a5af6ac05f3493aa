"""Functions of C and C++ files that their grammar cannot parse: each broken stretch is read in up to three ways.

Macros and conditional compilation break most files of real projects, so only what is around an error is read again.
A broken function whose braces balance ends where it should and is taken as it is, and a broken namespace or class is
looked into. Any other stretch goes from a broken node to where its braces balance, or to a sound function. It is read
as its nodes are and by its braces alone; where the two find different numbers, it is also parsed again with
preprocessor directives blanked: a brace opened in two branches of ``#if`` hides all that follows. What finds most
functions is taken, of those that find as many the braces: errors end nodes early.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tree_sitter import Node

from models.data.function_blocks import find_blocks
from models.data.languages.definitions import DEFINITIONS
from models.data.languages.grammars import parser_of
from models.data.languages.spans import Span, joined, scope_below, spans_among, spans_below
from models.data.syntax_trees import without_directives
from models.settings.languages import LanguageName

_CLASS_MACROS = {
    word: re.compile(word + rb"(\s+)([A-Z][A-Z0-9_]+)(?=\s+\w+\s*(?:final\s*)?(?:\{|:[^:]))")
    for word in (b"class", b"struct")
}
"""A macro between the word and the name of a class; patterns that begin with a word are found fastest."""

MENDED: frozenset[LanguageName] = frozenset({"c", "cpp"})
"""Languages with a preprocessor."""

_NEVER_INSIDE = frozenset({"namespace_definition", "linkage_specification", "template_declaration"})
"""What cannot stand in a function, so that no broken one goes on behind it."""


class _Stretch(NamedTuple):
    """Named siblings, one behind the other."""

    nodes: list[Node]
    is_broken: bool


def without_class_macros(content: bytes) -> bytes:
    """The same text with blanks for macros such as in ``class EXPORTED Reader {``; every other byte stays where it is.

    The grammar of C++ takes such a class for a function, and often all that follows for its body.
    """
    for word, pattern in _CLASS_MACROS.items():
        if word in content:
            content = pattern.sub(lambda match: match[0].replace(match[2], b" " * len(match[2])), content)
    return content


def mended_spans(root: Node, content: bytes, language: LanguageName) -> list[Span]:
    """Functions of a tree with errors, in the order of the file.

    Args:
        root: Of the tree.
        content: What was parsed; any bytes.
        language: One of ``MENDED``.
    """
    found: list[Span] = []
    above = [(root.named_children, "")]
    while above:
        nodes, scope = above.pop()
        for stretch in _stretches(nodes, content, language):
            only = stretch.nodes[0]
            if not stretch.is_broken:
                found += spans_among(stretch.nodes, content, language, scope, has_error=False)
            elif len(stretch.nodes) == 1 and _is_place(only, language):
                above.append((only.named_children, scope_below(only, scope, content, language)))
            else:
                found += _best(stretch.nodes, content, language, scope)
    return sorted(found, key=lambda span: span.start)


def _is_place(node: Node, language: LanguageName) -> bool:
    """Whether a broken node is a place of functions, whose own stretches can be told apart."""
    definitions = DEFINITIONS[language]
    kind = node.type
    return kind in definitions.containers and kind not in definitions.functions and not _is_statement(node)


def _stretches(nodes: Sequence[Node], content: bytes, language: LanguageName) -> Iterator[_Stretch]:
    broken: list[Node] = []
    sound: list[Node] = []
    depth = 0
    for node in nodes:
        is_broken = node.has_error or _is_statement(node)
        begins_anew = depth <= 0 and _is_whole(node, content, language) if is_broken else _ends(broken, node, depth)
        if broken and begins_anew:
            yield _Stretch(broken, True)
            broken, depth = [], 0
        if not is_broken and not broken:
            sound.append(node)
            continue
        if sound:
            yield _Stretch(sound, False)
            sound = []
        broken.append(node)
        depth += _num_open(node, content)
    for stretch in (_Stretch(broken, True), _Stretch(sound, False)):
        if stretch.nodes:
            yield stretch


def _num_open(node: Node, content: bytes) -> int:
    """Braces that are opened in a node's text and not closed."""
    start, end = node.start_byte, node.end_byte
    return content.count(b"{", start, end) - content.count(b"}", start, end)


def _is_statement(node: Node) -> bool:
    """Whether a node has fallen out of a function."""
    return node.type.endswith("_statement") and node.type != "expression_statement"


def _is_whole(node: Node, content: bytes, language: LanguageName) -> bool:
    """Whether a broken node is a function or a place of some, and all of it."""
    is_function = node.type in DEFINITIONS[language].functions
    return (is_function or _is_place(node, language)) and _num_open(node, content) == 0


def _ends(broken: Sequence[Node], node: Node, depth: int) -> bool:
    """Whether a broken stretch ends before a sound node: a function further in may belong to what is broken."""
    if depth <= 0 or node.type in _NEVER_INSIDE:
        return True
    return node.type == "function_definition" and node.start_point[1] <= broken[0].start_point[1]


def _best(nodes: Sequence[Node], content: bytes, language: LanguageName, scope: str) -> list[Span]:
    """Functions of a broken stretch, by the way that finds most."""
    start, end = nodes[0].start_byte, nodes[-1].end_byte
    if content.find(b"{", start, end) < 0:
        return []
    own = spans_among(nodes, content, language, scope, has_error=True)
    if len(nodes) == len(own) == 1 and _is_whole(nodes[0], content, language):
        return own
    text = content[start:end]
    blocks = [_moved(Span(*block), start, scope, language) for block in find_blocks(text)]
    if len(blocks) == len(own):
        return blocks
    blanked = without_directives(text)
    again = spans_below(parser_of(language).parse(blanked).root_node, blanked, language) if blanked != text else []
    return max(blocks, [_moved(span, start, scope, language) for span in again], own, key=len)


def _moved(span: Span, start: int, scope: str, language: LanguageName) -> Span:
    return Span(joined(scope, span.name, language), start + span.start, start + span.end)
