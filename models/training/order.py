"""Which records a step takes: a pure function of seed, epoch and step, so that resuming needs no state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.training.seeding import derived_seed

Indices = npt.NDArray[np.int64]


def epoch_order(num_records: int, *, seed: int, epoch: int) -> Indices:
    """A permutation of all records."""
    generator = np.random.Generator(np.random.PCG64(derived_seed(seed, "order", epoch)))
    return generator.permutation(num_records).astype(np.int64)


def num_steps_in_epoch(num_records: int, batch_size: int) -> int:
    """Steps that take each record once; the last one takes what is left."""
    return -(-num_records // batch_size)


def step_records(order: Indices, *, step_in_epoch: int, batch_size: int) -> Indices:
    """The records of one optimiser step."""
    return order[step_in_epoch * batch_size : (step_in_epoch + 1) * batch_size]


def rank_share(records: Indices, *, rank: int, num_ranks: int) -> Indices:
    """Every ``num_ranks``-th record, from ``rank`` on: the shares of all ranks are the step's records."""
    return records[rank::num_ranks]


def cut_by_budget(records: Indices, sizes: Sequence[int] | npt.NDArray[np.int64], budget: int) -> list[Indices]:
    """Cut into micro-batches whose sizes sum to at most ``budget``; a record above it stands alone.

    Records are sorted by size first (ties by number), so that a micro-batch holds records alike.
    """
    if len(records) == 0:
        return []
    own_sizes = np.asarray(sizes)[records]
    by_size = records[np.lexsort((records, own_sizes))]
    cuts, total = [], 0
    for position, size in enumerate(np.sort(own_sizes)):
        if total and total + size > budget:
            cuts.append(position)
            total = 0
        total += int(size)
    return np.split(by_size, cuts)
