"""A sample in the proportions of its strata, the same whatever the order of the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

Chosen = npt.NDArray[np.bool_]


def sampling_key(seed: int, source: str, name: str) -> int:
    """Where a row stands in the order in which rows are taken: 64 bits that look random and depend on these only."""
    return int.from_bytes(blake2b(f"{seed}\0{source}\0{name}".encode(), digest_size=8).digest())


def stratified_sample(strata: Sequence[Hashable], keys: Sequence[int], max_rows: int) -> Chosen:
    """Which rows a sample takes: of each stratum its share, rounded by largest remainders, lowest keys first.

    A larger sample of the same rows holds a smaller one but for the rounding.

    Args:
        strata: ``N`` values that rows are sorted by.
        keys: ``N`` keys (``sampling_key``).
        max_rows: Rows to take; all where there are no more.

    Returns:
        ``(N,)``, true where the row is taken.
    """
    chosen = np.zeros(len(strata), dtype=bool)
    quotas = _quotas(Counter(strata), max_rows)
    order = np.argsort(np.array(keys, dtype=np.uint64), kind="stable")
    for row in order.tolist():
        if quotas[strata[row]] > 0:
            quotas[strata[row]] -= 1
            chosen[row] = True
    return chosen


def _quotas(sizes: Mapping[Hashable, int], max_rows: int) -> dict[Hashable, int]:
    total = sum(sizes.values())
    if total <= max_rows:
        return dict(sizes)
    quotas = {stratum: size * max_rows // total for stratum, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda stratum: (-(sizes[stratum] * max_rows % total), repr(stratum)))
    for stratum in by_remainder[: max_rows - sum(quotas.values())]:
        quotas[stratum] += 1
    return quotas
