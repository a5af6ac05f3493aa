"""The two stages of a comparison: what validation settles, and what is opened to be measured with it.

``settle`` is given no file of the test split, so that nothing of it can reach what is frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from models.errors import DataInvalid, SettingsInvalid
from models.evaluation.baselines import Baseline
from models.evaluation.comparison.baselines import fit_on_every_training_set
from models.evaluation.comparison.probe_measures import Probe, open_probe, scorers_of
from models.evaluation.comparison.same_records import TrainingSet, read_training_sets, refuse_other_data
from models.evaluation.comparison.systems import Frozen, System, baseline_systems, freeze
from models.evaluation.measuring import Measuring
from models.evaluation.metrics import Floats
from models.evaluation.record_sets import both_labels
from models.evaluation.records import SplitRecords, read_split
from models.evaluation.sealed_test import open_for_baselines
from models.jobs.contract import JobContext
from models.jobs.keys import run_key
from models.settings.compare import CompareSettings

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Settled:
    """What is known before the test split may be opened.

    Args:
        key: Key of the run, from before anything was read: reading may leave an Arrow copy beside records without one.
        training_sets: What systems may have learnt from; the first is that of ``data``.
        valid: Records of validation.
        baselines: Fitted.
        systems: Models, then baselines.
        scores: ``(S, N)`` of each system on validation.
        frozen: What validation settled for each.
    """

    key: str
    training_sets: Sequence[TrainingSet]
    valid: SplitRecords
    baselines: Sequence[Baseline]
    systems: Sequence[System]
    scores: Mapping[str, Floats]
    frozen: Mapping[str, Frozen]

    @property
    def train(self) -> SplitRecords:
        """The training records of ``data``."""
        return self.training_sets[0].records

    @property
    def models(self) -> list[System]:
        """The systems that are models."""
        return [system for system in self.systems if system.is_model]


@dataclass(frozen=True)
class Opened:
    """What is measured: the test split with its probes, or validation.

    Args:
        is_test: Which of the two.
        records: Of the split.
        scores: ``(S, N)`` of each system on it.
        probes: Beside the test split.
    """

    is_test: bool
    records: SplitRecords
    scores: Mapping[str, Floats]
    probes: Sequence[Probe] = ()

    @property
    def split(self) -> str:
        """Name of the split."""
        return "test" if self.is_test else "valid"


def settle(settings: CompareSettings, models: Sequence[System], announce: Announce) -> Settled:
    """Fit baselines on training, and choose thresholds and median seeds on validation.

    Args:
        settings: Of the job.
        models: The systems that are models.
        announce: Told the name of each phase.

    Raises:
        SettingsInvalid: The records are findings, or a model has the name of a baseline. Not retried.
        DataInvalid: Records and predictions do not belong together, or cannot be used. Not retried.
    """
    key = run_key(settings)
    train, valid = (_usable(read_split(settings.data / f"{split}.jsonl")) for split in ("train", "valid"))
    refuse_other_data(settings.same_data, valid, "valid")
    training_sets = read_training_sets(settings.data, train, settings.same_data)
    scores = {system.name: system.scores("valid", valid) for system in models}
    announce("fit baselines")
    baselines = fit_on_every_training_set(training_sets, seed=settings.seed)
    beside = baseline_systems(baselines, models)
    scores |= {system.name: system.scores("valid", valid) for system in beside}
    announce("settle thresholds")
    systems = [*models, *beside]
    frozen = {
        system.name: freeze(
            valid.labels,
            scores[system.name],
            fixed=None if system.baseline is None else system.baseline.threshold,
            max_false_alarms=settings.max_false_alarms,
        )
        for system in systems
    }
    return Settled(key, training_sets, valid, baselines, systems, scores, frozen)


def open_test(settings: CompareSettings, context: JobContext, settled: Settled) -> Opened:
    """The test split and the probes beside it, each logged before it is read.

    Raises:
        SettingsInvalid: Some runs of a model scored a probe and some did not. Not retried.
        DataInvalid: Records and predictions do not belong together, or cannot be used. Not retried.
        StoreUnavailable: The opening could not be logged; the split stays closed. Retried.
    """
    opener = partial(
        open_for_baselines,
        context=context,
        baselines=settled.baselines,
        key=settled.key,
        train_path=settings.data / "train.jsonl",
        seed=settings.seed,
        beside=[model.name for model in settled.models],
    )
    test = _usable(opener(settings.data / "test.jsonl", split="test"))
    refuse_other_data(settings.same_data, test, "test")
    scores = {system.name: system.scores("test", test) for system in settled.systems}
    probes = []
    for name, scored_by in scorers_of(list(settings.probes), settled.models).items():
        if scored_by:
            opened = partial(opener, split=name)
            probes.append(open_probe(name, settings.probes[name], scored_by, test, how_to_measure(settings), opened))
    return Opened(True, test, scores, probes)


def how_to_measure(settings: CompareSettings) -> Measuring:
    """Resamples, coverage and seed."""
    return Measuring(settings.num_resamples, settings.confidence, settings.seed)


def _usable(records: SplitRecords) -> SplitRecords:
    """Functions of both labels, in two groups at least to draw from."""
    if records.are_findings:
        raise SettingsInvalid(f"data: {records.path} holds findings; systems are compared on functions")
    if len(set(records.groups)) < 2:
        raise DataInvalid(records.path, "all records are of one group; resamples are drawn from two or more")
    return both_labels(records)
