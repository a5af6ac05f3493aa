"""What hangs together with held-out rows never trains; copies and contradictions go for the reason that is named."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.collection_merging import HELD_OUT, Drop, MergeRow, Overlap, Place, merge
from models.data.duplicates import Links


def rows_of(*given_rows: tuple[Place, int] | tuple[Place, int, str]) -> list[MergeRow]:
    return [MergeRow(row[0], row[1], row[2] if len(row) > 2 else "") for row in given_rows]


@pytest.mark.parametrize("held_out", HELD_OUT)
@pytest.mark.parametrize("place", ["clean", "collected"])
def test_a_training_row_goes_for_each_way_of_hanging_together(place: Place, held_out: Place) -> None:
    rows = rows_of((held_out, 0, "c"), (place, 0), (place, 0), (place, 0, "c"), (place, 0), (place, 0))
    links = Links(exact=[(0, 1)], near=[(0, 2), (2, 4)], complete=True)

    drops = merge(rows, links).drops

    assert drops == {
        1: Drop(f"exact_copy_of_{held_out}", 0),
        2: Drop(f"near_copy_of_{held_out}", 0),
        3: Drop(f"commit_in_{held_out}", 0),
        4: Drop(f"linked_to_{held_out}", 0),
    }


def test_the_test_split_is_named_before_validation_and_the_nearest_way_before_others() -> None:
    rows = rows_of(("valid", 0, "c"), ("test", 0), ("clean", 0, "c"), ("clean", 0, "c"), ("clean", 0))
    links = Links(exact=[], near=[(1, 2), (0, 4), (1, 4)], complete=True)

    drops = merge(rows, links).drops

    assert drops[2] == Drop("near_copy_of_test", 1)
    assert drops[3] == Drop("commit_in_valid", 0)
    assert drops[4] == Drop("near_copy_of_test", 1)


def test_held_out_rows_stay_whatever_they_are_copies_of() -> None:
    rows = rows_of(("valid", 0, "c"), ("valid", 1, "c"), ("test", 0), ("pairs", 1), ("pairs", 0))
    assert merge(rows, Links([(0, 2), (0, 3)], [(0, 4)], True)).drops == {}


@pytest.mark.parametrize(
    ("rows", "exact", "near", "reason"),
    [
        ((("clean", 1), ("collected", 1)), [(0, 1)], [], "exact_copy_of_clean"),
        ((("clean", 0), ("collected", 1)), [(0, 1)], [], "conflicts_with_clean"),
        ((("clean", 1), ("collected", 1)), [], [(0, 1)], "near_copy_of_clean"),
        ((("clean", 0), ("collected", 1)), [], [(0, 1)], "conflicts_with_clean"),
        ((("collected", 1), ("collected", 1)), [(0, 1)], [], "exact_copy"),
        ((("collected", 1), ("collected", 1)), [], [(0, 1)], "near_copy"),
    ],
)
def test_a_collected_row_goes_where_an_earlier_row_says_so(rows, exact, near, reason) -> None:
    assert merge(rows_of(*rows), Links(exact, near, True)).drops == {1: Drop(reason, 0)}


def test_a_copy_that_agrees_with_one_clean_row_is_no_conflict() -> None:
    rows = rows_of(("clean", 0), ("clean", 1), ("collected", 1))
    assert merge(rows, Links([], [(0, 1), (0, 2), (1, 2)], True)).drops == {2: Drop("near_copy_of_clean", 1)}


def test_exact_copies_with_both_labels_all_go() -> None:
    rows = rows_of(("collected", 0), ("collected", 1), ("collected", 1))
    drops = merge(rows, Links([(0, 1), (0, 2)], [], True)).drops
    assert {at: drop.reason for at, drop in drops.items()} == dict.fromkeys(range(3), "contradictory")


def test_near_copies_with_both_labels_stay_and_are_counted() -> None:
    rows = rows_of(("collected", 0), ("collected", 1), ("collected", 1))
    merged = merge(rows, Links([], [(0, 1)], True))
    assert merged.drops == {}
    assert sorted(merged.near_conflicts) == [0, 1]


def test_a_row_is_compared_with_those_that_stay_not_with_those_that_went() -> None:
    rows = rows_of(("collected", 0), ("collected", 0), ("collected", 0))
    assert merge(rows, Links([], [(0, 1), (1, 2)], True)).drops == {1: Drop("near_copy", 0)}


def test_copies_of_a_leak_go_with_it() -> None:
    rows = rows_of(("test", 0), ("clean", 0), ("collected", 0))
    drops = merge(rows, Links([(1, 2)], [(0, 1)], True)).drops
    assert {at: drop.reason for at, drop in drops.items()} == {1: "near_copy_of_test", 2: "near_copy_of_test"}


def test_clean_rows_that_go_through_collected_ones_only_are_told_apart() -> None:
    rows = rows_of(("clean", 0), ("clean", 0, "c"), ("clean", 0), ("test", 0, "c"), ("collected", 0), ("collected", 1))
    links = Links(exact=[], near=[(0, 4), (3, 4), (2, 5), (1, 4)], complete=True)
    merged = merge(rows, links)
    assert {at: drop.reason for at, drop in merged.drops.items() if at < 3} == {
        0: "linked_to_test",
        1: "commit_in_test",
    }
    assert merged.clean_through_collected == [0]


def test_what_held_out_sets_share_is_counted_and_stays() -> None:
    rows = rows_of(("valid", 0, "c"), ("valid", 1), ("test", 0, "c"), ("test", 1), ("pairs", 1, "d"), ("pairs", 0, "d"))
    merged = merge(rows, Links(exact=[(0, 2), (1, 4)], near=[(1, 3), (0, 5)], complete=True))
    assert merged.drops == {}
    assert merged.held_out_overlaps == {
        "pairs_valid": Overlap(exact_copies=1, near_copies=1, commits=0),
        "pairs_test": Overlap(exact_copies=0, near_copies=2, commits=0),
        "valid_test": Overlap(exact_copies=1, near_copies=1, commits=1),
    }
    assert merge(rows_of(("valid", 0), ("test", 0)), Links([], [], True)).held_out_overlaps == {
        "valid_test": Overlap(0, 0, 0)
    }


PLACES = st.sampled_from(["clean", "collected", "valid", "test", "pairs"])
ROWS = st.lists(st.tuples(PLACES, st.integers(0, 1), st.sampled_from(["", "", "a", "b", "c", "d"])), max_size=14)


@st.composite
def collections(draw: st.DrawFn) -> tuple[list[MergeRow], Links]:
    """Rows, and links in the form the search for copies gives them: between the first rows of texts."""
    rows = rows_of(*draw(ROWS))
    texts = [draw(st.integers(0, at)) for at in range(len(rows))]
    first = [at if text == at or texts[text] != text else text for at, text in enumerate(texts)]
    firsts = sorted(set(first))
    exact = [(text, at) for at, text in enumerate(first) if text != at]
    every_near = [(a, b) for a in firsts for b in firsts if a < b]
    near = draw(st.lists(st.sampled_from(every_near), unique=True, max_size=6)) if every_near else []
    return rows, Links(exact, near, True)


def reached(start: int, neighbours: dict[int, set[int]]) -> set[int]:
    """A plain walk, as a second route to what hangs together."""
    seen, waiting = {start}, [start]
    while waiting:
        for other in neighbours[waiting.pop()] - seen:
            seen.add(other)
            waiting.append(other)
    return seen


@given(collections())
def test_no_training_row_reaches_a_held_out_row(collection: tuple[list[MergeRow], Links]) -> None:
    rows, links = collection
    drops = merge(rows, links).drops
    neighbours: dict[int, set[int]] = defaultdict(set)
    by_commit: dict[str, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        by_commit[row.commit].append(at)
    same_commit = [(a, b) for commit, members in by_commit.items() if commit for a in members for b in members]
    for left, right in (*links.exact, *links.near, *same_commit):
        neighbours[left].add(right)
        neighbours[right].add(left)

    for at, row in enumerate(rows):
        held_out = {other for other in reached(at, neighbours) if rows[other].place in HELD_OUT}
        if row.place in HELD_OUT:
            assert at not in drops
        elif held_out:
            assert drops[at].reason.endswith(tuple(f"_{place}" for place in HELD_OUT))
            assert drops[at].twin in held_out
        elif row.place == "clean":
            assert at not in drops


@given(collections())
def test_what_stays_of_collections_holds_no_copy_and_no_contradiction(
    collection: tuple[list[MergeRow], Links],
) -> None:
    rows, links = collection
    merged = merge(rows, links)
    text = list(range(len(rows)))
    for first, copy in links.exact:
        text[copy] = first
    near = {frozenset(pair) for pair in links.near}
    stays = [at for at, row in enumerate(rows) if at not in merged.drops and row.place in ("clean", "collected")]
    pairs = [(a, b) for a in stays for b in stays if a < b and "collected" in (rows[a].place, rows[b].place)]
    close = [(a, b) for a, b in pairs if text[a] == text[b] or frozenset((text[a], text[b])) in near]

    for a, b in close:
        assert rows[a].place == rows[b].place == "collected"
        assert text[a] != text[b]
        assert rows[a].label != rows[b].label
        assert {a, b} <= set(merged.near_conflicts)
    assert set(merged.near_conflicts) == {at for pair in close for at in pair}
