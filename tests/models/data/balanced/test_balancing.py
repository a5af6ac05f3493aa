"""How many functions of each label a split keeps."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.balanced.balancing import LabelCounts, check_ratio, chosen_rows, kept_counts, variants_over
from models.errors import DataInvalid

ratios = st.integers(1, 99).map(lambda number: number / 100)
counts_of = st.builds(LabelCounts, st.integers(0, 60), st.integers(0, 60))


@given(counts_of, ratios)
def test_the_share_is_as_near_as_leaving_out_of_one_label_allows(counts, ratio):  # type: ignore[no-untyped-def]
    kept = kept_counts(counts, ratio)
    if kept is None:
        return
    ways = [LabelCounts(n, counts.safe) for n in range(1, counts.vulnerable + 1)]
    ways += [LabelCounts(counts.vulnerable, n) for n in range(1, counts.safe + 1)]
    exact = Fraction(str(ratio))
    distances = {way: abs(Fraction(way.vulnerable, sum(way)) - exact) for way in ways}
    assert distances[kept] == min(distances.values())
    assert kept.vulnerable == counts.vulnerable or kept.safe == counts.safe


@given(st.lists(st.builds(LabelCounts, st.integers(1, 40), st.integers(1, 40)), min_size=3, max_size=3), ratios)
def test_what_the_message_says_can_be_met_is_what_can(splits, ratio):  # type: ignore[no-untyped-def]
    named = dict(zip(("train", "val", "test"), splits, strict=True))
    try:
        check_ratio("data", named, 0.999)
    except DataInvalid as error:
        found = re.search(r"ratios from ([\d.]+) to ([\d.]+)", str(error))
        assert found
        low, high = float(found[1]), float(found[2])
        can = all(kept_counts(counts, ratio) is not None for counts in splits)
        if not (abs(ratio - low) < 1e-3 or abs(ratio - high) < 1e-3):  # three figures are shown
            assert can == (low <= ratio <= high)


def test_a_ratio_that_cannot_be_met_says_what_each_split_has() -> None:
    splits = {"train": LabelCounts(80, 80), "val": LabelCounts(2, 9), "test": LabelCounts(3, 9)}
    with pytest.raises(DataInvalid, match=r"0\.9 cannot be met: .*val has 2 vulnerable, 9 safe.*from 0\.0526 to 0\.8 "):
        check_ratio("data", splits, 0.9)


def test_one_label_only_says_that_no_ratio_can_be_met() -> None:
    splits = {"train": LabelCounts(8, 0), "val": LabelCounts(1, 0), "test": LabelCounts(1, 0)}
    with pytest.raises(DataInvalid, match=r"as train, val, test lacks a label \(vulnerable ones only\)"):
        check_ratio("data", splits, 0.5)


def test_rows_are_chosen_by_id_and_seed_alone() -> None:
    ids = [f"id{number}" for number in range(50)]
    chosen = chosen_rows(range(50), ids, 20, seed=1)
    assert chosen == sorted(chosen)
    assert len(set(chosen)) == 20
    assert set(chosen) == set(chosen_rows(list(reversed(range(50))), ids, 20, seed=1))
    assert chosen != chosen_rows(range(50), ids, 20, seed=2)


@given(counts_of, ratios, st.data())
def test_with_variants_the_share_is_as_near_as_whole_rows_allow(counts, ratio, data):  # type: ignore[no-untyped-def]
    kept = kept_counts(counts, ratio)
    if kept is None:
        return
    vulnerable, safe = list(range(kept.vulnerable)), list(range(100, 100 + kept.safe))
    made = data.draw(st.fixed_dictionaries({row: st.integers(0, 3) for row in (*vulnerable, *safe)}))
    variants = {row: tuple(f"{row}#{number}" for number in range(count)) for row, count in made.items()}
    over = variants_over(variants, vulnerable, safe, ratio, seed=1)
    assert over == variants_over(variants, vulnerable, safe, ratio, seed=1)

    def distance(sides: LabelCounts) -> Fraction:
        return abs(Fraction(sides.vulnerable, sum(sides)) - Fraction(str(ratio)))

    most = LabelCounts(*(sum(1 + made[row] for row in rows) for rows in (vulnerable, safe)))
    gone = LabelCounts(*(sum(name in over for row in rows for name in variants[row]) for rows in (vulnerable, safe)))
    left = LabelCounts(most.vulnerable - gone.vulnerable, most.safe - gone.safe)
    ways = [LabelCounts(n, most.safe) for n in range(kept.vulnerable, most.vulnerable + 1)]
    ways += [LabelCounts(most.vulnerable, n) for n in range(kept.safe, most.safe + 1)]
    assert distance(left) == min(map(distance, ways))
    numbers = {row: sorted(int(name.split("#")[1]) for name in over if name in variants[row]) for row in variants}
    assert all(gone == list(range(made[row] - len(gone), made[row])) for row, gone in numbers.items())  # the last ones
