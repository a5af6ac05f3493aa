"""The systems of a comparison: models with a run a seed, and baselines, which have none; what each is frozen with.

Thresholds, and the seed that stands for a system, are settled from validation here, by a function that is given nothing
else. Files of the test split are only looked for, not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.errors import SettingsInvalid
from models.evaluation.baselines import Baseline
from models.evaluation.comparison.vulnerability_score import threshold_of_false_alarms
from models.evaluation.decisions import settle_chosen
from models.evaluation.metrics import Floats, confusion_of, f1, predictions_at
from models.evaluation.records import SplitRecords, read_probabilities
from models.evaluation.seed_resamples import median_seed
from models.settings.compare import ComparedSystem
from models.settings.decision import BestF1

NO_SEED = "-"
"""The one seed of a baseline."""
PHASE_OF_BASELINES = "baseline"


@dataclass(frozen=True)
class System:
    """What is compared.

    Args:
        name: Key in tables.
        title: For people.
        phase: Where it comes from.
        model_kind: Kind of the model; ``None`` for a baseline.
        description: What it knows.
        seeds: ``S`` seeds in rising order; of a baseline ``NO_SEED``.
        runs: Directory of the predictions of each seed; none for a baseline.
        baseline: The fitted baseline, if it is one.
    """

    name: str
    title: str
    phase: str
    model_kind: str | None
    description: str
    seeds: tuple[str, ...]
    runs: tuple[Path, ...] = ()
    baseline: Baseline | None = None

    @property
    def is_model(self) -> bool:
        """Whether it is a model (else a baseline)."""
        return self.baseline is None

    def files(self, split: str) -> dict[str, Path]:
        """The predictions of a split or probe by seed; there for a finished run, or not."""
        return {
            seed: run / f"predictions_{split}.jsonl" for seed, run in zip(self.seeds, self.runs, strict=self.is_model)
        }

    def scores(self, split: str, records: SplitRecords) -> Floats:
        """``(S, N)`` probabilities of label 1.

        Raises:
            DataInvalid: Predictions are missing or not of exactly these records. Not retried.
        """
        if self.baseline is not None:
            return self.baseline.scorer(records)[None]
        return np.stack([read_probabilities(path, records) for path in self.files(split).values()])


@dataclass(frozen=True)
class Frozen:
    """What validation settled for a system.

    Args:
        thresholds: ``(S,)`` of the best F1.
        false_alarm_thresholds: ``(S,)`` from which so few safe records are called as was allowed.
        median_row: Which of the seeds stands for it.
    """

    thresholds: Floats
    false_alarm_thresholds: Floats
    median_row: int


def model_systems(systems: Mapping[str, ComparedSystem]) -> list[System]:
    """The models, in the order of the settings."""
    found = []
    for name, system in systems.items():
        seeds = sorted(system.predictions, key=_by_number)
        description = f"{system.model_kind} of {system.phase}, {len(seeds)} seed{'s' * (len(seeds) > 1)}"
        runs = tuple(system.predictions[seed] for seed in seeds)
        found.append(System(name, system.title, system.phase, system.model_kind, description, tuple(seeds), runs))
    return found


def baseline_systems(baselines: Sequence[Baseline], models: Sequence[System]) -> list[System]:
    """The baselines beside them.

    Raises:
        SettingsInvalid: A model has the name of a baseline. Not retried.
    """
    shared = sorted({model.name for model in models} & {baseline.name for baseline in baselines})
    if shared:
        raise SettingsInvalid(f"systems: {shared[0]!r} is the name of a baseline; name the system otherwise")
    return [System(b.name, b.title, PHASE_OF_BASELINES, None, b.description, (NO_SEED,), baseline=b) for b in baselines]


def scored_by_all(systems: Sequence[System], split: str) -> bool:
    """Whether every run of the systems scored a split or probe; else none did.

    Raises:
        SettingsInvalid: Some did and some did not. Not retried.
    """
    runs = {f"{system.name} seed {seed}": path for system in systems for seed, path in system.files(split).items()}
    missing = [run for run, path in runs.items() if not path.is_file()]
    if missing and len(missing) < len(runs):
        raise SettingsInvalid(
            f"systems: {', '.join(missing[:3])}{' and others' * (len(missing) > 3)} have no predictions_{split}.jsonl, "
            f"and {len(runs) - len(missing)} other runs have; score {split} with all of them or with none"
        )
    return not missing


def freeze(labels: npt.ArrayLike, scores: Floats, *, fixed: float | None, max_false_alarms: float) -> Frozen:
    """Settle a system on validation.

    Args:
        labels: ``(N,)`` of validation, both present.
        scores: ``(S, N)`` on validation, one row a seed.
        fixed: The system's own threshold, which nothing changes.
        max_false_alarms: Share of records of label 0 that may be called.
    """
    thresholds = [settle_chosen(BestF1(), labels, own, fixed=fixed).value for own in scores]
    values = [
        float(f1(confusion_of(labels, predictions_at(own, at)))) for own, at in zip(scores, thresholds, strict=True)
    ]
    return Frozen(
        np.array(thresholds),
        np.array([threshold_of_false_alarms(labels, own, max_false_alarms) for own in scores]),
        median_seed(dict(enumerate(values))),
    )


def shared_rows(first: System, second: System) -> tuple[list[int], list[int]]:
    """Where the seeds that both systems have are, in either.

    Raises:
        SettingsInvalid: There is none. Not retried.
    """
    shared = [seed for seed in first.seeds if seed in second.seeds]
    if not shared:
        raise SettingsInvalid(
            f"comparisons: {first.name} and {second.name} share no seed ({', '.join(first.seeds)}; "
            f"{', '.join(second.seeds)}); train both with the same seeds, or list comparisons without this one"
        )
    return [first.seeds.index(seed) for seed in shared], [second.seeds.index(seed) for seed in shared]


def _by_number(seed: str) -> tuple[int, str]:
    """2 before 10; what is no number after those, by name."""
    return (int(seed), "") if seed.isdecimal() else (2**63, seed)
