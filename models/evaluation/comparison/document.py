"""What ``comparison.json`` says: measurements in, JSON out.

No path, clock or host gets in: the same measurements give the same bytes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from models.evaluation.comparison import baselines as comparison_baselines
from models.evaluation.comparison import measures as seeded_measures
from models.evaluation.comparison import pair_metrics, robustness, vulnerability_score
from models.evaluation.comparison.differences import CORRECTION, METHODS, Corrected
from models.evaluation.comparison.measures import SeededMeasures
from models.evaluation.comparison.systems import Frozen, System
from models.evaluation.curves import calibration_bins
from models.evaluation.intervals import METHOD
from models.evaluation.measuring import Measuring
from models.evaluation.metrics import Floats, as_json
from models.evaluation.records import SplitRecords
from models.evaluation.seed_resamples import MEDIAN_SEED_RULE
from models.evaluation.seed_resamples import METHOD as SEED_METHOD
from models.evaluation.thresholds import TIE_RULE
from models.settings.compare import CompareSettings
from models.store.manifest import digest_file

P_DIGITS = 6
"""Significant digits of a p-value: rounded to decimals a small one would be 0."""


@dataclass(frozen=True)
class SystemResult:
    """All that was measured of one system.

    Args:
        system: The system.
        frozen: What validation settled.
        scores: ``(S, N)`` on the measured split.
        measured: Its metrics there.
        vds: Of ``measure_vulnerability_score``.
        pairs: Of ``measure_pairs``; ``None`` where it was not measured on pairs.
        robustness: Of ``measure_robustness``, by probe.
    """

    system: System
    frozen: Frozen
    scores: Floats
    measured: SeededMeasures
    vds: Mapping[str, Any]
    pairs: Mapping[str, Any] | None = None
    robustness: Mapping[str, Any] = field(default_factory=dict)


def describe_settings(settings: CompareSettings) -> dict[str, Any]:
    """How it was measured, and each method in words."""
    return {
        "num_resamples": settings.num_resamples,
        "confidence": settings.confidence,
        "power": settings.power,
        "seed": settings.seed,
        "max_false_alarms": settings.max_false_alarms,
        "methods": {
            "interval": f"{METHOD} (commits); {SEED_METHOD.replace('files', 'groups')}",
            "baselines": comparison_baselines.METHOD,
            "threshold": f"best F1 on validation, for each seed; {TIE_RULE}",
            "median_seed": f"on validation: {MEDIAN_SEED_RULE}",
            "seed_sd": "standard deviation over seeds on the measured records; null with one seed",
            "sampling_se": "standard error of the mean of these very seeds, over groups drawn anew",
            "ece": seeded_measures.NO_INTERVAL,
            "vds": vulnerability_score.METHOD,
            "pairs": pair_metrics.METHOD,
            "robustness": robustness.METHOD,
            **METHODS,
        },
        "correction": CORRECTION,
    }


def describe_data(
    train: SplitRecords, valid: SplitRecords, measured: SplitRecords, *, test_opened: bool
) -> dict[str, Any]:
    """What was measured on; the digest of the test split only where it was opened."""
    in_train = set(train.groups)
    return {
        "measured_on": "test" if test_opened else "valid",
        "num_records": len(measured),
        "num_groups": len(set(measured.groups)),
        "num_positive": int(measured.labels.sum()),
        "positive_share": as_json(float(measured.labels.mean())),
        "sources": dict(sorted(Counter(measured.categories.get("source", [])).items())),
        "records_with_group_in_train": sum(group in in_train for group in measured.groups),
        "test_sha256": digest_file(measured.path).sha256 if test_opened else None,
        "valid_num_records": len(valid),
        "valid_sha256": digest_file(valid.path).sha256,
    }


def describe_system(result: SystemResult, labels: npt.NDArray[np.int8], how: Measuring) -> dict[str, Any]:
    """One system; thresholds keep every digit: rounded they might cut elsewhere."""
    system, frozen = result.system, result.frozen
    return {
        "title": system.title,
        "phase": system.phase,
        "model_kind": system.model_kind,
        "is_model": system.is_model,
        "description": system.description,
        "seeds": list(system.seeds),
        "thresholds": dict(zip(system.seeds, frozen.thresholds.tolist(), strict=True)),
        "metrics": as_json(
            seeded_measures.describe(result.measured, system.seeds, confidence=how.confidence, seed=how.seed)
        ),
        "median_seed": system.seeds[frozen.median_row] if system.is_model else None,
        "calibration": as_json(_calibration(labels, result.scores)),
        "vds": {
            "thresholds": dict(zip(system.seeds, frozen.false_alarm_thresholds.tolist(), strict=True)),
            **as_json(dict(result.vds)),
        },
        "pairs": None if result.pairs is None else as_json(dict(result.pairs)),
        "robustness": as_json(dict(result.robustness)),
    }


def describe_comparison(row: Corrected) -> dict[str, Any]:
    """One difference with its tests."""
    of = row.of
    return {
        "first": of.first,
        "second": of.second,
        "metric": of.metric,
        **as_json({"difference": of.difference.value, "low": of.difference.interval.low}),
        "high": as_json(of.difference.interval.high),
        "p_bootstrap": _p(of.difference.p_value),
        "p_bootstrap_corrected": _p(row.p_bootstrap),
        "p_combined": _p(of.p_combined),
        "p_combined_corrected": _p(row.p_combined),
        "degrees": as_json(of.degrees),
        "p_t": _p(of.p_t),
        "p_t_corrected": _p(row.p_t),
        "p_mcnemar": _p(of.p_mcnemar),
        "p_mcnemar_corrected": _p(row.p_mcnemar),
        "share_first_better": as_json(of.share_first_better),
        "minimum_detectable": as_json(of.minimum_detectable),
        "num_seeds": of.num_seeds,
        "shown": row.shown,
        "too_bold": of.is_too_bold,
    }


def _calibration(labels: npt.NDArray[np.int8], scores: Floats) -> list[dict[str, float | int]]:
    """Bins of all seeds' scores together."""
    return calibration_bins(np.tile(labels, len(scores)), scores.ravel())


def _p(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.{P_DIGITS}g}")
