"""Edits and swaps made at once; the second route makes them one by one, from the end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.data.transforms.edits import Changes, Edit, Swap, with_changes

CONTENT = bytes(range(65, 91))


@st.composite
def edits_apart(draw: st.DrawFn) -> list[Edit]:
    borders = sorted(draw(st.sets(st.integers(0, len(CONTENT)), max_size=12)))
    pairs = list(zip(borders[::2], borders[1::2], strict=False))
    return [(first, last, draw(st.binary(max_size=3)), draw(st.integers(-1, 1))) for first, last in pairs]


@given(edits_apart())
def test_edits_apart_are_all_made(edits: list[Edit]) -> None:
    expected = CONTENT
    for first, last, text, _ in reversed(edits):
        expected = expected[:first] + text + expected[last:]

    changed = with_changes(CONTENT, {"a": Changes(edits[::2]), "b": Changes(edits[1::2])})

    assert changed.content == expected
    assert changed.num_nodes == sum(edit[3] for edit in edits)
    assert changed.made_by == tuple(name for name, some in (("a", edits[::2]), ("b", edits[1::2])) if some)


def test_of_two_that_overlap_the_first_is_made_and_the_others_transform_is_not_named() -> None:
    changed = with_changes(b"abcdef", {"late": Changes([(2, 4, b"X", 1)]), "early": Changes([(1, 3, b"Y", 0)])})

    assert changed == (b"aYdef", ("early",), 0)


def test_edits_go_with_the_ranges_that_change_places() -> None:
    changes = {"swap": Changes(swaps=[Swap(1, 3, 4, 5)]), "edit": Changes([(1, 2, b"xy", 0), (3, 3, b"-", 0)])}

    assert with_changes(b"abcdef", changes).content == b"ae-dxycf"
    assert with_changes(b"abcdef", {}).content == b"abcdef"
