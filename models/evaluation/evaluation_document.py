"""What ``evaluation.json`` and, of findings, ``evaluation_metadata.json`` of each set say: measurements in, JSON out.

No path, clock or host gets in: the same measurements give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.evaluation.baselines import Baseline
from models.evaluation.comparisons import CORRECTION
from models.evaluation.decisions import Settled, rule_text
from models.evaluation.intervals import METHOD
from models.evaluation.measuring import compared_text
from models.evaluation.metrics import as_json
from models.evaluation.record_sets import FINDINGS, SMALL_SET, WORDS, set_of
from models.evaluation.targets import judge_targets
from models.jobs.contract import RESULT_FILE
from models.jobs.keys import deciding
from models.settings.evaluate import EvaluateSettings
from models.store.manifest import digest_file, read_manifest

Splits = Mapping[str, dict[str, Any]]


@dataclass(frozen=True)
class Predictions:
    """Where a model's scores come from.

    Args:
        model_kind: Kind of the model as its run tells it; ``None`` where the predictions came from elsewhere.
        run: ``kind`` and ``run_key`` of the run that made them, ``None`` likewise.
        model_run_key: Key of the training run, ``None`` likewise.
        sha256: Digest of the predictions by split file: ``valid`` and, where it was opened, ``test``.
    """

    model_kind: str | None
    run: Mapping[str, str] | None
    model_run_key: str | None
    sha256: Mapping[str, str]


def read_source(run_path: Path) -> Predictions:
    """What a predict or fuse run, or a training run that scored its own validation, says of its predictions."""
    result_path = run_path / RESULT_FILE
    numbers = json.loads(result_path.read_bytes()).get("numbers", {}) if result_path.is_file() else {}
    manifest = read_manifest(run_path)
    run = None if manifest is None else {"kind": manifest.kind, "run_key": manifest.run_key}
    is_training = manifest is not None and manifest.kind == "train"
    files = {split: run_path / f"predictions_{split}.jsonl" for split in ("valid", "test")}
    return Predictions(
        model_kind=numbers.get("model_kind"),
        run=run,
        model_run_key=manifest.run_key if manifest is not None and is_training else numbers.get("model_run_key"),
        sha256={split: digest_file(path).sha256 for split, path in files.items() if path.is_file()},
    )


def describe_evaluation(
    settings: EvaluateSettings,
    kind: str,
    sources: Mapping[str, Predictions],
    baselines: Sequence[Baseline],
    thresholds: Mapping[str, Settled],
    splits: Splits,
) -> dict[str, Any]:
    """The content of ``evaluation.json``.

    Args:
        settings: Of the job.
        kind: ``functions`` or ``findings``.
        sources: Where each model's scores come from.
        baselines: The baselines beside them.
        thresholds: Of each system.
        splits: What was measured on each.
    """
    models = {
        model: {
            "title": model,
            "is_model": True,
            "model_kind": source.model_kind,
            "description": f"model of kind {source.model_kind or 'unknown'}",
        }
        for model, source in sources.items()
    }
    plain = {b.name: {"title": b.title, "is_model": False, "description": b.description} for b in baselines}
    return {
        "records": kind,
        "words": dict(WORDS[kind]),
        "test_opened": "test" in splits,
        "settings": {
            "num_resamples": settings.num_resamples,
            "confidence": settings.confidence,
            "seed": settings.seed,
            "interval_method": f"{METHOD} ({WORDS[kind]['group']})",
            "correction": CORRECTION,
            "compared": compared_text(len(sources)),
            "decision": deciding(settings.decision),
            "threshold_rule": rule_text(settings.decision),
        },
        "systems": models | plain,
        "thresholds": {name: threshold.to_json() for name, threshold in thresholds.items()},
        "splits": as_json(splits),
        "targets": [] if kind == FINDINGS else as_json(_targets(sources, splits)),
    }


def describe_set(
    evaluation: Mapping[str, Any], split: str, model: str, source: Predictions, baselines: Sequence[Baseline]
) -> dict[str, Any]:
    """The content of ``evaluation_metadata.json``: one model on one set of findings, its baselines beside it."""
    measured = evaluation["splits"][split]
    file = "valid" if split == "valid" else "test"
    return {
        "model": model,
        "model_kind": source.model_kind,
        "set": set_of(split),
        "decision": evaluation["settings"]["decision"],
        "threshold_rule": evaluation["settings"]["threshold_rule"],
        **_system(evaluation, split, model),
        "num_records": measured["num_records"],
        "num_files": measured["num_groups"],
        "num_positive": measured["num_positive"],
        "is_small": measured["num_records"] < SMALL_SET,
        "thresholds_chosen_here": measured["thresholds_chosen_here"],
        "baselines": {
            baseline.name: {"title": baseline.title, **_system(evaluation, split, baseline.name)}
            for baseline in baselines
        },
        "intervals": {key: evaluation["settings"][key] for key in ("interval_method", "num_resamples", "confidence")},
        "digests": {
            "data_sha256": measured["sha256"],
            "predictions_sha256": source.sha256[file],
            "predictions_run": None if source.run is None else dict(source.run),
            "model_run_key": source.model_run_key,
        },
    }


def _system(evaluation: Mapping[str, Any], split: str, name: str) -> dict[str, Any]:
    measured = evaluation["splits"][split]["systems"][name]
    threshold = {key: value for key, value in evaluation["thresholds"][name].items() if key != "f1_curve"}
    return {"threshold": threshold, "metrics": measured["metrics"], "confusion": measured["confusion"]}


def _targets(sources: Mapping[str, Predictions], splits: Splits) -> list[dict[str, Any]]:
    """The targets that were set for functions; beside each what always answering 1 reaches."""

    def f1_of(measured: dict[str, Any], name: str) -> float:
        return float(measured["systems"][name]["metrics"]["f1"]["value"])

    return judge_targets(
        {
            split: {model: f1_of(measured, model) for model in sources if model in measured["systems"]}
            for split, measured in splits.items()
        },
        {model: source.model_kind for model, source in sources.items()},
        {split: f1_of(measured, "always_1") for split, measured in splits.items()},
    )
