"""``reorder_functions``: neighbouring functions change places, where neither needs the other one first.

Only blanks and lines may lie between them; comments right above a function go with it. In C and C++ neither may name
the other, hold a preprocessor line (it holds for what follows), or declare a type before its body. In Python they are
functions of the module without decorators, defaults and annotations, and in Go no ``init``, as these have an order. Of
two functions with one name none moves.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from tree_sitter import Node, QueryCursor, Tree

from models.data.languages.syntax import WITH_DIRECTIVES, unit_query_of
from models.data.transforms.edits import Changes, Swap
from models.data.transforms.places import Places

NAME = "reorder_functions"
PROBABILITY = 0.5
"""Of each pair of neighbours to change places."""
_EVALUATED = frozenset(["default_parameter", "typed_parameter", "typed_default_parameter"])


class Unit(NamedTuple):
    """A function among others.

    Args:
        first: Its first byte, or that of the comments right above.
        last: The byte after it.
        name: What it is called.
        moves: Whether it may change places with another one.
    """

    first: int
    last: int
    name: bytes
    moves: bool


def reordered_functions(places: Places, tree: Tree, seed: int) -> Changes:
    """Exchange neighbouring functions; see the module.

    Args:
        places: What stands where in the text.
        tree: Its tree.
        seed: Of the choices.
    """
    choices = places.choices(NAME, seed)
    units = _units(places, tree)
    names = [unit.name for unit in units]
    swaps, at = [], 0
    for a, b in pairwise(units):
        if a.first < at or not (a.moves and b.moves) or names.count(a.name) > 1 or names.count(b.name) > 1:
            continue
        if _may_change_places(places, a, b) and choices.chance(PROBABILITY):
            swaps.append(Swap(a.first, a.last, b.first, b.last))
            at = b.last
    return Changes(swaps=swaps)


def _units(places: Places, tree: Tree) -> list[Unit]:
    comments = {last: first for first, last in places.comments}
    units = {}
    for _, match in QueryCursor(unit_query_of(places.language)).matches(tree.root_node):
        node, name = match["unit"][0], match["name"][0]
        text = places.content[name.start_byte : name.end_byte]
        first = _with_comments(places.content, node.start_byte, comments)
        units[first] = Unit(first, node.end_byte, text, _moves(places, node, text))
    return [units[first] for first in sorted(units)]


def _with_comments(content: bytes, first: int, comments: dict[int, int]) -> int:
    """The first byte of the comments that end on the lines right above; ``first``: there are none."""
    while True:
        line_first = content.rfind(b"\n", 0, first) + 1
        above_last = line_first - 2 if content[line_first - 2 : line_first] == b"\r\n" else line_first - 1
        begins = comments.get(above_last)
        if begins is None or content[line_first:first].strip(b" \t"):
            return first
        if content[content.rfind(b"\n", 0, begins) + 1 : begins].strip(b" \t"):
            return first
        first = begins


def _moves(places: Places, node: Node, name: bytes) -> bool:
    if places.language == "go":
        return name != b"init"
    if places.language in WITH_DIRECTIVES:
        body = node.child_by_field_name("body")
        return body is not None and b"{" not in places.masked[node.start_byte : body.start_byte]
    if places.language != "python":
        return True
    parameters = node.child_by_field_name("parameters")
    if parameters is None or node.child_by_field_name("return_type") is not None:
        return False
    return not any(child.type in _EVALUATED for child in parameters.named_children)


def _may_change_places(places: Places, a: Unit, b: Unit) -> bool:
    content = places.content
    if content[a.last : b.first].strip(b" \t\r\n") or b"\n" not in content[a.last : b.first]:
        return False
    if places.language not in WITH_DIRECTIVES:
        return True
    if any(first < b.last and last > a.first for first, last in places.source.directives):
        return False
    return not (_names(content, a, b.name) or _names(content, b, a.name))


def _names(content: bytes, unit: Unit, name: bytes) -> bool:
    return re.search(rb"\b" + re.escape(name) + rb"\b", content[unit.first : unit.last]) is not None
