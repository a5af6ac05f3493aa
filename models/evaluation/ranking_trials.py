"""Finished training runs as trials to be ranked: what each says of itself, checked before any score is read.

Only files that ranking needs are opened, each against the run's manifest: scores of validation, the numbers of the
result, and the settings. Scores of sealed records may lie beside them and are not touched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import DataInvalid, ObjectCorrupt, ObjectMissing, SettingsInvalid
from models.evaluation.ranking import Cost
from models.jobs.contract import RESULT_FILE, SETTINGS_FILE
from models.jobs.keys import sha256_of
from models.jobs.question import QUESTION_FILE
from models.jobs.registry import parse_job
from models.settings.rank import RankedTrial
from models.settings.train import ModelSettings, TrainSettings
from models.store.manifest import Manifest, read_manifest, verify_file

PREDICTIONS_FILE = "predictions_valid.jsonl"


@dataclass(frozen=True)
class TrialRun:
    """A finished training run that is ranked.

    Args:
        label: Name of the trial.
        trial: What it is a trial of.
        run_key: Key of the run.
        deciding: The settings that decided it, inputs as digests.
        model: The model settings that were trained.
        cost: What it cost.
        predictions_path: Its scores of validation.
    """

    label: str
    trial: RankedTrial
    run_key: str
    deciding: Mapping[str, Any]
    model: ModelSettings
    cost: Cost
    predictions_path: Path


def read_trials(trials: Mapping[str, RankedTrial]) -> list[TrialRun]:
    """Every trial, by label; the order they were given in plays no part.

    Raises:
        SettingsInvalid: A trial is no finished training run, has another seed than it says, or differs from another of
            its configuration in more than the seed. Not retried.
        DataInvalid: A file of a run is not as it was written. Not retried.
    """
    runs = [_read_trial(label, trials[label]) for label in sorted(trials)]
    first: dict[str, TrialRun] = {}
    for run in runs:
        _refuse_unlike(first.setdefault(run.trial.configuration, run), run)
    return runs


def _read_trial(label: str, trial: RankedTrial) -> TrialRun:
    manifest = _manifest_of(label, trial.run)
    for name in (PREDICTIONS_FILE, RESULT_FILE):
        if name not in manifest.files:
            raise SettingsInvalid(f"trials.{label}.run: {trial.run} has no {name}; train again with this version")
        _verify(trial.run / name, manifest, name)
    decided = _deciding(trial.run, manifest)
    if decided["seed"] != trial.seed:
        raise SettingsInvalid(f"trials.{label}.seed: {trial.seed}, but {trial.run} was trained with {decided['seed']}")
    settings = parse_job((trial.run / SETTINGS_FILE).read_bytes())
    assert isinstance(settings, TrainSettings)
    numbers = json.loads((trial.run / RESULT_FILE).read_bytes())["numbers"]
    return TrialRun(
        label,
        trial,
        manifest.run_key,
        decided,
        settings.model,
        _cost(settings.model, numbers),
        trial.run / PREDICTIONS_FILE,
    )


def _manifest_of(label: str, run_path: Path) -> Manifest:
    try:
        manifest = read_manifest(run_path)
    except ObjectCorrupt as error:
        raise DataInvalid(run_path, f"its manifest is not as it was written ({error})") from error
    if manifest is None:
        raise SettingsInvalid(f"trials.{label}.run: {run_path} is not finished (no manifest); finish it first")
    if manifest.kind != "train":
        raise SettingsInvalid(f"trials.{label}.run: {run_path} is a run of kind {manifest.kind}, not a training run")
    return manifest


def _verify(path: Path, manifest: Manifest, name: str) -> None:
    try:
        verify_file(path, manifest.files[name])
    except (ObjectMissing, ObjectCorrupt) as error:
        raise DataInvalid(path, f"not as the run wrote it ({error}); train again") from error


def _deciding(run_path: Path, manifest: Manifest) -> dict[str, Any]:
    """What the run key is made of; its digest is that key, so it needs no entry in the manifest."""
    path = run_path / QUESTION_FILE
    try:
        decided: dict[str, Any] = json.loads(path.read_bytes())["deciding"]
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise DataInvalid(path, f"expected the question of the run ({error!r}); train again") from error
    if sha256_of(decided) != manifest.run_key:
        raise DataInvalid(path, f"not the question of run {manifest.run_key[:12]}; train again")
    return decided


def _cost(model: ModelSettings, numbers: Mapping[str, int]) -> Cost:
    return Cost(numbers["num_parameters"], model.epochs * numbers["num_train"])


def _refuse_unlike(one: TrialRun, other: TrialRun) -> None:
    """Trials of one configuration differ in their seed only, or their mean means nothing."""
    if (one.trial.model, one.trial.family) != (other.trial.model, other.trial.family):
        raise SettingsInvalid(f"trials: {one.label} and {other.label} are of one configuration but of two models")
    differing = sorted(_differences(one.deciding, other.deciding) - {"seed"})
    if differing:
        raise SettingsInvalid(
            f"trials: {one.label} and {other.label} are of one configuration ({one.trial.configuration}) but differ in "
            f"{', '.join(differing)}; only the seed may differ"
        )


def _differences(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name in one.keys() | other.keys():
        mine, theirs = one.get(name), other.get(name)
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            found |= _differences(mine, theirs, f"{prefix}{name}.")
        elif mine != theirs:
            found.add(f"{prefix}{name}")
    return found
