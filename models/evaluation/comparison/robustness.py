"""How far a system moves when the test functions are renamed or laid out anew, which changes nothing they do.

The probe holds the records of the test split, in other words; both are measured on the same resamples with the same
frozen thresholds, so that the difference is paired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.errors import DataInvalid
from models.evaluation.comparison.measures import SeededMeasures
from models.evaluation.comparisons import paired_difference
from models.evaluation.intervals import Resamples
from models.evaluation.metrics import Floats, metrics_at
from models.evaluation.records import SplitRecords
from models.evaluation.seed_resamples import resampled_mean_over_seeds, resampled_metrics_by_seed

MEASURED = ("f1", "auroc")
METHOD = (
    "value on the changed records, and its difference to the unchanged ones with an interval over groups and seeds; "
    "answers_changed is the share of answers that are another, mean over seeds"
)


@dataclass(frozen=True)
class Unchanged:
    """A system on the test split itself.

    Args:
        measured: There.
        scores: ``(S, N)`` there.
        thresholds: ``(S,)``, frozen.
    """

    measured: SeededMeasures
    scores: Floats
    thresholds: Floats


def refuse_other_probe(probe: SplitRecords, test: SplitRecords) -> None:
    """A probe of the test split holds its records, in its order.

    Raises:
        DataInvalid: Ids or labels are not those of the test split. Not retried.
    """
    if list(probe.ids) != list(test.ids) or not np.array_equal(probe.labels, test.labels):
        raise DataInvalid(
            probe.path, f"expected the ids and labels of {test.path}, in its order; make the probe from these records"
        )


def measure_robustness(
    resamples: Resamples, test: SplitRecords, unchanged: Unchanged, scores: Floats, *, confidence: float, seed: int
) -> dict[str, Any]:
    """``f1`` and ``auroc``, each ``value``, ``difference``, ``low``, ``high``; and ``answers_changed``.

    Args:
        resamples: Those that ``unchanged`` was measured on.
        test: The test split.
        unchanged: The system on it.
        scores: ``(S, N)`` on the probe.
        confidence: Coverage of the interval of the difference.
        seed: Seed of the draw of seeds.
    """
    thresholds = unchanged.thresholds
    points = [metrics_at(test.labels, own, threshold) for own, threshold in zip(scores, thresholds, strict=True)]
    resampled = resampled_metrics_by_seed(resamples, test.labels, scores, thresholds, MEASURED)
    measured: dict[str, Any] = {}
    for metric in MEASURED:
        value = float(np.mean([point[metric] for point in points]))
        means = [
            resampled_mean_over_seeds(values, seed=seed)
            for values in (resampled[metric], unchanged.measured.resampled[metric])
        ]
        before = float(unchanged.measured.by_seed[metric].mean())
        difference = paired_difference(value, before, (means[0], means[1]), confidence)
        measured[metric] = {
            "value": value,
            "difference": difference.value,
            "low": difference.interval.low,
            "high": difference.interval.high,
        }
    answers = (scores >= thresholds[:, None]), (unchanged.scores >= thresholds[:, None])
    return {**measured, "answers_changed": float((answers[0] != answers[1]).mean())}
