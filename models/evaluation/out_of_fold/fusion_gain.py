"""What a fusion gains over its best model, on records that neither its models nor itself learnt from.

Cross-fitted: for each fold, the fusion, the choice of the best model and every threshold are learnt on the other folds
and applied to that fold. Each model alone goes through the same learning as the fusion, so that no gain is one of
scale. Where folds are whole projects, every record is of a project that no model saw; the interval still is about
other commits of these projects, for it draws commits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.evaluation.audit.folds import auroc_within_folds
from models.evaluation.comparisons import holm, paired_difference
from models.evaluation.intervals import (
    Resamples,
    draw_resamples,
    resampled_confusion,
    resampled_mean,
    resampled_ranking_metrics,
)
from models.evaluation.metrics import (
    Floats,
    Integers,
    average_precision,
    brier,
    confusion_of,
    f1,
    predictions_at,
    ranking_of,
    squared_errors,
    steps_of,
)
from models.evaluation.out_of_fold.scored_rows import log_losses, sigmoid
from models.evaluation.out_of_fold.stacking import Fuser
from models.evaluation.thresholds import best_f1_threshold

Fit = Callable[[Floats, npt.NDArray[np.integer]], Fuser]
FUSION = "fusion"
RANKING = {"auprc": average_precision}
METHOD = (
    "cross-fitted: fusion, each model's scale, best model and thresholds of each fold are learnt on the other folds; "
    "AUROC is over pairs of records of one fold; paired percentile interval of a cluster bootstrap over groups of the "
    "folds (joined commits), for these projects only"
)
INTERVAL_FOR = (
    "other commits of the projects in these records: commits are drawn, never projects, and the one seed of the folds "
    "and of the fold models is held fixed"
)
CORRECTION = "Holm over the metrics of the gain"


@dataclass(frozen=True)
class CrossFitted:
    """One system on the held-out records.

    Args:
        log_odds: ``(H,)``, each fold's by what was learnt on the others.
        is_called: ``(H,)`` answers, at the threshold of best F1 on the other folds.
    """

    log_odds: Floats
    is_called: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CrossFit:
    """All systems on the held-out records.

    Args:
        systems: The fusion (``FUSION``) and each model.
        best: In each fold, the model of least log loss on the other folds.
        best_of_fold: Its name, by fold.
        fold: ``(H,)`` the fold of each record.
        fusers: What was learnt for each fold on the others.
    """

    systems: Mapping[str, CrossFitted]
    best: CrossFitted
    best_of_fold: Sequence[str]
    fold: Integers
    fusers: Sequence[Fuser]


def cross_fit(
    scores: Floats, labels: npt.NDArray[np.integer], fold: Integers, models: Sequence[str], fit: Fit
) -> CrossFit:
    """Score each fold by what was learnt on the others.

    Args:
        scores: ``(H, M)`` log-odds on one scale.
        labels: ``(H,)``, both in each fold.
        fold: ``(H,)`` folds, 0 to ``K - 1``.
        models: ``M`` names.
        fit: Learns a fusion from scores and labels; of one column, what a model says alone.
    """
    names = [*models, FUSION]
    columns = {name: (np.empty(len(labels)), np.zeros(len(labels), dtype=np.bool_)) for name in (*names, "best")}
    fusers, best_of_fold = [], []
    for number in range(int(fold.max()) + 1):
        inside, outside = fold == number, fold != number
        fuser = fit(scores[outside], labels[outside])
        alone = [fit(own[outside, None], labels[outside]).log_odds(own[:, None]) for own in scores.T]
        every = np.column_stack([*alone, fuser.log_odds(scores)])
        losses = [float(log_losses(labels[outside], own[outside]).mean()) for own in alone]
        best = models[int(np.argmin(losses))]
        for name in (*names, "best"):
            own = every[:, names.index(best if name == "best" else name)]
            values, called = columns[name]
            values[inside] = own[inside]
            threshold = best_f1_threshold(labels[outside], sigmoid(own[outside])).value
            called[inside] = predictions_at(sigmoid(own[inside]), threshold)
        fusers.append(fuser)
        best_of_fold.append(best)
    systems = {name: CrossFitted(*columns[name]) for name in names}
    return CrossFit(systems, CrossFitted(*columns["best"]), best_of_fold, fold, fusers)


def describe_out_of_fold(
    fitted: CrossFit,
    labels: npt.NDArray[np.integer],
    groups: Sequence[str],
    *,
    num_resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """``systems`` and ``gain`` by metric, the fusion less the best model; of log loss and Brier score less is better.

    P-values of the gain are given as they are and corrected for the number of metrics.

    Args:
        fitted: The systems.
        labels: ``(H,)``.
        groups: ``H`` groups of the folds, drawn as wholes.
        num_resamples: Bootstrap resamples.
        confidence: Coverage of the intervals.
        seed: Seed of the resampling.
    """
    resamples = draw_resamples(groups, num_resamples=num_resamples, seed=seed)
    one = Resamples(np.ones((1, resamples.num_groups), np.uint16), resamples.group_of)
    fused, best = (_measured(each, labels, fitted.fold, resamples) for each in (fitted.systems[FUSION], fitted.best))
    return {
        "num_records": len(labels),
        "num_groups": resamples.num_groups,
        "num_folds": len(fitted.fusers),
        "method": METHOD,
        "num_resamples": num_resamples,
        "confidence": confidence,
        "interval_for": INTERVAL_FOR,
        "correction": CORRECTION,
        "systems": {name: _measured(each, labels, fitted.fold, one).values for name, each in fitted.systems.items()},
        "best_of_fold": list(fitted.best_of_fold),
        "weights_of_fold": [fuser.weights.tolist() for fuser in fitted.fusers],
        "scale_of_fold": [fuser.scale for fuser in fitted.fusers],
        "gain": _gain(fused, best, confidence),
    }


@dataclass(frozen=True)
class _Measured:
    """Metrics of one system by name: on the records, and ``(B,)`` on the resamples."""

    values: dict[str, float]
    resampled: dict[str, Floats]


def _measured(system: CrossFitted, labels: npt.NDArray[np.integer], fold: Integers, resamples: Resamples) -> _Measured:
    within = auroc_within_folds(labels.astype(np.int8), system.log_odds, fold, resamples)
    ranking, losses = ranking_of(labels, system.log_odds), log_losses(labels, system.log_odds)
    probabilities = sigmoid(system.log_odds)
    values = {
        "auroc": within.value,
        **{name: float(metric(steps_of(ranking))) for name, metric in RANKING.items()},
        "f1": float(f1(confusion_of(labels, system.is_called))),
        "log_loss": float(losses.mean()),
        "brier": brier(labels, probabilities),
    }
    resampled = {
        "auroc": within.resampled,
        **resampled_ranking_metrics(resamples, ranking, RANKING),
        "f1": f1(resampled_confusion(resamples, labels, system.is_called)),
        "log_loss": resampled_mean(resamples, losses),
        "brier": resampled_mean(resamples, squared_errors(labels, probabilities)),
    }
    return _Measured(values, resampled)


def _gain(fused: _Measured, best: _Measured, confidence: float) -> dict[str, dict[str, float]]:
    """By metric the difference, its interval, and its p-value before and after the correction."""
    found = {
        name: paired_difference(
            fused.values[name], best.values[name], (fused.resampled[name], best.resampled[name]), confidence
        )
        for name in fused.values
    }
    corrected = holm([each.p_value for each in found.values()])
    return {
        name: {
            "value": each.value,
            "low": each.interval.low,
            "high": each.interval.high,
            "p_value": each.p_value,
            "p_value_corrected": p_value,
        }
        for (name, each), p_value in zip(found.items(), corrected, strict=True)
    }
