"""The ``weigh`` job: a weight for each training record, by how far out-of-fold scores confirm its label.

Order of things: read scores and refuse what may have leaked, calibrate each fold model on validation, score the labels,
weigh; then say what the scores are worth and what was done to the data, show the records that are trusted least of
their fold, and, where wrong labels were planted, how well they were found. Validation and test records are never
weighed: the test split is not opened here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import DataInvalid
from models.evaluation.metrics import Floats, as_json
from models.evaluation.out_of_fold.calibrated_scores import Calibrated, read_calibrated
from models.evaluation.out_of_fold.judged_labels import Judged, judge
from models.evaluation.out_of_fold.label_trust import SCORE, noise_if_shuffled
from models.evaluation.out_of_fold.planted_noise import Planted, measure_planted, read_planted
from models.evaluation.out_of_fold.provenance import Provenance, read_provenance
from models.evaluation.out_of_fold.weighing_quality import (
    describe_quality,
    noise_warning,
    origins_warning,
    quality_of_all,
    quality_warnings,
    single_label_parts,
    spread_warning,
)
from models.evaluation.out_of_fold.weight_distribution import describe_distribution, describe_weights, rows_by
from models.evaluation.out_of_fold.weights_of_trust import LABELS, weights_of_trust
from models.evaluation.result_files import write_document, write_rows
from models.jobs.contract import JobContext, JobResult
from models.settings.weigh import WeighSettings

WEIGHTS_FILE = "weights.jsonl"
TRUST_FILE = "trust.jsonl"
HARD_SET_FILE = "hard_set.jsonl"
WEIGHING_FILE = "weighing.json"


def run(settings: WeighSettings, context: JobContext) -> JobResult:
    """Weigh the training records; write ``weights.jsonl``, ``trust.jsonl``, ``hard_set.jsonl``, ``weighing.json``.

    Raises:
        FusionLeak: A score may come from a model that learnt from its record. Not retried.
        DataInvalid: Records, folds, scores or planted labels do not belong together, a fold has one label only, or
            every record of a class would weigh nothing. Not retried.
        SettingsInvalid: The runs of one model are of several kinds. Not retried.
        Interrupted: Asked to stop; nothing was written. Retried.
    """
    started = time.monotonic()
    context.enter("load")
    scores = read_calibrated(settings.data, settings.folds, settings.out_of_fold)
    provenance = read_provenance(scores.train.path)
    planted = read_planted(settings.planted, provenance) if settings.planted is not None else None
    context.enter("weigh")
    judged = judge(scores)
    weights = _weights(scores, judged, settings)
    context.enter("measure")
    document = _describe(scores, provenance, judged, weights, settings)
    if planted is not None:
        document["planted"] = _describe_planted(scores, judged, planted, settings)
    for warning in document["warnings"]:
        context.events.notice(warning, "warning")
    context.enter("write")
    files = _write(scores, provenance, judged, weights, document, settings, context)
    record = {"seconds_weighing": round(time.monotonic() - started, 3)}
    return JobResult(numbers=_numbers(document), files=files, record=record)


def _weights(scores: Calibrated, judged: Judged, settings: WeighSettings) -> Floats:
    try:
        return weights_of_trust(
            scores.train.labels,
            judged.trust,
            judged.is_suspected,
            treatment=settings.treatment,
            min_weight=settings.min_weight,
            seed=settings.seed,
        )
    except ValueError as error:
        raise DataInvalid(scores.train.path, f"cannot be weighed by {settings.treatment}: {error}") from error


def _describe(
    scores: Calibrated, provenance: Provenance, judged: Judged, weights: Floats, settings: WeighSettings
) -> dict[str, Any]:
    """The content of ``weighing.json``, nothing planted."""
    labels = scores.train.labels
    sources = _describe_sources(labels, provenance, judged.trust, weights)
    quality = describe_quality(scores, provenance, seed=settings.seed)
    noise = _describe_noise(scores, judged, settings)
    spread = describe_weights(weights)
    origins = single_label_parts(labels, provenance.origins)
    suspected = {str(label): int((judged.is_suspected & (labels == label)).sum()) for label in LABELS}
    return {
        "treatment": settings.treatment,
        "score": SCORE,
        "min_weight": settings.min_weight,
        "num_records": len(labels),
        "num_never_held_out": len(labels) - len(scores.rows),
        "num_folds": scores.folds.num_folds,
        "models": {name: model.model_kind for name, model in scores.models.items()},
        "temperatures": as_json({name: [each.value for each in own] for name, own in scores.temperatures.items()}),
        "biases": as_json({name: [each.bias for each in own] for name, own in scores.temperatures.items()}),
        "estimated_noise": as_json(noise),
        "num_issues": suspected,
        "weights": as_json(spread),
        "distribution": as_json(
            {
                "before": describe_distribution(labels, np.ones(len(labels)), provenance),
                "after": describe_distribution(labels, weights, provenance),
            }
        ),
        "sources": as_json(sources),
        "single_label_origins": origins,
        "planted": None,
        "quality": as_json(quality),
        "warnings": [
            *_warnings(scores, sources),
            *origins_warning(origins),
            *quality_warnings(quality),
            *noise_warning(noise),
            *spread_warning(spread, settings.treatment),
        ],
    }


def _describe_noise(scores: Calibrated, judged: Judged, settings: WeighSettings) -> dict[str, Any]:
    """The estimate, the same for shuffled labels, and how well the scores rank the labels that they judge."""
    probabilities = judged.probability[scores.rows]
    return {
        **asdict(judged.noise),
        "shuffled": noise_if_shuffled(scores.labels, scores.fold, lambda _: probabilities, seed=settings.seed),
        "auroc": quality_of_all(scores, probabilities, seed=settings.seed).as_json(),
    }


def _describe_planted(scores: Calibrated, judged: Judged, planted: Planted, settings: WeighSettings) -> dict[str, Any]:
    found = measure_planted(
        planted,
        scores.train.labels,
        judged.trust,
        judged.trust_by_model,
        judged.is_suspected,
        scores.folds.groups,
        scores.folds.fold,
        seed=settings.seed,
    )
    described: dict[str, Any] = as_json(found)
    return described


def _describe_sources(
    labels: npt.NDArray[np.integer], provenance: Provenance, trust: Floats, weights: Floats
) -> list[dict[str, Any]]:
    described = []
    for source, rows in rows_by(provenance.sources).items():
        counts = {str(label): int((labels[rows] == label).sum()) for label in LABELS}
        known = trust[rows][~np.isnan(trust[rows])]
        described.append(
            {
                "source": source,
                "label_counts": counts,
                "mean_trust": float(known.mean()) if len(known) else float("nan"),
                "mean_weight": float(weights[rows].mean()),
                "single_label": min(counts.values()) == 0,
            }
        )
    return described


def _warnings(scores: Calibrated, sources: list[dict[str, Any]]) -> list[str]:
    never = len(scores.train) - len(scores.rows)
    found = list(scores.doubts)
    if never:
        found.append(f"{never} of {len(scores.train)} records were never held out: weight 1 before it is normalised")
    found += [
        f"source {entry['source']!r} has one label only; its weights are normalised with its class, not by itself, and "
        "trust in it may be trust in the source"
        for entry in sources
        if entry["single_label"]
    ]
    return found


def _write(
    scores: Calibrated,
    provenance: Provenance,
    judged: Judged,
    weights: Floats,
    document: Mapping[str, Any],
    settings: WeighSettings,
    context: JobContext,
) -> tuple[str, ...]:
    train, folds = scores.train, scores.folds.fold
    trusted = [
        {
            "id": record_id,
            "label": int(train.labels[row]),
            "trust": as_json(judged.trust[row]),
            "probability": as_json(judged.probability[row]),
            "fold": int(folds[row]) if folds[row] >= 0 else None,
            "source": provenance.sources[row],
            "origin": provenance.origins[row],
            "is_issue": bool(judged.is_suspected[row]),
        }
        for row, record_id in enumerate(train.ids)
    ]
    shown = [
        trusted[row]
        | {"trust_percentile": as_json(judged.percentile[row])}
        | {"code": train.codes[row], "project": train.categories["project"][row], "group": train.groups[row]}
        for row in _hard_set(scores, judged, settings.num_hard)
    ]
    weighed = ({"id": name, "weight": weight} for name, weight in zip(train.ids, weights.tolist(), strict=True))
    return (
        write_rows(context.run_path, WEIGHTS_FILE, weighed),
        write_rows(context.run_path, TRUST_FILE, trusted),
        write_rows(context.run_path, HARD_SET_FILE, shown),
        write_document(context.run_path, WEIGHING_FILE, document),
    )


def _hard_set(scores: Calibrated, judged: Judged, num_hard: int) -> list[int]:
    """Rows trusted least of their fold, of equal ones the less trusted: no one fold model has them all."""
    rows = scores.rows
    order = np.lexsort((judged.trust[rows], judged.percentile[rows]))
    return [int(row) for row in rows[order[:num_hard]]]


def _numbers(document: Mapping[str, Any]) -> dict[str, Any]:
    planted = document["planted"]
    return {
        "treatment": document["treatment"],
        "num_records": document["num_records"],
        "num_never_held_out": document["num_never_held_out"],
        "num_issues": document["num_issues"],
        "estimated_noise": document["estimated_noise"],
        "effective_sample_size": document["weights"]["effective_sample_size"],
        "weights": document["weights"],
        "planted_auroc": None if planted is None else planted["auroc"],
    }
