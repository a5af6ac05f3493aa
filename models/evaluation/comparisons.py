"""Whether one system beats another on the same records: paired bootstrap differences, corrected for their number.

"No difference shown" is an answer. A difference is shown when its p-value, after Holm's correction over every
comparison that was made on the split, stays below ``1 - confidence``; the interval beside it is the uncorrected one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.intervals import Interval, percentile_interval
from models.evaluation.metrics import Floats

CORRECTION = "Holm over all comparisons of the split"


@dataclass(frozen=True)
class Difference:
    """A paired difference ``first - second``.

    Args:
        value: On the records themselves.
        interval: Percentile interval of the resampled differences.
        p_value: Two-sided, before correction; NaN when no resample has a value.
    """

    value: float
    interval: Interval
    p_value: float


def paired_difference(first: float, second: float, resampled: tuple[Floats, Floats], confidence: float) -> Difference:
    """Compare a metric of two systems.

    Args:
        first: The first system's value.
        second: The second's.
        resampled: ``(B,)`` values of either on the *same* resamples.
        confidence: Coverage of the interval.
    """
    differences = resampled[0] - resampled[1]
    return Difference(first - second, percentile_interval(differences, confidence), two_sided_p(differences))


def two_sided_p(differences: Floats) -> float:
    """Twice the smaller share of resampled differences on either side of 0 (0 counts on both), at most 1.

    Source:
        Davison and Hinkley 1997, section 4.2: one is added to count and total, so that it is never 0.
    """
    defined = differences[~np.isnan(differences)]
    if not len(defined):
        return math.nan
    fewer = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2.0 * (1 + fewer) / (1 + len(defined)))


def smallest_p(num_resamples: int) -> float:
    """The smallest p-value that so many resamples can give."""
    return 2.0 / (1 + num_resamples)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm 1979), in the given order; a NaN stays one and still counts."""
    num = len(p_values)
    order = sorted(range(num), key=lambda at: (math.isnan(p_values[at]), p_values[at], at))
    corrected, largest = [math.nan] * num, 0.0
    for rank, at in enumerate(order):
        if not math.isnan(p_values[at]):
            largest = max(largest, min(1.0, (num - rank) * p_values[at]))
            corrected[at] = largest
    return corrected
