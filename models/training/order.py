"""Which records a step takes and how it is cut: functions of seed, epoch and step alone; resuming needs no state.

``batch_size`` is records per step, exactly. A budget only cuts a step into micro-batches of records alike in length;
the steps themselves stay a plain random sample, which batches grouped by length over the whole epoch are not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.training.seeding import derived_seed

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MICRO_BATCH_TOLL = 128
"""What one more micro-batch costs, in padded tokens: starting all kernels once more."""
LONGEST_CUT = 256
"""Records that are cut together at most; more (scoring a split) are cut in runs of so many."""


def epoch_order(num_records: int, *, seed: int, epoch: int, draw_weights: Floats | None = None) -> Indices:
    """A permutation of all records; with ``draw_weights`` as many draws, with replacement and in proportion to them.

    Args:
        num_records: Records there are, and steps of an epoch are cut from.
        seed: Base seed.
        epoch: Counted from 0.
        draw_weights: ``(num_records,)`` of at least 0, not all 0; a record of weight 0 is never drawn.
    """
    generator = np.random.Generator(np.random.PCG64(derived_seed(seed, "order", epoch)))
    if draw_weights is None:
        return generator.permutation(num_records).astype(np.int64)
    shares = draw_weights / draw_weights.max()  # huge weights must not add up to infinity
    return generator.choice(num_records, size=num_records, p=shares / shares.sum()).astype(np.int64)


def first_rows(num_records: int, limit: int | None) -> Indices:
    """The numbers of all records, or of the first ``limit``."""
    return np.arange(num_records if limit is None else min(limit, num_records), dtype=np.int64)


def num_steps_in_epoch(num_records: int, batch_size: int) -> int:
    """Steps that take each record once; the last one takes what is left."""
    return -(-num_records // batch_size)


def step_records(order: Indices, *, step_in_epoch: int, batch_size: int) -> Indices:
    """The records of one optimiser step."""
    return order[step_in_epoch * batch_size : (step_in_epoch + 1) * batch_size]


def rank_share(records: Indices, *, rank: int, num_ranks: int) -> Indices:
    """Every ``num_ranks``-th record, from ``rank`` on: the shares of all ranks are the step's records."""
    return records[rank::num_ranks]


def cut_by_sum(records: Indices, sizes: Indices, budget: int) -> list[Indices]:
    """Cut into micro-batches whose sizes sum to at most ``budget``; a record above it stands alone.

    Records are sorted by size first (ties by number), so that a micro-batch holds records alike.
    """
    if len(records) == 0:
        return []
    by_size = _sorted_by(sizes, records)
    cuts, total = [], 0
    for position, size in enumerate(sizes[by_size]):
        if total and total + size > budget:
            cuts.append(position)
            total = 0
        total += int(size)
    return np.split(by_size, cuts)


def cut_by_area(records: Indices, lengths: Indices, rows: Indices, budget: int) -> list[Indices]:
    """Cut into micro-batches of the least padded area, each at most ``budget``; a record above it stands alone.

    The area of a micro-batch is its rows times its longest length. Of all ways to cut the records as sorted by length,
    the one with the smallest total area is taken, each micro-batch costing ``MICRO_BATCH_TOLL`` beside its area.

    Args:
        records: Numbers of the records.
        lengths: Longest row of every record there is [tokens].
        rows: Rows of every record there is (windows of a long one).
        budget: Largest area [tokens].
    """
    by_length = _sorted_by(lengths, records)
    runs = np.split(by_length, range(LONGEST_CUT, len(by_length), LONGEST_CUT)) if len(by_length) else []
    return [part for run in runs for part in _least_area(run, lengths[run], rows[run], budget)]


def _least_area(records: Indices, lengths: Indices, rows: Indices, budget: int) -> list[Indices]:
    """The best cut of records sorted by length, by dynamic programming over where the last micro-batch begins."""
    count = len(records)
    rows_before = np.concatenate(([0], np.cumsum(rows)))
    best = np.zeros(count + 1, dtype=np.int64)
    begin_of = np.zeros(count + 1, dtype=np.int64)
    for end in range(1, count + 1):
        areas = (rows_before[end] - rows_before[:end]) * lengths[end - 1]
        first = min(int(np.searchsorted(-areas, -budget)), end - 1)  # areas fall; at least the last record is taken
        costs = best[first:end] + areas[first:] + MICRO_BATCH_TOLL
        begin_of[end] = first + int(np.argmin(costs))
        best[end] = costs.min()
    cuts, end = [], count
    while end:
        end = int(begin_of[end])
        cuts.append(end)
    return np.split(records, cuts[-2::-1])


def _sorted_by(sizes: Indices, records: Indices) -> Indices:
    return records[np.lexsort((records, sizes[records]))]
