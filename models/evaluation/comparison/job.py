"""The ``compare`` job: systems over seeds beside baselines, and which of their differences are shown.

Order of things: thresholds and median seeds are settled on validation by a function that sees nothing else; then, only
where every run scored it, the test split is opened (logged for the baselines), read once and measured with what was
frozen. Where no run scored it everything is measured on validation, and the document says so in every sentence.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from models.evaluation.comparison.differences import Contender, Corrected, Pairing, compare_systems, pairs_to_compare
from models.evaluation.comparison.document import (
    SystemResult,
    describe_comparison,
    describe_data,
    describe_settings,
    describe_system,
)
from models.evaluation.comparison.measures import measure
from models.evaluation.comparison.probe_measures import measure_probes, refuse_two_sets_of_pairs
from models.evaluation.comparison.robustness import Unchanged
from models.evaluation.comparison.same_records import find_leaks, tell_leaks
from models.evaluation.comparison.stages import Opened, Settled, how_to_measure, open_test, settle
from models.evaluation.comparison.systems import model_systems, scored_by_all
from models.evaluation.comparison.verdicts import verdicts_of
from models.evaluation.comparison.vulnerability_score import measure_vulnerability_score
from models.evaluation.comparison.warnings import (
    warnings_of_baselines,
    warnings_of_data,
    warnings_of_resamples,
    warnings_of_seeds,
)
from models.evaluation.finished_predictions import verify_system_run
from models.evaluation.intervals import draw_resamples
from models.evaluation.metrics import predictions_at
from models.evaluation.records import SplitRecords
from models.evaluation.result_files import write_document
from models.jobs.contract import JobContext, JobResult
from models.settings.compare import CompareSettings

COMPARISON_FILE = "comparison.json"
HEADLINE = ("f1", "mcc", "auroc", "auprc", "accuracy")


def run(settings: CompareSettings, context: JobContext) -> JobResult:
    """Measure systems and baselines, compare the systems, write ``comparison.json``.

    Raises:
        SettingsInvalid: Some runs scored the test split or a probe and some did not, two compared systems share no
            seed, or one has the name of a baseline. Not retried.
        DataInvalid: A run is not finished, altered, or of a model that left a fold out; records and predictions do not
            belong together, other data hold other records, or a split has one
            label or one group only. Not retried.
        StoreUnavailable: The opening of the test split could not be logged; it stays closed. Retried.
        Interrupted: Asked to stop; nothing was written. Retried.
    """
    started = time.monotonic()
    context.enter("load")
    models = model_systems(settings.systems)
    for run_path in (path for model in models for path in model.runs):
        verify_system_run(run_path)
    pairings = pairs_to_compare(models, settings.comparisons)
    is_test = scored_by_all(models, "test")
    refuse_two_sets_of_pairs(settings.probes)
    settled = settle(settings, models, context.enter)
    if is_test:
        context.enter("open test")
        opened = open_test(settings, context, settled)
    else:
        opened = Opened(False, settled.valid, settled.scores)
    context.enter("measure")
    results = _measure(settings, context, settled, opened)
    context.enter("compare")
    rows = _compare(settings, pairings, results, opened.records)
    leaks = find_leaks(settled.training_sets, opened.records, opened.split)
    warnings = _warnings(settings, settled, opened, results, rows, leaks)
    for warning in warnings:
        context.events.notice(warning, "warning")
    document = _document(settings, settled, opened, results, rows) | {"leaks": leaks, "warnings": warnings}
    write_document(context.run_path, COMPARISON_FILE, document)
    record = {"seconds_comparing": round(time.monotonic() - started, 3)}
    return JobResult(numbers=_numbers(document), files=(COMPARISON_FILE,), record=record)


def _measure(settings: CompareSettings, context: JobContext, settled: Settled, opened: Opened) -> list[SystemResult]:
    how, labels = how_to_measure(settings), opened.records.labels
    resamples = draw_resamples(opened.records.groups, num_resamples=how.num_resamples, seed=how.seed)
    results = []
    for done, system in enumerate(settled.systems, start=1):
        context.leave_if_asked()
        frozen, scores = settled.frozen[system.name], opened.scores[system.name]
        measured = measure(resamples, labels, scores, frozen.thresholds)
        vds = measure_vulnerability_score(
            resamples,
            labels,
            scores,
            frozen.false_alarm_thresholds,
            max_share=settings.max_false_alarms,
            confidence=how.confidence,
            seed=how.seed,
        )
        unchanged = Unchanged(measured, scores, frozen.thresholds)
        pairs, changed = measure_probes(opened.probes, system, opened.records, unchanged, resamples, how)
        results.append(SystemResult(system, frozen, scores, measured, vds, pairs, changed))
        context.events.progress(done, len(settled.systems), "systems")
    return results


def _compare(
    settings: CompareSettings, pairings: Sequence[Pairing], results: Sequence[SystemResult], records: SplitRecords
) -> list[Corrected]:
    contenders = {}
    for result in results:
        row = result.frozen.median_row
        answers = predictions_at(result.scores[row], float(result.frozen.thresholds[row]))
        contenders[result.system.name] = Contender(result.measured, answers == (records.labels == 1))
    return compare_systems(
        pairings,
        contenders,
        num_groups=len(set(records.groups)),
        confidence=settings.confidence,
        power=settings.power,
        seed=settings.seed,
    )


def _warnings(
    settings: CompareSettings,
    settled: Settled,
    opened: Opened,
    results: Sequence[SystemResult],
    rows: Sequence[Corrected],
    leaks: Sequence[dict[str, Any]],
) -> list[str]:
    known = {probe.name for probe in opened.probes}
    unscored = [name for name in settings.probes if name not in known]
    reason = "no run scored it" if opened.is_test else "the test split stays sealed"
    return [
        *warnings_of_data(
            settled.train,
            settled.valid,
            opened.records,
            max_false_alarms=settings.max_false_alarms,
            test_opened=opened.is_test,
        ),
        *tell_leaks(leaks, opened.split),
        *(f"probe {name} is not measured: {reason}" for name in unscored),
        *warnings_of_seeds(settled.models, settled.scores, rows, confidence=settings.confidence, power=settings.power),
        *warnings_of_baselines(settled.systems, {result.system.name: result.measured for result in results}),
        *warnings_of_resamples(len(rows), how_to_measure(settings)),
    ]


def _document(
    settings: CompareSettings,
    settled: Settled,
    opened: Opened,
    results: Sequence[SystemResult],
    rows: Sequence[Corrected],
) -> dict[str, Any]:
    labels = opened.records.labels
    told = verdicts_of(
        rows,
        num_records=len(labels),
        confidence=settings.confidence,
        power=settings.power,
        test_opened=opened.is_test,
    )
    return {
        "test_opened": opened.is_test,
        "settings": describe_settings(settings),
        "data": describe_data(settled.train, settled.valid, opened.records, test_opened=opened.is_test),
        "systems": {
            result.system.name: describe_system(result, labels, how_to_measure(settings)) for result in results
        },
        "comparisons": [describe_comparison(row) for row in rows],
        "verdicts": told,
    }


def _numbers(document: Mapping[str, Any]) -> dict[str, Any]:
    """The few numbers that flows show."""
    return {
        "test_opened": document["test_opened"],
        "metrics": {
            name: {metric: system["metrics"][metric]["value"] for metric in HEADLINE}
            for name, system in document["systems"].items()
        },
        "num_tests": len(document["comparisons"]),
        "verdicts": document["verdicts"],
    }
