"""The ``evaluate`` job: models beside honest baselines, thresholds frozen before the sealed split is opened.

Order of things: fit baselines on train, choose thresholds on validation, measure validation; then, only where a predict
run opened the test split, log an opening for the baselines, read it and apply the frozen thresholds once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import DataInvalid, Interrupted, SettingsInvalid
from models.evaluation.baselines import Baseline, fit_baselines
from models.evaluation.comparisons import CORRECTION
from models.evaluation.curves import thin
from models.evaluation.intervals import METHOD
from models.evaluation.measuring import Measuring, ScoredSystem, can_show, measure_split
from models.evaluation.metrics import Floats, as_json
from models.evaluation.records import SplitRecords, read_probabilities, read_split
from models.evaluation.targets import judge_targets
from models.evaluation.thresholds import TIE_RULE, best_f1_threshold
from models.jobs.contract import RESULT_FILE, JobContext, JobResult
from models.jobs.keys import run_key, sha256_of
from models.settings.evaluate import EvaluateSettings
from models.store.filesystem import LocalFilesystem, write_synced
from models.store.manifest import digest_file
from models.store.openings import append_opening

EVALUATION_FILE = "evaluation.json"
HEADLINE = ("f1", "mcc", "auroc", "auprc", "accuracy")


@dataclass(frozen=True)
class FrozenThreshold:
    """A system's threshold, settled on validation or fixed by what the system is."""

    value: float
    source: str
    curve: Floats | None


def run(settings: EvaluateSettings, context: JobContext) -> JobResult:
    """Measure models and baselines and write ``evaluation.json``.

    Raises:
        SettingsInvalid: No predictions, or a model has a baseline's name. Not retried.
        DataInvalid: Records and predictions do not belong together, or a split has one label only. Not retried.
        StoreUnavailable: The opening of the test split could not be logged; it stays closed. Retried.
        Interrupted: Asked to stop; nothing was written. Retried.
    """
    started = time.monotonic()
    _announce(context, "load")
    train, valid = (_both_labels(read_split(settings.data / f"{split}.jsonl")) for split in ("train", "valid"))
    if not settings.predictions:
        raise SettingsInvalid("predictions: name at least one finished predict run")
    scores = {
        model: read_probabilities(path / "predictions_valid.jsonl", valid)
        for model, path in settings.predictions.items()
    }
    _announce(context, "fit baselines")
    baselines = fit_baselines(train, seed=settings.seed)
    _refuse_shared_names(settings, baselines)
    scores |= {baseline.name: baseline.scorer(valid) for baseline in baselines}
    thresholds = freeze_thresholds(valid, scores, baselines)
    how = Measuring(settings.num_resamples, settings.confidence, settings.seed)
    _announce(context, "measure")
    splits = {"valid": _measure(valid, train, scores, thresholds, settings, how, context)}
    opened = [model for model, path in settings.predictions.items() if (path / "predictions_test.jsonl").exists()]
    if opened:
        _announce(context, "measure test")
        test = _open_test(settings, context, opened, baselines)
        test_scores = {
            model: read_probabilities(settings.predictions[model] / "predictions_test.jsonl", test) for model in opened
        } | {baseline.name: baseline.scorer(test) for baseline in baselines}
        splits["test"] = _measure(test, train, test_scores, thresholds, settings, how, context)
    evaluation = _describe(settings, baselines, thresholds, splits)
    _write(context.run_path / EVALUATION_FILE, evaluation)
    record = {"seconds_evaluating": round(time.monotonic() - started, 3)}
    return JobResult(numbers=_numbers(evaluation), files=(EVALUATION_FILE,), record=record)


def freeze_thresholds(
    valid: SplitRecords, scores: Mapping[str, Floats], baselines: Sequence[Baseline]
) -> dict[str, FrozenThreshold]:
    """A threshold for each system, from validation only."""
    fixed = {baseline.name: baseline.threshold for baseline in baselines if baseline.threshold is not None}
    frozen = {}
    for name, probabilities in scores.items():
        if name in fixed:
            frozen[name] = FrozenThreshold(fixed[name], "fixed", None)
            continue
        chosen = best_f1_threshold(valid.labels, probabilities)
        curve = thin(np.stack([chosen.thresholds, chosen.curve], axis=-1))
        frozen[name] = FrozenThreshold(chosen.value, "best F1 on validation", curve)
    return frozen


def _open_test(
    settings: EvaluateSettings, context: JobContext, opened: Sequence[str], baselines: Sequence[Baseline]
) -> SplitRecords:
    """Log that the baselines see the test split, then read it."""
    path = settings.data / "test.jsonl"
    train_sha256 = digest_file(settings.data / "train.jsonl").sha256
    append_opening(
        context.runs_path,
        # Baselines have no weights on disk: what they were fitted from names them.
        model_sha256=sha256_of(
            {"baselines": [b.name for b in baselines], "seed": settings.seed, "train": train_sha256}
        ),
        data_sha256=digest_file(path).sha256,
        split="test",
        purpose=f"baselines ({', '.join(b.name for b in baselines)}) beside {', '.join(opened)}",
        run_key=run_key(settings),
        attempt=context.attempt,
    )
    return _both_labels(read_split(path))


def _measure(
    records: SplitRecords,
    train: SplitRecords,
    scores: Mapping[str, Floats],
    thresholds: Mapping[str, FrozenThreshold],
    settings: EvaluateSettings,
    how: Measuring,
    context: JobContext,
) -> dict[str, Any]:
    """One split with its own description in front; says what makes its numbers weak."""
    systems = [
        ScoredSystem(name, name in settings.predictions, probabilities, thresholds[name].value)
        for name, probabilities in scores.items()
    ]
    measured = measure_split(records, systems, how)
    in_train = set(train.groups)
    num_shared = sum(group in in_train for group in records.groups)
    split = records.path.stem
    if num_shared:
        context.events.notice(f"{num_shared} of {len(records)} {split} records share a commit with training", "warning")
    if not can_show(len(measured["comparisons"]), how):
        context.events.notice(
            f"num_resamples={how.num_resamples} is too few to show any difference on {split} after correcting for "
            f"{len(measured['comparisons'])} comparisons",
            "warning",
        )
    num_positive = int(records.labels.sum())
    return {
        "num_records": len(records),
        "num_groups": len(set(records.groups)),
        "num_positive": num_positive,
        "positive_share": num_positive / len(records),
        "records_with_group_in_train": num_shared,
        "thresholds_chosen_here": split == "valid",
        "sha256": digest_file(records.path).sha256,
        "can_show_a_difference": can_show(len(measured["comparisons"]), how),
        **measured,
    }


def _describe(
    settings: EvaluateSettings,
    baselines: Sequence[Baseline],
    thresholds: Mapping[str, FrozenThreshold],
    splits: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """The content of ``evaluation.json``."""
    kinds = {model: _model_kind(path) for model, path in settings.predictions.items()}
    f1_of = {
        split: {
            model: measured["systems"][model]["metrics"]["f1"]["value"]
            for model in kinds
            if model in measured["systems"]
        }
        for split, measured in splits.items()
    }
    constant = {split: measured["systems"]["always_1"]["metrics"]["f1"]["value"] for split, measured in splits.items()}
    models = {
        model: {
            "title": model,
            "is_model": True,
            "model_kind": kind,
            "description": f"model of kind {kind or 'unknown'}",
        }
        for model, kind in kinds.items()
    }
    plain = {b.name: {"title": b.title, "is_model": False, "description": b.description} for b in baselines}
    return {
        "test_opened": "test" in splits,
        "settings": {
            "num_resamples": settings.num_resamples,
            "confidence": settings.confidence,
            "seed": settings.seed,
            "interval_method": METHOD,
            "correction": CORRECTION,
            "threshold_rule": TIE_RULE,
        },
        "systems": models | plain,
        "thresholds": {name: _threshold_json(threshold) for name, threshold in thresholds.items()},
        "splits": as_json(splits),
        "targets": as_json(judge_targets(f1_of, kinds, constant)),
    }


def _threshold_json(threshold: FrozenThreshold) -> dict[str, Any]:
    """``value`` keeps every digit: rounded it might cut elsewhere."""
    curve = {} if threshold.curve is None else {"f1_curve": as_json(threshold.curve)}
    return {"value": threshold.value, "source": threshold.source, **curve}


def _numbers(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The few numbers that flows show."""
    headline = {
        split: {
            name: {metric: measured["metrics"][metric]["value"] for metric in HEADLINE}
            for name, measured in content["systems"].items()
        }
        for split, content in evaluation["splits"].items()
    }
    values = {name: threshold["value"] for name, threshold in evaluation["thresholds"].items()}
    return {"test_opened": evaluation["test_opened"], "thresholds": values, "metrics": headline}


def _both_labels(records: SplitRecords) -> SplitRecords:
    if len(set(records.labels.tolist())) == 1:
        raise DataInvalid(
            records.path, f"every record has label {records.labels[0]}; ranking metrics and thresholds need both labels"
        )
    return records


def _refuse_shared_names(settings: EvaluateSettings, baselines: Sequence[Baseline]) -> None:
    shared = sorted(set(settings.predictions) & {baseline.name for baseline in baselines})
    if shared:
        raise SettingsInvalid(f"predictions: {shared[0]!r} is the name of a baseline; name the model otherwise")


def _model_kind(predict_path: Path) -> str | None:
    """Kind of the model as the predict run tells it; ``None`` where predictions came from elsewhere."""
    path = predict_path / RESULT_FILE
    if not path.is_file():
        return None
    kind = json.loads(path.read_bytes()).get("numbers", {}).get("model_kind")
    return None if kind is None else str(kind)


def _announce(context: JobContext, phase: str) -> None:
    """Between phases a job may be asked to leave; nothing is kept, the next attempt begins anew."""
    if context.stop_requested():
        raise Interrupted(0)
    context.events.phase(phase)


def _write(path: Path, evaluation: dict[str, Any]) -> None:
    content = json.dumps(evaluation, indent=1, allow_nan=False) + "\n"
    write_synced(LocalFilesystem(), path, content.encode(), temp_folder=path.parent / ".temp")
