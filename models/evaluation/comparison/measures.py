"""A system measured over seeds: values by seed, their mean with an interval, and the two parts of its uncertainty.

``seed_sd`` is how far seeds scatter on these records; ``sampling_se`` is how far the mean of these very seeds would
move on other groups. The interval is over both, seeds and groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.evaluation.curves import calibration_bins, expected_calibration_error
from models.evaluation.intervals import METRICS, Resamples, percentile_interval
from models.evaluation.metrics import Floats, metrics_at
from models.evaluation.seed_resamples import resampled_mean_over_seeds, resampled_metrics_by_seed

NO_INTERVAL = "ece has no interval: the gaps of its bins only grow where records are drawn anew, so one would be false"


@dataclass(frozen=True)
class SeededMeasures:
    """One system on one split.

    Args:
        by_seed: ``(S,)`` values of each metric, ``ece`` among them.
        resampled: ``(B, S)`` values of each metric but ``ece`` on the groups that a resample drew.
    """

    by_seed: dict[str, Floats]
    resampled: dict[str, Floats]

    def only(self, rows: list[int]) -> SeededMeasures:
        """Some of the seeds, by their places."""
        return SeededMeasures(
            {name: values[rows] for name, values in self.by_seed.items()},
            {name: values[:, rows] for name, values in self.resampled.items()},
        )


def measure(resamples: Resamples, labels: npt.ArrayLike, scores: Floats, thresholds: Floats) -> SeededMeasures:
    """Every metric of ``metrics.metrics_at``, and ``ece``.

    Args:
        resamples: Draws of groups, the same for all systems.
        labels: ``(N,)``, both present.
        scores: ``(S, N)`` probabilities of label 1, one row a seed.
        thresholds: ``(S,)``.
    """
    points = [metrics_at(labels, own, threshold) for own, threshold in zip(scores, thresholds.tolist(), strict=True)]
    by_seed = {name: np.array([point[name] for point in points]) for name in METRICS}
    by_seed["ece"] = np.array([expected_calibration_error(calibration_bins(labels, own)) for own in scores])
    return SeededMeasures(by_seed, resampled_metrics_by_seed(resamples, labels, scores, thresholds))


def describe(measured: SeededMeasures, seeds: tuple[str, ...], *, confidence: float, seed: int) -> dict[str, Any]:
    """Each metric as ``comparison.json`` has it: ``value``, ``low``, ``high``, ``seed_sd``, ``sampling_se``, values.

    Args:
        measured: Of one system.
        seeds: Their names.
        confidence: Coverage of the interval.
        seed: Seed of the draw of seeds.
    """
    return {
        name: {
            "value": float(values.mean()),
            **_precision(measured.resampled.get(name), confidence, seed),
            "seed_sd": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
            "by_seed": dict(zip(seeds, values.tolist(), strict=True)),
        }
        for name, values in measured.by_seed.items()
    }


def _precision(resampled: Floats | None, confidence: float, seed: int) -> dict[str, float]:
    if resampled is None:
        return {"low": math.nan, "high": math.nan, "sampling_se": math.nan}
    interval = percentile_interval(resampled_mean_over_seeds(resampled, seed=seed), confidence)
    return {"low": interval.low, "high": interval.high, "sampling_se": standard_error(resampled.mean(axis=1))}


def standard_error(resampled: Floats) -> float:
    """Standard deviation of resampled values ``(B,)``, those without a value left out; NaN for fewer than two."""
    defined = resampled[~np.isnan(resampled)]
    return float(defined.std(ddof=1)) if len(defined) > 1 else math.nan
