"""The ``evaluate`` job: models beside honest baselines, thresholds settled before the sealed split is opened.

Order of things: fit baselines on train, settle thresholds (on validation, or by an earlier ranking), measure
validation; then, only where a run of predictions opened the test split, log an opening for the baselines, read it once
and apply the thresholds to each set in it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from models.errors import SettingsInvalid
from models.evaluation.baselines import Baseline, fit_baselines
from models.evaluation.decisions import CHOOSES, Settled, settle
from models.evaluation.evaluation_document import Predictions, describe_evaluation, describe_set, read_source
from models.evaluation.finished_predictions import verify_if_finished
from models.evaluation.measuring import (
    MAX_MODELS_COMPARED,
    Measuring,
    ScoredSystem,
    can_show,
    compared_text,
    measure_split,
    resamples_to_show,
)
from models.evaluation.metrics import Floats
from models.evaluation.record_sets import FINDINGS, SMALL_SET, WORDS, both_labels, kind_of, set_of, sets_of_test
from models.evaluation.records import SplitRecords, read_probabilities, read_split
from models.evaluation.result_files import write_document
from models.evaluation.sealed_test import open_for_baselines
from models.jobs.contract import JobContext, JobResult
from models.jobs.keys import run_key
from models.settings.evaluate import EvaluateSettings
from models.store.manifest import digest_file

EVALUATION_FILE = "evaluation.json"
SET_FILE = "evaluation_metadata.json"
HEADLINE = ("f1", "mcc", "auroc", "auprc", "accuracy")
HEADLINE_OF_FINDINGS = (*HEADLINE, "false_positive_reduction")
FOLDER_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


def run(settings: EvaluateSettings, context: JobContext) -> JobResult:
    """Measure models and baselines; write ``evaluation.json`` and, of findings, a file for each model and set.

    Raises:
        SettingsInvalid: No predictions, or a model has a name that cannot be used. Not retried.
        DataInvalid: Predictions are not as their run wrote them, records and predictions do not belong together, a set
            has one label only, or the ranking that froze the thresholds is not as it was written. Not retried.
        StoreUnavailable: The opening of the test split could not be logged; it stays closed. Retried.
        Interrupted: Asked to stop; nothing was written. Retried.
    """
    started = time.monotonic()
    context.enter("load")
    train, valid = (both_labels(read_split(settings.data / f"{split}.jsonl")) for split in ("train", "valid"))
    if not settings.predictions:
        raise SettingsInvalid("predictions: name at least one finished predict run")
    if train.are_findings:
        _refuse_names_of_no_folder(settings)
    for path in settings.predictions.values():
        verify_if_finished(path)
    scores = {
        model: read_probabilities(path / "predictions_valid.jsonl", valid)
        for model, path in settings.predictions.items()
    }
    context.enter("fit baselines")
    baselines = fit_baselines(train, seed=settings.seed)
    _refuse_shared_names(settings, baselines)
    scores |= {baseline.name: baseline.scorer(valid) for baseline in baselines}
    thresholds = settle(settings.decision, valid.labels, scores, baselines, settings.trials)
    _announce_fallbacks(thresholds, settings, context)
    how = Measuring(settings.num_resamples, settings.confidence, settings.seed)
    if len(settings.predictions) > MAX_MODELS_COMPARED:
        context.events.notice(f"compared: {compared_text(len(settings.predictions))}")
    context.enter("measure")
    splits = {"valid": _measure("valid", valid, train, scores, thresholds, settings, how, context)}
    opened = [model for model, path in settings.predictions.items() if (path / "predictions_test.jsonl").exists()]
    if opened:
        context.enter("measure test")
        test = _open_test(settings, context, opened, baselines)
        test_scores = {
            model: read_probabilities(settings.predictions[model] / "predictions_test.jsonl", test) for model in opened
        } | {baseline.name: baseline.scorer(test) for baseline in baselines}
        row_of = {record_id: row for row, record_id in enumerate(test.ids)}
        sets = {split: both_labels(records, split) for split, records in sets_of_test(test).items()}
        for split, records in sets.items():
            context.enter(f"measure {split}")
            rows = [row_of[record_id] for record_id in records.ids]
            own_scores = {name: probabilities[rows] for name, probabilities in test_scores.items()}
            splits[split] = _measure(split, records, train, own_scores, thresholds, settings, how, context)
    sources = {model: read_source(path) for model, path in settings.predictions.items()}
    evaluation = describe_evaluation(settings, kind_of(train), sources, baselines, thresholds, splits)
    documents: dict[str, dict[str, Any]] = {EVALUATION_FILE: evaluation}
    if evaluation["records"] == FINDINGS:
        documents |= _set_documents(evaluation, sources, baselines)
    for name, document in documents.items():
        write_document(context.run_path, name, document)
    record = {"seconds_evaluating": round(time.monotonic() - started, 3)}
    return JobResult(numbers=_numbers(evaluation), files=tuple(documents), record=record)


def _announce_fallbacks(thresholds: Mapping[str, Settled], settings: EvaluateSettings, context: JobContext) -> None:
    """Which models are measured at a threshold that was settled for another configuration."""
    for model, trial in settings.trials.items():
        source = thresholds[model].frozen_by
        if source is not None and source.is_fallback:
            context.events.notice(
                f"{model}: {source.stage} settled no threshold for {trial.configuration}; it is measured at "
                f"{source.threshold:g}, that of {source.configuration} (matched by {source.matched_by})",
                "warning",
            )


def _open_test(
    settings: EvaluateSettings, context: JobContext, opened: Sequence[str], baselines: Sequence[Baseline]
) -> SplitRecords:
    """Log that the baselines see the test split, then read it."""
    test = open_for_baselines(
        settings.data / "test.jsonl",
        context,
        baselines,
        key=run_key(settings),
        train_path=settings.data / "train.jsonl",
        seed=settings.seed,
        beside=opened,
    )
    return both_labels(test)


def _measure(
    split: str,
    records: SplitRecords,
    train: SplitRecords,
    scores: Mapping[str, Floats],
    thresholds: Mapping[str, Settled],
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
    num_groups, num_positive = len(set(records.groups)), int(records.labels.sum())
    words = WORDS[kind_of(records)]
    if num_shared:
        context.events.notice(
            f"{num_shared} of {len(records)} {split} records share a {words['one_group']} with training", "warning"
        )
    if records.are_findings and len(records) < SMALL_SET:
        context.events.notice(
            f"{split} is small: {len(records)} findings of {num_groups} files, {num_positive} true; its intervals are "
            "wide, and a difference must be large to be shown on it"
        )
    if not can_show(len(measured["comparisons"]), how):
        context.events.notice(
            f"num_resamples={how.num_resamples} is too few to show any difference on {split} after correcting for "
            f"{len(measured['comparisons'])} comparisons; give num_resamples="
            f"{resamples_to_show(len(measured['comparisons']), how)} or more, or fewer models",
            "warning",
        )
    return {
        "num_records": len(records),
        "num_groups": num_groups,
        "num_positive": num_positive,
        "positive_share": num_positive / len(records),
        "records_with_group_in_train": num_shared,
        "thresholds_chosen_here": split == "valid" and settings.decision.kind in CHOOSES,
        "sha256": digest_file(records.path).sha256,
        "can_show_a_difference": can_show(len(measured["comparisons"]), how),
        **measured,
    }


def _set_documents(
    evaluation: Mapping[str, Any], sources: Mapping[str, Predictions], baselines: Sequence[Baseline]
) -> dict[str, dict[str, Any]]:
    """``evaluation_metadata.json`` of each model and set by file name: the test sets it opened, else validation."""
    documents = {}
    for model, source in sources.items():
        on_test = [s for s in evaluation["splits"] if s != "valid" and model in evaluation["splits"][s]["systems"]]
        for split in on_test or ["valid"]:
            document = describe_set(evaluation, split, model, source, baselines)
            documents[f"sets/{model}/{set_of(split)}/{SET_FILE}"] = document
    return documents


def _numbers(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The few numbers that flows show."""
    metrics = HEADLINE_OF_FINDINGS if evaluation["records"] == FINDINGS else HEADLINE
    headline = {
        split: {
            name: {metric: measured["metrics"][metric]["value"] for metric in metrics}
            for name, measured in content["systems"].items()
        }
        for split, content in evaluation["splits"].items()
    }
    values = {name: threshold["value"] for name, threshold in evaluation["thresholds"].items()}
    return {"test_opened": evaluation["test_opened"], "thresholds": values, "metrics": headline}


def _refuse_shared_names(settings: EvaluateSettings, baselines: Sequence[Baseline]) -> None:
    shared = sorted(set(settings.predictions) & {baseline.name for baseline in baselines})
    if shared:
        raise SettingsInvalid(f"predictions: {shared[0]!r} is the name of a baseline; name the model otherwise")


def _refuse_names_of_no_folder(settings: EvaluateSettings) -> None:
    for model in settings.predictions:
        if not FOLDER_NAME.fullmatch(model):
            raise SettingsInvalid(
                f"predictions: {model!r} names a folder of the run; use letters, digits and . _ + - only"
            )
