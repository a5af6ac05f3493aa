"""What out-of-fold scores are worth that labels are weighed by, and what to warn of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.evaluation.audit.folds import Estimate, auroc_within_folds
from models.evaluation.intervals import Resamples, draw_resamples
from models.evaluation.metrics import Floats, Integers, auroc, ranking_of, steps_of
from models.evaluation.out_of_fold.calibrated_scores import Calibrated
from models.evaluation.out_of_fold.label_trust import TELLING_AUROC
from models.evaluation.out_of_fold.provenance import Provenance
from models.evaluation.out_of_fold.scored_rows import log_losses
from models.evaluation.out_of_fold.weight_distribution import rows_by

NUM_RESAMPLES = 1000
WEAK_AUROC = 0.55
"""Out-of-fold AUROC below which scores say too little of labels to weigh them by."""
NOTABLE_SOURCE = 0.05
"""AUROC lost within sources, from which scores tell the source as well as the label."""
LITTLE_SPREAD = 0.05
"""Standard deviation of weights of mean 1, below which training hardly sees them."""


def describe_quality(scores: Calibrated, provenance: Provenance, *, seed: int) -> dict[str, dict[str, float]]:
    """Of each model on the held-out records, by their given labels: its ranking, and what its calibration did.

    ``auroc`` is over pairs of one fold, with its interval by groups; ``auroc_within_sources`` over pairs of one fold
    and one source; ``auroc_pooled`` over all pairs, of calibrated scores. ``log_loss_constant`` is that of always the
    same probability, at best.

    Args:
        scores: The scores.
        provenance: Of all training records.
        seed: Of the resamples.
    """
    labels, fold = scores.labels, scores.fold
    resamples = draw_resamples(scores.groups, num_resamples=NUM_RESAMPLES, seed=seed)
    one = Resamples(np.ones((1, resamples.num_groups), np.uint16), resamples.group_of)
    part = _within_sources(fold, [provenance.sources[row] for row in scores.rows.tolist()])
    share = float(labels.mean())
    constant = float(log_losses(labels, np.full(len(labels), np.log(share / (1.0 - share)))).mean())
    found = {}
    for (name, model), calibrated in zip(scores.models.items(), scores.log_odds.T, strict=True):
        within = auroc_within_folds(labels, calibrated, fold, resamples)
        found[name] = {
            "auroc": within.value,
            "auroc_low": within.low,
            "auroc_high": within.high,
            "auroc_within_sources": auroc_within_folds(labels, calibrated, part, one).value,
            "auroc_pooled": float(auroc(steps_of(ranking_of(labels, calibrated)))),
            "log_loss_before": float(log_losses(labels, model.log_odds[scores.rows]).mean()),
            "log_loss_after": float(log_losses(labels, calibrated).mean()),
            "log_loss_constant": constant,
        }
    return found


def quality_of_all(scores: Calibrated, probabilities: Floats, *, seed: int) -> Estimate:
    """AUROC within folds of what all models say together, with its interval.

    Args:
        scores: The scores.
        probabilities: ``(H,)`` mean of the models, of the held-out records.
        seed: Of the resamples.
    """
    resamples = draw_resamples(scores.groups, num_resamples=NUM_RESAMPLES, seed=seed)
    return auroc_within_folds(scores.labels, probabilities, scores.fold, resamples)


def single_label_parts(labels: npt.NDArray[np.integer], names: Sequence[str]) -> list[str]:
    """Values of ``names`` ``(N,)`` that have one label only, in order; the empty one is left out."""
    return [name for name, rows in rows_by(names).items() if name and len(np.unique(labels[rows])) == 1]


def quality_warnings(quality: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Of each model, what makes its scores weak."""
    return [f"{name}: {words}" for name, own in quality.items() for words in _weaknesses(own)]


def noise_warning(noise: Mapping[str, Any]) -> list[str]:
    """That an estimate of noise is the scores' own ignorance, where it may be."""
    if noise["auroc"]["low"] >= TELLING_AUROC:
        return []
    beside = "" if noise["shuffled"] is None else f"; for labels that are shuffled it is {noise['shuffled']:.1%}"
    found = noise["auroc"]
    return [
        f"the estimated noise of {noise['overall']:.1%} means little, and so does prune: out-of-fold AUROC is "
        f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}], and below {TELLING_AUROC:g} most of it "
        f"may be what the models do not know{beside}"
    ]


def spread_warning(weights: Mapping[str, float], treatment: str) -> list[str]:
    """That weights hardly differ, so that training with them is training without."""
    if weights["sd"] >= LITTLE_SPREAD:
        return []
    return [
        f"weights of {treatment} hardly differ (standard deviation {weights['sd']:.3f}, {weights['min']:.3f} to "
        f"{weights['max']:.3f}): training with them is nearly training without. Validation says that the models know "
        "little of labels; train better fold models first"
    ]


def origins_warning(origins: Sequence[str]) -> list[str]:
    """Origins of one label, in one line however many there are."""
    if not origins:
        return []
    what = (
        f"origin {origins[0]!r} has" if len(origins) == 1 else f"{len(origins)} origins, such as {origins[0]!r}, have"
    )
    return [f"{what} one label only; trust in its records may be trust in the origin"]


def _weaknesses(own: Mapping[str, float]) -> list[str]:
    found = []
    if own["auroc"] < WEAK_AUROC or own["auroc_low"] <= 0.5:
        found.append(
            f"out-of-fold AUROC is {own['auroc']:.3f} [{own['auroc_low']:.3f}, {own['auroc_high']:.3f}]; such scores "
            "say little of labels, and weights by them are mostly noise"
        )
    if own["log_loss_after"] > own["log_loss_before"]:
        found.append(
            f"its calibration on validation raises the out-of-fold log loss from {own['log_loss_before']:.4f} to "
            f"{own['log_loss_after']:.4f}: training labels are not as validation's are"
        )
    if own["log_loss_after"] >= own["log_loss_constant"]:
        found.append(
            f"out-of-fold log loss {own['log_loss_after']:.4f} is no better than that of one constant answer "
            f"({own['log_loss_constant']:.4f})"
        )
    if own["auroc"] - own["auroc_within_sources"] > NOTABLE_SOURCE:
        found.append(
            f"out-of-fold AUROC is {own['auroc']:.3f}, but {own['auroc_within_sources']:.3f} within sources: much of "
            "what it tells is the source, and trust by it follows the source's commoner label"
        )
    return found


def _within_sources(fold: Integers, sources: Sequence[str]) -> Integers:
    """``(H,)`` a number for each fold and source."""
    codes = np.unique(np.asarray(sources, dtype=str), return_inverse=True)[1]
    return np.asarray(fold * (int(codes.max(initial=0)) + 1) + codes, dtype=np.int64)
