"""Mean, percentiles, sum and shares of what was counted, not kept: memory grows with distinct sizes only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

PERCENTILES = (50, 90, 95, 99)


def percentiles_of(sizes: Counter[int], percents: Sequence[int] = PERCENTILES) -> dict[int, int]:
    """Per percent the smallest size that at least so many percent of all do not exceed; 0 where nothing was counted."""
    if not sizes:
        return dict.fromkeys(percents, 0)
    values = np.array(sorted(sizes))
    reached = np.cumsum([sizes[value] for value in values.tolist()])
    return {percent: int(values[np.searchsorted(reached * 100, percent * sizes.total())]) for percent in percents}


def mean_of(sizes: Counter[int]) -> float:
    """To two places; 0 where nothing was counted."""
    return round(sum_of(sizes) / sizes.total(), 2) if sizes else 0.0


def sum_of(sizes: Counter[int]) -> int:
    """All sizes together."""
    return sum(size * count for size, count in sizes.items())


def spread_of(sizes: Counter[int]) -> dict[str, float | int]:
    """Mean, percentiles, largest and sum, by their names in reports."""
    percentiles = percentiles_of(sizes)
    return {
        "mean": mean_of(sizes),
        **{f"p{percent}": size for percent, size in percentiles.items()},
        "max": max(sizes, default=0),
        "total": sum_of(sizes),
    }


def share(part: int, whole: int) -> float:
    """``part / whole`` to four places; 0 of nothing."""
    return round(part / whole, 4) if whole else 0.0
