"""Whole groups dealt to splits by their counts."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.balanced.splitting import deal_cost, deal_groups

SHARES = (0.8, 0.1, 0.1)
Counts = npt.NDArray[np.int64]
groups_of = st.lists(st.tuples(*[st.integers(0, 20)] * 3).filter(any), min_size=3, max_size=6).map(np.array)


@settings(max_examples=40)
@given(groups_of, st.randoms(use_true_random=False))
def test_few_groups_are_as_near_to_the_shares_as_any_way(counts, random):  # type: ignore[no-untyped-def]
    order = np.array(random.sample(range(len(counts)), len(counts)))
    dealt = deal_groups(counts, SHARES, order)
    ways = [np.array(way) for way in itertools.product(range(3), repeat=len(counts)) if len(set(way)) == 3]
    present = counts[:, counts.sum(axis=0) > 0]
    expected = np.outer(SHARES, present.sum(axis=0))
    total = np.outer(SHARES, [present.sum()])

    def key(way: npt.NDArray[np.int64]) -> tuple[int, float]:
        held = np.stack([present[way == number].sum(axis=0) for number in range(3)])
        whole = held.sum(axis=1, keepdims=True)
        squared = ((held - expected) ** 2 / expected).sum() + ((whole - total) ** 2 / total).sum()
        return int((held == 0).sum()), round(float(squared), 6)

    assert key(dealt) == min(map(key, ways))


@given(st.integers(10, 200), st.integers(0, 2**32 - 1))
def test_many_small_groups_meet_the_shares(num_groups, seed):  # type: ignore[no-untyped-def]
    random = np.random.Generator(np.random.PCG64(seed))
    counts = random.integers(0, 6, size=(num_groups, 3))
    counts[:, 0] += 1
    dealt = deal_groups(counts, SHARES, np.arange(num_groups))
    assert set(dealt.tolist()) == {0, 1, 2}
    for number, share in enumerate(SHARES):
        assert abs(counts[dealt == number].sum() - share * counts.sum()) <= 8
    assert deal_cost(counts, SHARES, dealt) < deal_cost(counts, SHARES, np.arange(num_groups) % 3)


def test_five_cases_give_each_split_one_group() -> None:
    counts = np.array([[0, 0, size] for size in (70, 56, 70, 65, 72)])
    dealt = deal_groups(counts, SHARES, np.arange(5))
    assert sorted(np.bincount(dealt, minlength=3).tolist()) == [1, 1, 3]


def test_every_split_gets_both_labels_where_it_can() -> None:
    counts = np.array([[30, 0, 0]] * 20 + [[0, 1, 0]] * 3)
    dealt = deal_groups(counts, SHARES, np.arange(23))
    assert all(counts[dealt == number][:, 1].sum() == 1 for number in range(3))
