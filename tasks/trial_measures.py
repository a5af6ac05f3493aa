"""What the runs of a finished trial say of it: scores on validation, cost of its training, how it learnt; sealed test.

Numbers only; how they are shown is in ``analysis`` and ``analysis_page``.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from models.errors import DataInvalid
from models.evaluation.metrics import metrics_at
from models.jobs.contract import RECORD_FILE, RESULT_FILE
from models.settings.selection import RANKING_FILE
from tasks.run_view import SWEEP_FILE, ViewedTrial, by_ranking

PREDICTIONS_FILE = "predictions_valid.jsonl"
HISTORY_FILE = "history.json"
EVALUATION_FILE = "evaluation.json"
COMBINED, VALID = "combined", "valid"
"""Sets that are no technology's own: all of the sealed test that counts together, and what is not sealed."""


class Cost(NamedTuple):
    """What a training cost; ``None`` where it was not told.

    Args:
        seconds: Sum over the attempts that lived to tell theirs [s].
        num_silent: Attempts that did not: killed ones.
        samples_per_second: Of the last attempt.
        peak_memory_bytes: The largest of any attempt.
        num_parameters: Parameters of the model.
    """

    seconds: float | None
    num_silent: int
    samples_per_second: float | None
    peak_memory_bytes: int | None
    num_parameters: int | None


@dataclass(frozen=True)
class TrialMeasures:
    """A finished trial in numbers.

    Args:
        label: Label of its view.
        trial: Label within its ranking.
        seed: Seed of the run.
        threshold: The threshold it was ranked at.
        metrics: On validation at that threshold, from its own predictions.
        cost: Of its training.
        epochs: Its history, one entry per epoch.
        curve: F1 on validation by threshold, where thresholds were swept.
        test: On the sealed test, by set, with intervals, where it was evaluated there.
        test_thresholds: The threshold that each of these was measured at; an evaluation has its own.
        test_baselines: The same of the baselines beside it, by title.
    """

    label: str
    trial: str
    seed: int
    threshold: float
    metrics: Mapping[str, float]
    cost: Cost
    epochs: Sequence[Mapping[str, Any]] = ()
    curve: Sequence[tuple[float, float]] = ()
    test: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    test_thresholds: Mapping[str, float] = field(default_factory=dict)
    test_baselines: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class ConfigurationMeasures:
    """The finished trials of one configuration in one ranking.

    Args:
        name: Model and hyperparameters without the seed.
        entry: What ``ranking.json`` says of it.
        trials: Those that were asked for, by seed.
    """

    name: str
    entry: Mapping[str, Any]
    trials: Sequence[TrialMeasures]

    @property
    def mean_f1(self) -> float:
        """Mean F1 on validation over the trials."""
        return statistics.fmean(trial.metrics["f1"] for trial in self.trials)

    @property
    def sd_f1(self) -> float | None:
        """Its standard deviation; ``None`` for one trial."""
        return statistics.stdev(trial.metrics["f1"] for trial in self.trials) if len(self.trials) > 1 else None

    def mean(self, metric: str) -> float:
        """Mean of any other metric on validation."""
        return statistics.fmean(trial.metrics[metric] for trial in self.trials)


@dataclass(frozen=True)
class StageMeasures:
    """The trials of one ranking.

    Args:
        ranking: Content of ``ranking.json``.
        configurations: Best mean F1 on validation first; nothing of the test is looked at for it.
    """

    ranking: Mapping[str, Any]
    configurations: Sequence[ConfigurationMeasures]

    @property
    def trials(self) -> list[TrialMeasures]:
        """All trials, in the order of their configurations."""
        return [trial for configuration in self.configurations for trial in configuration.trials]

    @property
    def test_baselines(self) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
        """Baselines on the sealed test, by title and set; empty where no trial was evaluated there."""
        return next((trial.test_baselines for trial in self.trials if trial.test), {})

    @property
    def test_sets(self) -> list[str]:
        """Sets of the sealed test that a trial was evaluated on: the combined one, then each technology's."""
        found = {name for trial in self.trials for name in trial.test}
        return sorted(found, key=lambda name: (name != COMBINED, name))


def measure_stages(runs_path: Path, trials: Sequence[ViewedTrial]) -> list[StageMeasures]:
    """Finished trials by the rankings that rank them, earlier stages first; a trial may be in several.

    Args:
        runs_path: The run root that holds the rankings.
        trials: As the view shows them.

    Raises:
        DataInvalid: A file of their runs is missing, or a ranking does not know its trial. Not retried.
    """
    stages = [_stage(rank_path, ranked) for rank_path, ranked in by_ranking(runs_path, trials).items()]
    return sorted(stages, key=lambda stage: str(stage.ranking["stage"]))


def _stage(rank_path: Path, trials: Sequence[ViewedTrial]) -> StageMeasures:
    ranking = _read(rank_path / RANKING_FILE)
    places = {
        label: (entry["configuration"], seed)
        for entry in ranking["configurations"]
        for seed, label in entry["trials"].items()
    }
    entries = {entry["configuration"]: entry for entry in ranking["configurations"]}
    found: dict[str, list[TrialMeasures]] = {}
    for trial in trials:
        if trial.trial not in places:
            raise DataInvalid(rank_path / RANKING_FILE, f"does not rank {trial.trial}, its settings do; rank again")
        name, seed = places[trial.trial]
        found.setdefault(name, []).append(_measure(trial, int(seed), entries[name]["thresholds"][seed]))
    configurations = [
        ConfigurationMeasures(name, entries[name], sorted(measured, key=lambda trial: trial.seed))
        for name, measured in found.items()
    ]
    return StageMeasures(ranking, sorted(configurations, key=lambda each: (-each.mean_f1, each.name)))


def _measure(trial: ViewedTrial, seed: int, threshold: float) -> TrialMeasures:
    numbers = _read(trial.train / RESULT_FILE)["numbers"]
    test, thresholds, baselines = _test_metrics(trial)
    return TrialMeasures(
        label=trial.label,
        trial=trial.trial,
        seed=seed,
        threshold=threshold,
        metrics=_metrics(trial.train / PREDICTIONS_FILE, threshold),
        cost=_cost(trial.train, numbers.get("num_parameters")),
        epochs=_read(trial.train / HISTORY_FILE)["epochs"],
        curve=_curve(trial.rank / "trials" / trial.trial / SWEEP_FILE),
        test=test,
        test_thresholds=thresholds,
        test_baselines=baselines,
    )


def _metrics(path: Path, threshold: float) -> dict[str, float]:
    """Metrics of a training's own predictions on validation."""
    if not path.is_file():
        raise DataInvalid(path, "no such file; train again: every training leaves its predictions on validation")
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    labels = np.array([entry["label"] for entry in entries])
    return metrics_at(labels, np.array([entry["probability"] for entry in entries]), threshold)


def _cost(train_path: Path, num_parameters: int | None) -> Cost:
    attempts = _read(train_path / RECORD_FILE)["attempts"]
    told = [attempt["seconds"] for attempt in attempts if "seconds" in attempt]
    peaks = [attempt["peak_memory_bytes"] for attempt in attempts if "peak_memory_bytes" in attempt]
    return Cost(
        seconds=sum(told) if told else None,
        num_silent=len(attempts) - len(told),
        samples_per_second=attempts[-1].get("samples_per_second") if attempts else None,
        peak_memory_bytes=max(peaks, default=None),
        num_parameters=num_parameters,
    )


def _curve(path: Path) -> list[tuple[float, float]]:
    curve = _read(path).get("curve", []) if path.is_file() else []
    return [(point["threshold"], point["f1"]) for point in curve]


def _test_metrics(trial: ViewedTrial) -> tuple[dict[str, Any], dict[str, float], dict[str, dict[str, Any]]]:
    """By set of the sealed test: metrics with intervals, the threshold, and metrics of each baseline by title."""
    own: dict[str, Any] = {}
    thresholds: dict[str, float] = {}
    baselines: dict[str, dict[str, Any]] = {}
    for name, path in trial.evaluation.items():
        if name == VALID:
            continue
        evaluation = _read(path.parents[3] / EVALUATION_FILE)
        systems = evaluation["splits"]["test" if name == COMBINED else f"test_{name}"]["systems"]
        model = path.parents[1].name
        own[name] = systems[model]["metrics"]
        thresholds[name] = evaluation["thresholds"][model]["value"]
        for system, described in evaluation["systems"].items():
            if not described["is_model"]:
                baselines.setdefault(described["title"], {})[name] = systems[system]["metrics"]
    return own, thresholds, baselines


def _read(path: Path) -> Any:
    if not path.is_file():
        raise DataInvalid(path, "no such file; the run is not finished, or was damaged: run its stage again")
    return json.loads(path.read_bytes())
