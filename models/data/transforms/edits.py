"""Changes of a text as data: ranges replaced, ranges that change places; those of several transforms are made at once.

Offsets are bytes of the text before any change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

Edit = tuple[int, int, bytes, int]
"""A range that becomes another text: its first byte, the one behind it, the text, and by how many nodes the syntax tree
grows. Where both bytes are one, something is put in. Texts have hundreds: a plain tuple."""


class Swap(NamedTuple):
    """Two ranges that change places; the first one lies before the second one.

    Args:
        first: First byte of the first range.
        first_end: The byte after it.
        second: First byte of the second range.
        second_end: The byte after it.
    """

    first: int
    first_end: int
    second: int
    second_end: int


class Changes(NamedTuple):
    """What a transform wants.

    Args:
        edits: Each changes something, and none overlaps another.
        swaps: None overlaps another, and the two texts differ.
    """

    edits: Sequence[Edit] = ()
    swaps: Sequence[Swap] = ()


class Changed(NamedTuple):
    """A text after changes.

    Args:
        content: The text.
        made_by: Transforms of which something is in it, in the order given.
        num_nodes: So many nodes its syntax tree has more.
    """

    content: bytes
    made_by: tuple[str, ...]
    num_nodes: int


def with_changes(content: bytes, changes: Mapping[str, Changes]) -> Changed:
    """The text with the changes of all transforms; of two edits that overlap the one that begins first is made.

    Args:
        content: The text.
        changes: By transform; of edits at one place the first transform's stands first.
    """
    edits, orders, at = [], set(), 0
    for edit, order in sorted([(edit, order) for order, each in enumerate(changes.values()) for edit in each.edits]):
        if edit[0] >= at:
            edits.append(edit)
            orders.add(order)
            at = edit[1]
    swaps = sorted(swap for each in changes.values() for swap in each.swaps)
    made_by = [name for order, (name, each) in enumerate(changes.items()) if order in orders or each.swaps]
    new_content = b"".join(_pieces(content, edits, swaps))
    return Changed(new_content, tuple(made_by), sum([edit[3] for edit in edits]))


def _pieces(content: bytes, edits: list[Edit], swaps: list[Swap]) -> list[bytes]:
    """The new text; an edit goes where the range goes that it begins in."""
    pieces: list[bytes] = []
    at = next_edit = 0
    for swap in swaps:
        for range_end in swap:
            piece, next_edit = _edited(content, at, range_end, edits, next_edit)
            pieces.append(piece)
            at = range_end
        pieces[-3], pieces[-1] = pieces[-1], pieces[-3]
    piece, _ = _edited(content, at, len(content) + 1, edits, next_edit)
    return [*pieces, piece]


def _edited(content: bytes, at: int, range_end: int, edits: list[Edit], next_edit: int) -> tuple[bytes, int]:
    """The bytes from ``at`` to ``range_end`` with the edits that begin there; and the first edit that does not."""
    pieces = []
    while next_edit < len(edits) and edits[next_edit][0] < range_end:
        first, last, text, _ = edits[next_edit]
        assert last <= range_end, "an edit reaches into a range that moves"
        pieces += [content[at:first], text]
        at, next_edit = last, next_edit + 1
    pieces.append(content[at:range_end])
    return b"".join(pieces), next_edit
