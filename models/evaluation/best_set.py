"""Which candidates cannot be told apart from the best, from their scores on the same resamples.

Multiple comparisons with the best (Hsu 1981, 1996), with the bootstrap in place of normal theory (max-T, as in Romano
and Wolf 2005). Candidate ``i`` with score ``F_i`` is the best only if no other is better, so it is tested against all
of them at once::

    t_i = max over j of (F_j - F_i) / se_ij               how far it lies behind, in standard errors
    c_i = (1 - alpha/2) quantile over resamples of
          max over j of ((F*_j - F*_i) - (F_j - F_i)) / se_ij    how far that may be by chance

``se_ij`` is the standard deviation of the resampled difference. It stays in the set when ``t_i <= c_i``. The scores of
candidates on shared records rise and fall together. The maximum is over the *same* resamples and keeps that, where a
correction for their number alone would take them for independent.

Why ``alpha/2``. Each test excludes a candidate that really is (one of) the best with probability at most its level.
Let two candidates A and B be equally best. A set of one lacks A or B, whichever it is, so it comes up with probability
at most ``P(A excluded) + P(B excluded)``. The two hardly ever happen at once, so the bound is nearly reached where
there are just these two: each level must be ``alpha/2`` for the sum to be ``alpha``. With more than two equally best, a
set of one still lacks A or B, and the bound is the same. With a single best, a set of one is wrong only when that one
is excluded: ``alpha/2``. So a clear winner is a false one with probability at most ``alpha``, wherever the truth lies,
and the set holds a given best candidate with probability at least ``1 - alpha/2``; both as far as the bootstrap is
right, which ``benchmarks.selection`` measures at a hundred files and more.

What is resampled is what is accounted for. Where candidates have one seed each, nothing is known of how seeds scatter:
the claim is then about these trained models, and of two configurations that are equally good over all seeds one is
called better far more often than ``alpha`` (``benchmarks.selection`` measures it). Answers are taken as they are: that
a threshold was tuned on these records is not part of the chance here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import Floats

METHOD = (
    "a candidate is in the set when it lies behind no other by more than chance explains: multiple comparisons with "
    "the best by bootstrap max-T over paired differences, each test at half of (1 - confidence), so that a set of one "
    "is a false winner with probability at most (1 - confidence), also where candidates are equally good; the claim "
    "covers what is resampled: with one seed each it is about these trained models on other files, not about "
    "configurations, whose seeds scatter"
)
SAME = 1e-12
"""Scores that differ by no more are equal, and a difference that varies by no more does not vary: rounding."""


@dataclass(frozen=True)
class BestSet:
    """The candidates that cannot be told apart from the best.

    Args:
        members: ``(N,)`` whether each belongs; the one with the highest score always does.
        statistics: ``(N,)`` how far each lies behind another [standard errors of the difference], the most; negative
            where it lies behind none, -inf where nothing can be compared.
        critical_values: ``(N,)`` how far that may be by chance; inf where nothing can be compared.
    """

    members: npt.NDArray[np.bool_]
    statistics: Floats
    critical_values: Floats

    @property
    def has_clear_winner(self) -> bool:
        """Whether one candidate alone is left."""
        return int(self.members.sum()) == 1


def best_set(points: npt.ArrayLike, resampled: npt.ArrayLike, *, confidence: float) -> BestSet:
    """The candidates that cannot be told apart from the best; a set of one is a clear winner.

    Candidates with the same answers are always together in the set or out of it, so none of them wins clearly. One
    candidate alone is a set of one: nothing was compared. It takes at least ``2 / (1 - confidence) - 1`` resamples, 39
    at 0.95, to exclude anything.

    Args:
        points: ``(N,)`` scores on the records themselves, higher is better.
        resampled: ``(B, N)`` scores on the same resamples for all; a resample in which any is NaN is left out.
        confidence: ``1 - alpha``, such as 0.95.

    Raises:
        ValueError: There is no candidate, a score is NaN, or shapes do not agree.
    """
    scores, draws = np.asarray(points, dtype=np.float64), np.asarray(resampled, dtype=np.float64)
    if not len(scores) or np.isnan(scores).any() or draws.shape[1:] != scores.shape:
        raise ValueError(f"needs N >= 1 scores and (B, N) resampled ones, got {scores} and shape {draws.shape}")
    draws = draws[~np.isnan(draws).any(axis=1)]
    tests = [_test(scores, draws, candidate, confidence) for candidate in range(len(scores))]
    statistics, critical_values = (np.array(column) for column in zip(*tests, strict=True))
    return BestSet(statistics <= critical_values, statistics, critical_values)


def probability_better(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Share of resamples ``(B,)`` in which the first scores higher, a tie counting half; NaN where none has a value."""
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    defined = differences[~np.isnan(differences)]
    if not len(defined):
        return math.nan
    return float(0.5 * (defined > SAME).mean() + 0.5 * (defined >= -SAME).mean())


def _test(scores: Floats, draws: Floats, candidate: int, confidence: float) -> tuple[float, float]:
    """Statistic and critical value of one candidate against all others."""
    rank = _rank(len(draws), 0.5 * (1.0 - confidence))
    if rank > len(draws):
        return -math.inf, math.inf
    behind = scores - scores[candidate]
    differences = draws - draws[:, [candidate]] - behind
    errors = differences.std(axis=0)
    if (behind[errors <= SAME] > SAME).any():  # another is better by the same in every resample
        return math.inf, 0.0
    varies = errors > SAME
    if not varies.any():
        return -math.inf, math.inf
    largest = (differences[:, varies] / errors[varies]).max(axis=1)
    critical = np.partition(largest, rank - 1)[rank - 1]
    # Never below 0: who lies behind nobody belongs, however the draws fell.
    return float((behind[varies] / errors[varies]).max()), max(float(critical), 0.0)


def _rank(num: int, tail: float) -> int:
    """Which of ``num`` rising values a further one exceeds with probability at most ``tail``; above ``num``: none."""
    return math.ceil((num + 1) * (1.0 - tail) - SAME)
