"""Choosing the probability from which a record is called vulnerable: one pass over the scores.

A threshold is chosen on validation (or out-of-fold) scores, frozen, and only then applied elsewhere; whoever chooses
on test scores gets a number that means nothing. The threshold is never rounded: a rounded one may cut elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import Confusion, Floats, Integers, f1

NEUTRAL = 0.5
DISTANCE_DECIMALS = 12
"""Distances to 0.5 that are equal to so many decimals are one distance: 0.3 and 0.7 as floats differ in the 17th."""
TIE_RULE = (
    "each way to cut the distinct scores is represented by 0.5 where 0.5 cuts so, else by the middle of the gap; "
    "of thresholds with the best F1 the one closest to 0.5, then the lower"
)


@dataclass(frozen=True)
class ChosenThreshold:
    """A frozen threshold and what it was chosen from.

    Args:
        value: A record is called vulnerable when its probability is at least this.
        f1: F1 of label 1 there, on the scores it was chosen on.
        thresholds: ``(T,)`` rising: every threshold that was tried.
        curve: ``(T,)`` F1 at each.
    """

    value: float
    f1: float
    thresholds: Floats
    curve: Floats


def best_f1_threshold(labels: npt.ArrayLike, scores: npt.ArrayLike) -> ChosenThreshold:
    """The threshold with the best F1 of label 1 among all that differ in effect; ties by ``TIE_RULE``.

    Args:
        labels: ``(N,)``, 0 or 1.
        scores: ``(N,)`` probabilities of label 1.

    Raises:
        ValueError: No label is 1, so that no threshold has an F1.
    """
    return choose(labels, scores, distinct_thresholds(scores))


def choose(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    metric: Callable[[Confusion], Floats] = f1,
) -> ChosenThreshold:
    """The best of given thresholds, such as a grid; ties by the second half of ``TIE_RULE``.

    Raises:
        ValueError: No label is 1, or no threshold was given.
    """
    tried = np.unique(np.asarray(thresholds, dtype=np.float64))
    curve = metric(confusion_at(labels, scores, tried))
    if not len(tried) or np.isnan(curve).all():
        raise ValueError("a threshold needs scores and at least one record of label 1")
    chosen = best_places(tried, curve)
    return ChosenThreshold(float(tried[chosen]), float(curve[chosen]), tried, curve)


def best_places(thresholds: Floats, curves: Floats) -> Integers:
    """``(...)`` which threshold is best in each of many curves; ties by the second half of ``TIE_RULE``.

    Args:
        thresholds: ``(T,)`` rising.
        curves: ``(..., T)`` the metric at each; NaN is never best, and where all is NaN the place means nothing.
    """
    values = np.where(np.isnan(curves), -np.inf, curves)
    is_best = values == values.max(axis=-1, keepdims=True)
    preferred = np.lexsort((thresholds, np.abs(thresholds - NEUTRAL).round(DISTANCE_DECIMALS)))
    return np.asarray(preferred[is_best[..., preferred].argmax(axis=-1)], dtype=np.int64)


def distinct_thresholds(scores: npt.ArrayLike) -> Floats:
    """``(K,)`` rising: one threshold for each way to cut ``K`` distinct scores so that at least one is called."""
    upper = np.unique(np.asarray(scores, dtype=np.float64))
    lower = np.concatenate([[min(0.0, upper[0])] if len(upper) else [], upper[:-1]])
    middle = lower + 0.5 * (upper - lower)
    # Neighbouring floats have no middle: rounding may give the lower one, which would call its records too.
    middle = np.where(middle > lower, middle, upper)
    return np.where((lower < NEUTRAL) & (upper >= NEUTRAL), NEUTRAL, middle)


def confusion_at(labels: npt.ArrayLike, scores: npt.ArrayLike, thresholds: npt.ArrayLike) -> Confusion:
    """Confusion counts at each of ``(T,)`` rising thresholds, in one pass over the scores."""
    tried = np.asarray(thresholds, dtype=np.float64)
    is_positive = np.asarray(labels) == 1
    # How many thresholds a record reaches; it is called vulnerable by exactly the first that many.
    reached = np.searchsorted(tried, np.asarray(scores, dtype=np.float64), side="right")
    called = [
        np.bincount(reached[chosen], minlength=len(tried) + 1)[::-1].cumsum()[::-1].astype(np.float64)
        for chosen in (~is_positive, is_positive)
    ]
    (negatives, called_false), (positives, called_true) = ((counts[0], counts[1:]) for counts in called)
    return Confusion(negatives - called_false, called_false, positives - called_true, called_true)
