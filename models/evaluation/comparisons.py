"""Whether one system beats another on the same records: paired bootstrap differences, corrected for their number.

"No difference shown" is an answer. A difference is shown when its p-value, after Holm's correction over every
comparison that was made on the split, stays below ``1 - confidence``; the interval beside it is the uncorrected one.

Beside it stand the tests that readers ask for: the t-test over seeds, and McNemar's over answers. Either sees one
source of chance only, seeds or records.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.intervals import Interval, percentile_interval
from models.evaluation.metrics import Floats

CORRECTION = "Holm over all comparisons of the split"
SAME = 1e-12
"""Differences that vary by no more do not vary: rounding."""
FEW_DISCORDANT = 25
"""Records that one of two systems alone answers rightly, below which McNemar's test is exact."""


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


def paired_t_p(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Two-sided p-value of the t-test of paired values ``(S,)``, one a seed.

    Returns:
        NaN for fewer than two seeds, and where all differences are equal: there is no spread to measure by.
    """
    from scipy import stats

    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if len(one) < 2 or np.ptp(one - other) <= SAME:
        return math.nan
    return float(stats.ttest_rel(one, other).pvalue)


def mcnemar_p(first_is_right: npt.ArrayLike, second_is_right: npt.ArrayLike) -> float:
    """Two-sided p-value of McNemar's test that two systems answer equally many records ``(N,)`` rightly.

    Exact (binomial) below ``FEW_DISCORDANT`` records on which just one is right, else chi-squared with Edwards'
    continuity correction. It takes records for independent, which those of one commit are not, so that it is too small
    where groups are large.

    Source:
        McNemar 1947; Edwards 1948.
    """
    from scipy import stats

    one, other = np.asarray(first_is_right, dtype=bool), np.asarray(second_is_right, dtype=bool)
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    discordant = only_first + only_second
    if discordant < FEW_DISCORDANT:
        return float(stats.binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return float(stats.chi2.sf((abs(only_first - only_second) - 1) ** 2 / discordant, df=1))


def detectable_by_t_test(num_seeds: int, *, confidence: float, power: float) -> float:
    """The smallest difference that a single paired t-test sees with probability ``power``.

    Args:
        num_seeds: Pairs, 2 or more.
        confidence: ``1 - alpha``.
        power: Such as 0.8.

    Returns:
        In standard deviations of the per-seed difference: 1.68 for five seeds, 1.00 for ten.
    """
    from scipy import optimize, stats

    degrees = num_seeds - 1
    critical = stats.t.ppf(1.0 - (1.0 - confidence) / 2.0, degrees)

    def excess(effect: float) -> float:
        return float(stats.nct.sf(critical, degrees, effect * math.sqrt(num_seeds)) - power)

    return float(optimize.brentq(excess, 0.0, 100.0))
