"""What out-of-fold scores of several models think of each training label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import Floats
from models.evaluation.out_of_fold.calibrated_scores import Calibrated
from models.evaluation.out_of_fold.label_trust import (
    EstimatedNoise,
    estimated_noise,
    label_trust,
    percentiles_within,
    suspected_labels,
)
from models.evaluation.out_of_fold.scored_rows import sigmoid


@dataclass(frozen=True)
class Judged:
    """What is thought of each of ``N`` training records; NaN and False where it was never held out.

    Args:
        trust: ``(N,)`` in its label.
        percentile: ``(N,)`` share of its fold that is trusted less.
        probability: ``(N,)`` of label 1, calibrated, the mean over the models.
        is_suspected: ``(N,)`` labels that confident learning takes for wrong.
        trust_by_model: ``(N,)`` by each model alone.
        noise: Estimated share of wrong labels.
    """

    trust: Floats
    percentile: Floats
    probability: Floats
    is_suspected: npt.NDArray[np.bool_]
    trust_by_model: Mapping[str, Floats]
    noise: EstimatedNoise


def judge(scores: Calibrated) -> Judged:
    """Trust in the labels of the held-out records."""
    labels, num = scores.labels, len(scores.train)
    probabilities = sigmoid(scores.log_odds)
    by_model = dict(zip(scores.models, probabilities.T, strict=True))
    mean = probabilities.mean(axis=1)
    is_suspected = np.zeros(num, dtype=np.bool_)
    is_suspected[scores.rows] = suspected_labels(labels, mean)

    def spread(values: Floats) -> Floats:
        every = np.full(num, np.nan)
        every[scores.rows] = values
        return every

    trust = label_trust(labels, list(by_model.values()))
    return Judged(
        trust=spread(trust),
        percentile=spread(percentiles_within(scores.fold, trust)),
        probability=spread(mean),
        is_suspected=is_suspected,
        trust_by_model={name: spread(label_trust(labels, [own])) for name, own in by_model.items()},
        noise=estimated_noise(labels, mean),
    )
