"""The ``rank`` job: finished trials compared on validation beside baselines, and who of them goes on.

It is given records of training and validation only and opens no other, so it cannot see sealed data. Thresholds are
fixed, chosen on validation, or frozen by an earlier ranking; how, is in ``decisions``.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from models.errors import DataInvalid, SettingsInvalid
from models.evaluation.baselines import Baseline, fit_baselines
from models.evaluation.decisions import (
    Settled,
    rule_of_baselines,
    settle_chosen,
    settle_frozen,
    settle_frozen_baselines,
)
from models.evaluation.frozen_thresholds import FrozenRanking
from models.evaluation.intervals import Resamples, draw_resamples
from models.evaluation.metrics import Floats
from models.evaluation.ranking import Entry, choose_winner, rank, select
from models.evaluation.ranking_documents import (
    Json,
    baseline_documents,
    frozen_document,
    frozen_point,
    point_json,
    ranking_document,
    selection_document,
    sweep_document,
)
from models.evaluation.ranking_trials import TrialRun, read_trials
from models.evaluation.records import SplitRecords, data_digest, read_probabilities, read_split
from models.evaluation.result_files import write_content
from models.evaluation.threshold_sweep import recall_constrained
from models.evaluation.thresholds import distinct_thresholds
from models.jobs.contract import JobContext, JobResult
from models.settings.decision import Argmax, FrozenThreshold, ThresholdSweep
from models.settings.rank import RankSettings
from models.settings.selection import RANKING_FILE, SELECTION_FILE
from models.store.manifest import digest_file

CONFIG_FILE = "config_used.yaml"
SWEEP_FILE = "threshold_sweep_results.json"
MIN_RECALL = 0.95
"""Recall that the alternative threshold keeps where the decision names none."""
FOLDER_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


@dataclass(frozen=True)
class Thresholds:
    """What the trials and baselines of one ranking are answered by.

    Args:
        trials: Of each trial, by label.
        baselines: By name.
        alternatives: Of each trial, what its threshold that keeps the recall gives.
    """

    trials: Mapping[str, Settled]
    baselines: Mapping[str, Settled]
    alternatives: Mapping[str, Json]


def run(settings: RankSettings, context: JobContext) -> JobResult:
    """Rank the trials; write the ranking, the selection and what was used and chosen for each trial.

    Where several cannot be told apart and the settings ask to stop then, the ranking names nobody first and there is no
    selection.

    Raises:
        SettingsInvalid: A trial is no finished training run or not what it says it is. Not retried.
        DataInvalid: Scores, records or the ranking that froze the thresholds are not as they must be. Not retried.
        Interrupted: Asked to stop; nothing was written. Retried.
    """
    started = time.monotonic()
    context.enter("load")
    _refuse_names_of_no_folder(settings)
    runs = {run.label: run for run in read_trials(settings.trials)}
    train, valid = _usable(read_split(settings.train_data)), _usable(read_split(settings.val_data))
    val = _describe(valid, data_digest(settings.train_data, settings.val_data))
    scores = {label: read_probabilities(run.predictions_path, valid) for label, run in runs.items()}
    context.enter("fit baselines")
    baselines = fit_baselines(train, seed=settings.seed)
    baseline_scores = {baseline.name: baseline.scorer(valid) for baseline in baselines}
    context.enter("settle thresholds")
    if isinstance(settings.decision, FrozenThreshold):
        earlier = FrozenRanking(settings.decision.ranking)
        _refuse_other_data(earlier, val["data_sha256"], settings)
        thresholds = _frozen(earlier, runs, baselines, valid, scores)
    else:
        thresholds = _chosen(settings.decision, baselines, valid, scores, baseline_scores)
    context.enter("rank")
    resamples = draw_resamples(valid.groups, num_resamples=settings.num_resamples, seed=settings.seed)
    entries = [_entry(run, scores[label], thresholds.trials[label]) for label, run in runs.items()]
    ranked = rank(entries, valid.labels, resamples, confidence=settings.confidence, seed=settings.seed)
    winner = choose_winner(ranked, settings.no_clear_winner)
    selected = select(ranked, winner.first, settings.keep)
    beside = baseline_documents(baselines, baseline_scores, thresholds.baselines, valid.labels, resamples, settings)
    ranking = ranking_document(
        settings, val, ranked, winner, selected, thresholds.alternatives, beside, labels=valid.labels
    )
    documents = {RANKING_FILE: ranking}
    if selected:
        documents[SELECTION_FILE] = selection_document(settings, val, selected, runs)
    for done, entry in enumerate(entries, start=1):
        context.leave_if_asked()
        found = _trial_documents(settings, entry, runs[entry.label], valid, resamples, thresholds, val["sha256"])
        _warn_of_grid_ends(context, entry, found)
        documents |= found
        context.events.progress(done, len(entries), "trials")
    context.enter("write")
    contents = {name: _json_text(document) for name, document in documents.items()}
    contents |= {f"trials/{label}/{CONFIG_FILE}": _yaml_text(run.deciding) for label, run in runs.items()}
    for name, content in contents.items():
        write_content(context.run_path, name, content)
    record = {"seconds_ranking": round(time.monotonic() - started, 3)}
    return JobResult(numbers=_numbers(ranking), files=tuple(contents), record=record)


def _frozen(
    ranking: FrozenRanking,
    runs: Mapping[str, TrialRun],
    baselines: Sequence[Baseline],
    valid: SplitRecords,
    scores: Mapping[str, Floats],
) -> Thresholds:
    """Thresholds of an earlier ranking, by names; records and scores only measure what they give here."""
    sources = {label: ranking.of_trial(run.trial.configuration, run.trial.model) for label, run in runs.items()}
    return Thresholds(
        trials={label: settle_frozen(source) for label, source in sources.items()},
        baselines=settle_frozen_baselines(ranking, baselines),
        alternatives={
            label: frozen_point(source.alternative, valid.labels, scores[label]) for label, source in sources.items()
        },
    )


def _chosen(
    rule: Argmax | ThresholdSweep,
    baselines: Sequence[Baseline],
    valid: SplitRecords,
    scores: Mapping[str, Floats],
    baseline_scores: Mapping[str, Floats],
) -> Thresholds:
    """Thresholds by the rule, from validation."""
    min_recall = rule.min_recall if isinstance(rule, ThresholdSweep) else MIN_RECALL
    return Thresholds(
        trials={label: settle_chosen(rule, valid.labels, own) for label, own in scores.items()},
        baselines={
            baseline.name: settle_chosen(
                rule_of_baselines(rule), valid.labels, baseline_scores[baseline.name], fixed=baseline.threshold
            )
            for baseline in baselines
        },
        alternatives={label: _keeping_recall(valid, own, min_recall) for label, own in scores.items()},
    )


def _keeping_recall(valid: SplitRecords, scores: Floats, min_recall: float) -> Json:
    """The threshold, of all that differ in effect, that drops most false alarms and keeps the recall."""
    point = recall_constrained(valid.labels, scores, distinct_thresholds(scores), min_recall)
    assert point is not None, "the lowest threshold keeps every record"
    return {"min_recall": min_recall, **point_json(point)}


def _entry(run: TrialRun, probabilities: Floats, settled: Settled) -> Entry:
    trial = run.trial
    return Entry(
        run.label, trial.configuration, trial.family, trial.model, trial.seed, probabilities, settled.value, run.cost
    )


def _trial_documents(
    settings: RankSettings,
    entry: Entry,
    run: TrialRun,
    valid: SplitRecords,
    resamples: Resamples,
    thresholds: Thresholds,
    val_sha256: str,
) -> dict[str, Json]:
    """``threshold_sweep_results.json`` where a threshold was swept or frozen; argmax has none."""
    rule, name = settings.decision, f"trials/{entry.label}/{SWEEP_FILE}"
    if isinstance(rule, FrozenThreshold):
        return {name: frozen_document(entry, run, thresholds.trials[entry.label], valid.labels, val_sha256)}
    if isinstance(rule, ThresholdSweep):
        alternative = thresholds.alternatives[entry.label]
        return {name: sweep_document(rule, entry, run, valid, resamples, alternative, settings, val_sha256)}
    return {}


def _numbers(ranking: Json) -> Json:
    """The few numbers that flows show."""
    names = ("stage", "first", "first_because", "runner_up", "probability_beats_runner_up", "best_set", "selected")
    best = ranking["configurations"][0]
    return {
        **{name: ranking[name] for name in names},
        "best": {"configuration": best["configuration"], "f1": best["f1"]},
        "num_configurations": len(ranking["configurations"]),
    }


def _warn_of_grid_ends(context: JobContext, entry: Entry, documents: Mapping[str, Json]) -> None:
    for document in documents.values():
        if document.get("at_grid_end"):
            span = document["range"]
            context.events.notice(
                f"{entry.label}: threshold {entry.threshold:g} is an end of the grid ({span['low']:g} to "
                f"{span['high']:g}); a better one may lie beyond it: widen threshold.low or threshold.high",
                "warning",
            )


def _refuse_other_data(earlier: FrozenRanking, data_sha256: str, settings: RankSettings) -> None:
    """A threshold is frozen for the data that it was chosen on."""
    told = json.loads(earlier.path.read_bytes())["val"].get("data_sha256", "")
    if told != data_sha256:
        raise DataInvalid(
            earlier.path,
            f"its thresholds were chosen on other data ({told[:12] or 'not told'}) than {settings.train_data} and "
            f"{settings.val_data} hold ({data_sha256[:12]}); sweep again on these records",
        )


def _describe(valid: SplitRecords, data_sha256: str) -> Json:
    return {
        "sha256": digest_file(valid.path).sha256,
        "data_sha256": data_sha256,
        "num_records": len(valid),
        "num_files": len(set(valid.groups)),
        "num_positive": int(valid.labels.sum()),
    }


def _usable(records: SplitRecords) -> SplitRecords:
    """Both labels, and two groups at least to draw from."""
    if len(set(records.labels.tolist())) == 1:
        raise DataInvalid(records.path, f"every record has label {records.labels[0]}; a ranking needs both labels")
    if len(set(records.groups)) < 2:
        raise DataInvalid(records.path, "all records are of one file (group); resamples are drawn from two or more")
    return records


def _refuse_names_of_no_folder(settings: RankSettings) -> None:
    for label in settings.trials:
        if not FOLDER_NAME.fullmatch(label):
            raise SettingsInvalid(f"trials: {label!r} names a folder of the run; use letters, digits and . _ + - only")


def _json_text(document: Json) -> str:
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _yaml_text(deciding: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(dict(deciding), sort_keys=True, allow_unicode=True)
    return text
