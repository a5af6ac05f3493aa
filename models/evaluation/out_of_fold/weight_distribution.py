"""How weights spread over labels, sources and origins: what a treatment did to the training data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import Floats
from models.evaluation.out_of_fold.provenance import Provenance
from models.evaluation.out_of_fold.weights_of_trust import LABELS

Labels = npt.NDArray[np.integer]


def describe_distribution(labels: Labels, weights: Floats, provenance: Provenance) -> dict[str, Any]:
    """Records and weight as a whole, by given label, by source and by origin.

    Args:
        labels: ``(N,)``.
        weights: ``(N,)``; all ones before a treatment.
        provenance: Of the records.

    Returns:
        ``all``, ``by_label``, ``by_source`` and ``by_origin``, each cell as ``_cell`` gives it; unnamed origins are
        left out.
    """
    by_origin = {name: rows for name, rows in rows_by(provenance.origins).items() if name}
    return {
        "all": _cell(labels, weights),
        "by_label": {str(label): _cell(labels[labels == label], weights[labels == label]) for label in LABELS},
        "by_source": {name: _cell(labels[rows], weights[rows]) for name, rows in rows_by(provenance.sources).items()},
        "by_origin": {name: _cell(labels[rows], weights[rows]) for name, rows in by_origin.items()},
    }


def rows_by(values: Sequence[str]) -> dict[str, npt.NDArray[np.int64]]:
    """Row numbers of each value, rising, by value in order of the alphabet."""
    names, value_of = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    return {str(name): np.flatnonzero(value_of == number) for number, name in enumerate(names)}


def effective_sample_size(weights: Floats) -> float:
    """Records of equal weight that would be as much information: ``(sum w)^2 / sum w^2`` (Kish 1965); 0 of none."""
    squares = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0.0 else 0.0


def describe_weights(weights: Floats) -> dict[str, float]:
    """How far weights ``(N,)`` of mean 1 differ: the least, the most, their standard deviation, what they leave."""
    return {
        "min": float(weights.min()),
        "max": float(weights.max()),
        "sd": float(weights.std()),
        "effective_sample_size": effective_sample_size(weights),
    }


def _cell(labels: Labels, weights: Floats) -> dict[str, Any]:
    """Records and labels of weight above 0, the sum of weights, by label too, and what share label 1 has of it."""
    learnt = weights > 0.0
    total = float(weights.sum())
    by_label = {str(label): float(weights[labels == label].sum()) for label in LABELS}
    return {
        "num_records": int(learnt.sum()),
        "labels": {str(label): int((learnt & (labels == label)).sum()) for label in LABELS},
        "weight": total,
        "weight_by_label": by_label,
        "positive_share": by_label["1"] / total if total > 0.0 else float("nan"),
        "effective_sample_size": effective_sample_size(weights),
    }
