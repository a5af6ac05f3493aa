"""Folds of the audit, and what a score is worth that was made fold by fold.

Three ways to hold records out: at random, by group (commits and files joined with near copies), and by project. A
model that scores better at random than by group has been told labels by the group.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.evaluation.intervals import Resamples, percentile_interval, resampled_ranking_metrics
from models.evaluation.metrics import Floats, Integers, Steps, confusion_of, f1, ranking_of
from models.evaluation.thresholds import best_f1_threshold

CONFIDENCE = 0.95
NUM_RESAMPLES = 300
Labels = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Estimate:
    """An AUROC with its interval.

    Args:
        value: NaN where no fold holds both labels.
        low: Lower end of the 95 % interval, by groups.
        high: Upper end.
        resampled: ``(B,)`` values behind the interval; those of estimates on the same resamples are paired.
    """

    value: float
    low: float
    high: float
    resampled: Floats

    def as_json(self) -> dict[str, float]:
        """Value and interval."""
        return {"value": self.value, "low": self.low, "high": self.high}


def random_folds(labels: Labels, num_folds: int, seed: int) -> Integers | None:
    """``(N,)`` fold of each record, labels in equal shares; ``None`` where a label is too rare for two folds."""
    from sklearn.model_selection import StratifiedKFold

    most = min(num_folds, _rarer(labels))
    if most < 2:
        return None
    splitter = StratifiedKFold(most, shuffle=True, random_state=seed)
    return _numbered(len(labels), splitter.split(np.zeros(len(labels)), labels))


def group_folds(labels: Labels, groups: Integers, num_folds: int, seed: int) -> Integers | None:
    """As ``random_folds``, groups ``(N,)`` kept whole; ``None`` where there are not two groups of either label."""
    from sklearn.model_selection import StratifiedGroupKFold

    of_label = [len(np.unique(groups[labels == label])) for label in (0, 1)]
    most = min(num_folds, *of_label)
    if most < 2:
        return None
    splitter = StratifiedGroupKFold(most, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # fewer of a label than folds: folds with one label are left out of every score
        warnings.simplefilter("ignore", UserWarning)
        return _numbered(len(labels), splitter.split(np.zeros(len(labels)), labels, groups))


def project_folds(labels: Labels, projects: Integers, num_folds: int) -> Integers | None:
    """Whole projects held out: each project for itself where there are no more than folds; ``None`` below two."""
    from sklearn.model_selection import GroupKFold

    most = min(num_folds, len(np.unique(projects)))
    if most < 2:
        return None
    return _numbered(len(labels), GroupKFold(most).split(np.zeros(len(labels)), labels, projects))


def scores_out_of_fold(folds: Integers, fit_and_score: Callable[[Integers, Integers], Floats]) -> Floats:
    """``(N,)`` scores of each record by what was fitted on the other folds.

    Args:
        folds: ``(N,)``.
        fit_and_score: Given the places to fit on and those to score.
    """
    scores = np.zeros(len(folds))
    for fold in range(int(folds.max()) + 1):
        held_out = np.flatnonzero(folds == fold)
        scores[held_out] = fit_and_score(np.flatnonzero(folds != fold), held_out)
    return scores


def auroc_within_folds(labels: Labels, scores: Floats, folds: Integers, resamples: Resamples) -> Estimate:
    """AUROC over pairs of records of one fold: scores of two folds come from two fits, and are not comparable.

    Pooled, a fold's share of label 1 leaks into the other folds' fits with the wrong sign, and a feature without any
    worth falls below 0.5.
    """
    right = pairs = 0.0
    rights, all_pairs = np.zeros(len(resamples.counts)), np.zeros(len(resamples.counts))
    unweighted = Resamples(np.ones((1, resamples.num_groups), np.uint16), resamples.group_of)
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        ranking = ranking_of(labels[rows], scores[rows])
        for whole, drawn in ((True, unweighted), (False, resamples)):
            counted = resampled_ranking_metrics(
                Resamples(drawn.counts, drawn.group_of[rows]), ranking, {"right": _right_pairs, "pairs": _pairs}
            )
            if whole:
                right, pairs = right + float(counted["right"][0]), pairs + float(counted["pairs"][0])
            else:
                rights, all_pairs = rights + counted["right"], all_pairs + counted["pairs"]
    resampled = np.divide(rights, all_pairs, out=np.full_like(rights, np.nan), where=all_pairs > 0)
    interval = percentile_interval(resampled, CONFIDENCE)
    return Estimate(right / pairs if pairs else np.nan, interval.low, interval.high, resampled)


def mean_of(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of estimates on the same resamples."""
    resampled = np.mean([each.resampled for each in estimates], axis=0)
    interval = percentile_interval(resampled, CONFIDENCE)
    return Estimate(float(np.mean([each.value for each in estimates])), interval.low, interval.high, resampled)


def f1_by_other_folds(labels: Labels, scores: Floats, folds: Integers) -> float:
    """F1 of label 1 where each fold is cut at the threshold that is best on the other folds' scores."""
    answers = np.zeros(len(labels), dtype=bool)
    for fold in np.unique(folds):
        others = folds != fold
        threshold = best_f1_threshold(labels[others], scores[others]).value if labels[others].any() else 0.5
        answers[~others] = scores[~others] >= threshold
    return float(f1(confusion_of(labels, answers)))


def _right_pairs(steps: Steps) -> Floats:
    found = np.cumsum(steps.positives, axis=-1)
    right = np.einsum("...k,...k->...", steps.negatives, found)
    return np.asarray(right - 0.5 * np.einsum("...k,...k->...", steps.negatives, steps.positives))


def _pairs(steps: Steps) -> Floats:
    return np.asarray(steps.positives.sum(axis=-1) * steps.negatives.sum(axis=-1))


def _rarer(labels: Labels) -> int:
    return int(min((labels == 0).sum(), (labels == 1).sum()))


def _numbered(num_records: int, splits: Iterable[tuple[Any, Integers]]) -> Integers:
    folds = np.zeros(num_records, dtype=np.int64)
    for fold, (_, held_out) in enumerate(splits):
        folds[held_out] = fold
    return folds
