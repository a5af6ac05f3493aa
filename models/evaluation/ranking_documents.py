"""What a rank run writes: ``ranking.json``, ``selection.json`` and the files of each trial; values in, JSON out.

F1 and its like are rounded as everywhere; a threshold never is, for it is applied again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from models.evaluation import best_set, seed_resamples
from models.evaluation.baselines import Baseline
from models.evaluation.decisions import Settled, rule_text
from models.evaluation.frozen_thresholds import MATCH_RULE, SEED_RULE
from models.evaluation.intervals import Interval, Resamples, percentile_interval
from models.evaluation.metrics import Floats, as_json, metrics_at, predictions_at
from models.evaluation.ranking import CHEAPEST_RULE, RANK_RULE, Entry, Ranked, Winner
from models.evaluation.ranking_trials import TrialRun
from models.evaluation.records import SplitRecords
from models.evaluation.seed_resamples import resampled_mean_f1
from models.evaluation.threshold_sweep import OperatingPoint, Sweep, per_technology, sweep, threshold_spread
from models.jobs.keys import deciding, role_of
from models.settings.decision import ThresholdSweep
from models.settings.rank import RankSettings
from models.settings.selection import SelectedConfiguration, Selection
from models.settings.train import ModelSettings

SHOWN = ("precision", "recall", "mcc", "auroc", "auprc", "accuracy", "false_positive_reduction")
AT_POINT = ("recall", "precision", "f1", "false_positive_reduction")

Json = dict[str, Any]


def ranking_document(
    settings: RankSettings,
    val: Mapping[str, Any],
    ranked: Sequence[Ranked],
    winner: Winner,
    selected: Sequence[Ranked],
    alternatives: Mapping[str, Json],
    baselines: Mapping[str, Json],
    labels: Any,
) -> Json:
    """The content of ``ranking.json``.

    Args:
        settings: Of the job.
        val: Digests and counts of the validation records.
        ranked: Best first.
        winner: Who comes first.
        selected: Who goes on, in order.
        alternatives: Of each trial, by label, what its threshold that keeps the recall gives.
        baselines: As ``baseline_documents`` tells them.
        labels: ``(N,)`` of validation.
    """
    names = [each.name for each in selected]
    in_set = [each.name for each in ranked if each.in_best_set]
    return {
        "stage": settings.stage,
        "decision": deciding(settings.decision),
        "keep": settings.keep.model_dump(mode="json"),
        "no_clear_winner": settings.no_clear_winner,
        "rules": {
            "threshold_tie": rule_text(settings.decision),
            "rank_tie": RANK_RULE,
            "frozen_seed": f"{SEED_RULE}; {seed_resamples.MEDIAN_SEED_RULE}",
            "frozen_match": MATCH_RULE,
            "set": f"{best_set.METHOD}; {seed_resamples.METHOD}",
            "cheapest": CHEAPEST_RULE,
        },
        "val": dict(val),
        "confidence": settings.confidence,
        "num_resamples": settings.num_resamples,
        "num_planned": settings.num_planned or len(settings.trials) + len(settings.failed),
        "failed": dict(sorted(settings.failed.items())),
        "configurations": [
            _configuration(place, each, ranked[0].f1, labels, alternatives) | {"kept": each.name in names}
            for place, each in enumerate(ranked, start=1)
        ],
        "best_set": {"configurations": in_set, "clear_winner": len(in_set) == 1},
        "first": None if winner.first is None else winner.first.name,
        "first_because": winner.because,
        "runner_up": None if winner.runner_up is None else winner.runner_up.name,
        "probability_beats_runner_up": as_json(winner.probability),
        "baselines": dict(baselines),
        "selected": names,
    }


def _configuration(place: int, each: Ranked, best: float, labels: Any, alternatives: Mapping[str, Json]) -> Json:
    """Means over the seeds, and beside them the median seed's own numbers, which stand for one trained model."""
    metrics = {entry.label: metrics_at(labels, entry.probabilities, entry.threshold) for entry in each.entries}
    return {
        "configuration": each.name,
        "family": each.family,
        "model": each.model,
        "rank": place,
        "seeds": list(each.f1_by_seed),
        "f1": _with_interval(each.f1, each.interval),
        "f1_by_seed": as_json({str(seed): value for seed, value in each.f1_by_seed.items()}),
        "median_seed": each.median_seed,
        "trials": {str(entry.seed): entry.label for entry in each.entries},
        "thresholds": {str(entry.seed): entry.threshold for entry in each.entries},
        "num_positive_answers": {
            str(entry.seed): int(predictions_at(entry.probabilities, entry.threshold).sum()) for entry in each.entries
        },
        "metrics": as_json(_means(list(metrics.values()), SHOWN)),
        "median_seed_metrics": as_json({name: metrics[each.median.label][name] for name in SHOWN}),
        "false_positive_reduction_at_recall": _at_recall(each, alternatives),
        "cost": each.cost._asdict(),
        "gap": as_json(best - each.f1),
        "in_best_set": each.in_best_set,
    }


def _at_recall(each: Ranked, alternatives: Mapping[str, Json]) -> Json:
    """Means over the seeds, each at its own threshold; ``threshold`` is the median seed's, the one to be frozen."""
    own = [alternatives[entry.label] for entry in each.entries]
    median = alternatives[each.median.label]
    return {
        "min_recall": median["min_recall"],
        "threshold": median["threshold"],
        "thresholds": {str(entry.seed): alternatives[entry.label]["threshold"] for entry in each.entries},
        **as_json(_means(own, AT_POINT)),
    }


def _means(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, float]:
    """NaN where any of the values has none."""
    columns = {name: [row.get(name) for row in rows] for name in names}
    return {
        name: math.nan if None in values else math.fsum(values) / len(values)  # type: ignore[arg-type]
        for name, values in columns.items()
    }


def baseline_documents(
    baselines: Sequence[Baseline],
    scores: Mapping[str, Floats],
    thresholds: Mapping[str, Settled],
    labels: Any,
    resamples: Resamples,
    settings: RankSettings,
) -> dict[str, Json]:
    """What each baseline reaches on validation, on the same resamples as the configurations."""
    answers = [predictions_at(scores[baseline.name], thresholds[baseline.name].value)[None] for baseline in baselines]
    resampled = resampled_mean_f1(resamples, labels, answers, seed=settings.seed)
    documents = {}
    for at, baseline in enumerate(baselines):
        threshold = thresholds[baseline.name].value
        metrics = metrics_at(labels, scores[baseline.name], threshold)
        documents[baseline.name] = {
            "title": baseline.title,
            "description": baseline.description,
            "threshold": threshold,
            "metrics": as_json({name: metrics[name] for name in ("f1", *SHOWN)}),
            "f1": _with_interval(metrics["f1"], percentile_interval(resampled[:, at], settings.confidence)),
        }
    return documents


def selection_document(
    settings: RankSettings, val: Mapping[str, Any], selected: Sequence[Ranked], runs: Mapping[str, TrialRun]
) -> Json:
    """The content of ``selection.json``: what the next stage reads.

    Args:
        settings: Of the job.
        val: As in ``ranking_document``.
        selected: Who goes on, in order; one at least.
        runs: The trials, by label.
    """
    chosen = tuple(
        SelectedConfiguration(
            rank=place,
            family=each.family,
            model=each.model,
            configuration=each.name,
            settings=_without_incidental(runs[each.median.label].model),
            f1=as_json(each.f1),
            threshold=each.median.threshold,
            run_key=runs[each.median.label].run_key,
        )
        for place, each in enumerate(selected, start=1)
    )
    selection = Selection(
        stage=settings.stage,
        keep=settings.keep,
        val_sha256=val["sha256"],
        data_sha256=val["data_sha256"],
        selected=chosen,
    )
    return selection.model_dump(mode="json")


def _without_incidental(model: ModelSettings) -> ModelSettings:
    """What decides nothing set to its default, so that equal rankings write equal bytes."""
    fields = type(model).model_fields.items()
    defaults = {name: field.get_default() for name, field in fields if role_of(field) == "incidental"}
    return model.model_copy(update=defaults)


def sweep_document(
    rule: ThresholdSweep,
    entry: Entry,
    run: TrialRun,
    records: SplitRecords,
    resamples: Resamples,
    alternative: Json,
    settings: RankSettings,
    val_sha256: str,
) -> Json:
    """``threshold_sweep_results.json`` of a trial whose threshold was chosen on validation."""
    grid = rule.grid()
    swept: Sweep = sweep(records.labels, entry.probabilities, grid)
    spread = asdict(threshold_spread(records.labels, entry.probabilities, grid, resamples, settings.confidence))
    return {
        "decision": "sweep",
        "threshold": entry.threshold,
        "at_grid_end": len(grid) > 1 and entry.threshold in (grid[0], grid[-1]),
        "f1": as_json(swept.chosen.f1),
        "tie_rule": rule_text(rule),
        "range": {"low": rule.low, "high": rule.high, "step": rule.step},
        "curve": [point_json(point) for point in swept.curve],
        "bootstrap": {
            "num_resamples": settings.num_resamples,
            "confidence": settings.confidence,
            **{name: value if name in ("low", "median", "high") else as_json(value) for name, value in spread.items()},
        },
        "alternatives": {
            "recall_constrained": alternative,
            "per_technology": _per_technology(records, entry, grid, settings.seed),
        },
        "chosen_on": {"split": "valid", "sha256": val_sha256},
        "run": {"label": run.label, "run_key": run.run_key},
    }


def frozen_document(entry: Entry, run: TrialRun, settled: Settled, labels: Any, val_sha256: str) -> Json:
    """``threshold_sweep_results.json`` of a trial whose threshold was frozen: no curve, for nothing was tried."""
    assert settled.frozen_by is not None
    return {
        "decision": "frozen",
        "threshold": entry.threshold,
        "f1": as_json(metrics_at(labels, entry.probabilities, entry.threshold)["f1"]),
        "source": settled.frozen_by.to_json(),
        "measured_on": {"split": "valid", "sha256": val_sha256},
        "run": {"label": run.label, "run_key": run.run_key},
    }


def point_json(point: OperatingPoint) -> Json:
    """A threshold with what it gives; the threshold keeps every digit."""
    return {**as_json(asdict(point)), "threshold": point.threshold}


def frozen_point(alternative: Mapping[str, Any], labels: Any, probabilities: Floats) -> Json:
    """What a frozen alternative threshold gives on these records; nothing is chosen on them."""
    threshold = alternative["threshold"]
    if threshold is None:
        return dict(alternative)
    metrics = metrics_at(labels, probabilities, threshold)
    return {
        "min_recall": alternative["min_recall"],
        "threshold": threshold,
        **as_json({name: metrics[name] for name in AT_POINT}),
    }


def _per_technology(records: SplitRecords, entry: Entry, grid: Sequence[float], seed: int) -> Json | None:
    """``None`` of records that have no technology."""
    technologies = records.categories.get("technology")
    if technologies is None:
        return None
    found = per_technology(records.labels, entry.probabilities, technologies, records.groups, np.array(grid), seed=seed)
    return {**as_json(asdict(found)), "thresholds": found.thresholds}


def _with_interval(value: float, interval: Interval) -> Json:
    found: Json = as_json({"value": value, "low": interval.low, "high": interval.high})
    return found
