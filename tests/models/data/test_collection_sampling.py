"""Samples keep the proportions of their strata, their size, and do not depend on the order of the rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.collection_sampling import sampling_key, stratified_sample

STRATA = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1)), min_size=1, max_size=60)


def sampled(strata: list[tuple[str, int]], names: list[str], max_rows: int, seed: int = 1) -> set[str]:
    chosen = stratified_sample(strata, [sampling_key(seed, "source", name) for name in names], max_rows)
    return {name for name, taken in zip(names, chosen, strict=True) if taken}


@given(STRATA, st.integers(1, 70), st.randoms())
def test_a_sample_has_its_size_its_proportions_and_no_order(strata, max_rows, random) -> None:
    names = [str(at) for at in range(len(strata))]
    taken = sampled(strata, names, max_rows)

    assert len(taken) == min(max_rows, len(strata))
    counts = Counter(strata[int(name)] for name in taken)
    for stratum, size in Counter(strata).items():
        assert abs(counts[stratum] - size * len(taken) / len(strata)) < 1
    order = list(range(len(strata)))
    random.shuffle(order)
    assert sampled([strata[at] for at in order], [names[at] for at in order], max_rows) == taken


def test_another_seed_or_source_takes_other_rows() -> None:
    names = [str(at) for at in range(200)]
    strata = [("a", at % 2) for at in range(200)]
    taken = sampled(strata, names, 100)
    assert taken == sampled(strata, names, 100)
    assert taken != sampled(strata, names, 100, seed=2)
    assert sampling_key(1, "a", "b") != sampling_key(1, "b", "b")


@pytest.mark.parametrize("max_rows", [30, 60, 90])
def test_a_larger_sample_holds_a_smaller_one(max_rows: int) -> None:
    strata = [("a", 0)] * 120
    names = [str(at) for at in range(120)]
    assert sampled(strata, names, max_rows) < sampled(strata, names, max_rows + 20)


def test_each_row_is_as_likely_as_another() -> None:
    names = [str(at) for at in range(50)]
    times = Counter(name for seed in range(200) for name in sampled([("a", 0)] * 50, names, 25, seed=seed))
    counts = np.array([times[name] for name in names])
    assert abs(counts.mean() - 100) < 1e-9
    assert counts.std() < 12  # a binomial of 200 draws has 7
