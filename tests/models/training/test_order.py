from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.order import (
    LONGEST_CUT,
    MICRO_BATCH_TOLL,
    Indices,
    cut_by_area,
    cut_by_sum,
    epoch_order,
    num_steps_in_epoch,
    rank_share,
    step_records,
)
from models.training.seeding import derived_seed

counts = st.integers(1, 60)


@given(num_records=counts, seed=st.integers(0, 2**40), epoch=st.integers(0, 1000))
def test_an_epoch_is_a_permutation_and_depends_on_nothing_else(num_records: int, seed: int, epoch: int):
    order = epoch_order(num_records, seed=seed, epoch=epoch)
    assert sorted(order) == list(range(num_records))
    np.random.seed(3)  # the global generator plays no part
    np.testing.assert_array_equal(order, epoch_order(num_records, seed=seed, epoch=epoch))


def test_seeds_and_epochs_have_orders_of_their_own():
    orders = {tuple(epoch_order(50, seed=seed, epoch=epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


@given(num_records=counts, batch_size=counts, num_ranks=st.integers(1, 5), epoch=st.integers(0, 3))
def test_the_shares_of_all_ranks_in_all_steps_are_the_epoch(
    num_records: int, batch_size: int, num_ranks: int, epoch: int
):
    order = epoch_order(num_records, seed=1, epoch=epoch)
    steps = [
        step_records(order, step_in_epoch=step, batch_size=batch_size)
        for step in range(num_steps_in_epoch(num_records, batch_size))
    ]
    assert [len(step) for step in steps[:-1]] == [batch_size] * (len(steps) - 1)
    np.testing.assert_array_equal(np.concatenate(steps), order)
    for step in steps:
        shares = [rank_share(step, rank=rank, num_ranks=num_ranks) for rank in range(num_ranks)]
        assert sorted(np.concatenate(shares)) == sorted(step)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@st.composite
def steps_with_sizes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.array(draw(st.lists(st.integers(0, 50), min_size=1, max_size=40)), dtype=np.int64)
    records = draw(st.lists(st.integers(0, len(sizes) - 1), unique=True))
    return np.array(records, dtype=np.int64), sizes


@given(step=steps_with_sizes(), budget=st.integers(1, 120))
def test_micro_batches_take_each_record_once_within_the_budget(step: tuple[np.ndarray, np.ndarray], budget: int):
    records, sizes = step
    parts = cut_by_sum(records, sizes, budget)
    assert sorted(record for part in parts for record in part) == sorted(records)
    for part in parts:
        assert len(part) > 0
        above = [record for record in part if sizes[record] > budget]
        assert sizes[part].sum() <= budget or (above and sizes[part].sum() == sizes[above[0]] and len(above) == 1)


@given(step=steps_with_sizes(), budget=st.integers(1, 120), shuffle=st.randoms(use_true_random=False))
def test_micro_batches_do_not_depend_on_the_order_of_the_records(
    step: tuple[np.ndarray, np.ndarray], budget: int, shuffle: object
):
    records, sizes = step
    shuffled = records.tolist()
    shuffle.shuffle(shuffled)  # type: ignore[attr-defined]
    again = cut_by_sum(np.array(shuffled, dtype=np.int64), sizes, budget)
    assert [part.tolist() for part in cut_by_sum(records, sizes, budget)] == [part.tolist() for part in again]


def test_a_record_above_the_budget_stands_alone():
    parts = cut_by_sum(np.arange(4), np.array([500, 3, 3, 700]), budget=10)
    assert [part.tolist() for part in parts] == [[1, 2], [0], [3]]


@st.composite
def steps_with_windows(draw: st.DrawFn) -> tuple[Indices, Indices, Indices]:
    count = draw(st.integers(1, 9))
    lengths = draw(st.lists(st.integers(1, 300), min_size=count, max_size=count))
    rows = draw(st.lists(st.integers(1, 3), min_size=count, max_size=count))
    records = draw(st.lists(st.integers(0, count - 1), unique=True))
    return tuple(np.array(values, dtype=np.int64) for values in (records, lengths, rows))  # type: ignore[return-value]


def area(part: Indices, lengths: Indices, rows: Indices) -> int:
    return int(rows[part].sum() * lengths[part].max())


def every_cut(records: Indices) -> Iterator[list[Indices]]:
    """All ways to cut a row of records."""
    for chosen in itertools.product([False, True], repeat=max(len(records) - 1, 0)):
        yield np.split(records, [place + 1 for place, cut in enumerate(chosen) if cut])


@given(step=steps_with_windows(), budget=st.integers(1, 2000))
def test_a_cut_by_area_is_the_cheapest_of_all_cuts_of_the_sorted_records(
    step: tuple[Indices, Indices, Indices], budget: int
):
    records, lengths, rows = step
    parts = cut_by_area(records, lengths, rows, budget)
    assert sorted(record for part in parts for record in part) == sorted(records)
    if not len(records):
        return
    in_order = np.concatenate(parts)
    assert lengths[in_order].tolist() == sorted(lengths[records].tolist())

    def cost(cut: list[Indices]) -> float:
        areas = [area(part, lengths, rows) for part in cut]
        fits = all(size <= budget or len(part) == 1 for part, size in zip(cut, areas, strict=True))
        return sum(areas) + MICRO_BATCH_TOLL * len(cut) if fits else float("inf")

    assert cost(parts) == min(map(cost, every_cut(in_order)))


def test_a_whole_split_is_cut_in_runs_that_take_each_record_once():
    rng = np.random.default_rng(0)
    lengths, rows = rng.integers(1, 512, 1000), np.ones(1000, dtype=np.int64)
    records = np.arange(0, 1000, dtype=np.int64)
    parts = cut_by_area(records, lengths, rows, 4096)
    assert sorted(np.concatenate(parts)) == records.tolist()
    assert max(len(part) for part in parts) <= LONGEST_CUT
    padded = sum(area(part, lengths, rows) for part in parts)
    assert padded / lengths.sum() < 1.03


def test_a_cut_by_area_does_not_depend_on_the_order_of_the_records():
    rng = np.random.default_rng(1)
    lengths, rows = rng.integers(1, 9, 40), rng.integers(1, 3, 40)
    one = cut_by_area(np.arange(40), lengths, rows, 60)
    other = cut_by_area(rng.permutation(40), lengths, rows, 60)
    assert [part.tolist() for part in one] == [part.tolist() for part in other]


@pytest.mark.parametrize("purpose", [("order", 1), ("order", 2), ("dropout", 1), ("order",), ("order1",)])
def test_each_purpose_has_a_seed_of_its_own(purpose: tuple[str | int, ...]):
    all_purposes = [("order", 1), ("order", 2), ("dropout", 1), ("order",), ("order1",)]
    seeds = {derived_seed(7, *other) for other in all_purposes if other != purpose}
    assert derived_seed(7, *purpose) not in seeds
    assert derived_seed(7, *purpose) != derived_seed(8, *purpose)
    assert 0 <= derived_seed(7, *purpose) < 2**63


draw_weights = st.lists(st.sampled_from([0.0, 0.2, 1.0, 3.5, 1e-300, 1e300]), min_size=1, max_size=40).filter(any)


@given(weights=draw_weights, seed=st.integers(0, 2**40), epoch=st.integers(0, 1000))
def test_a_drawn_epoch_is_as_long_never_takes_weight_zero_and_depends_on_nothing_else(
    weights: list[float], seed: int, epoch: int
):
    by = np.array(weights)
    order = epoch_order(len(by), seed=seed, epoch=epoch, draw_weights=by)
    assert (order.dtype, len(order)) == (np.int64, len(by))
    assert (by[order] > 0).all()
    np.random.seed(3)  # the global generator plays no part
    np.testing.assert_array_equal(order, epoch_order(len(by), seed=seed, epoch=epoch, draw_weights=by))
    np.testing.assert_array_equal(order, epoch_order(len(by), seed=seed, epoch=epoch, draw_weights=by * 0.5))


def test_records_are_drawn_in_proportion_to_their_weights():
    weights = np.tile([0.0, 0.5, 1.0, 2.5], 25)
    epochs = [epoch_order(100, seed=5, epoch=epoch, draw_weights=weights) for epoch in range(200)]
    assert len({tuple(epoch) for epoch in epochs}) == 200
    counts = np.bincount(np.concatenate(epochs), minlength=100).reshape(25, 4)
    expected = 200 * np.array([0.0, 0.5, 1.0, 2.5])
    np.testing.assert_allclose(counts.mean(axis=0), expected, rtol=0.05)
    # Draws are independent: counts spread as Poisson's do, not as those of records that come once an epoch.
    assert 0.5 < (counts[:, 1:].std(axis=0) / np.sqrt(expected[1:])).mean() < 1.5
