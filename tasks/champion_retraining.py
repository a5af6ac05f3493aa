"""Training a frozen champion once more, somewhere else, and comparing the weights byte for byte.

The job is the one that made the champion: its settings, on the records that were frozen with it, by
``python -m models`` under supervision. Equal bytes are promised for the same build only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from models.errors import CodewardenError, SettingsInvalid
from models.jobs.contract import SETTINGS_FILE
from models.jobs.layout import BUILD_FILE, plan_run
from models.jobs.registry import parse_job
from models.settings.train import TrainSettings
from models.store.manifest import parse_files, verify_file
from models.store.run_identity import RunIdentity, find_run
from tasks.champion_checks import Check
from tasks.champion_runs import read_json
from tasks.launchers.contract import Event, Launcher
from tasks.launchers.local import LocalProcess
from tasks.progress import log_line
from tasks.supervision import SupervisionSettings, supervise


def retrain(
    champion: Mapping[str, Any],
    runs_path: Path,
    scratch_path: Path,
    launcher_of: Callable[[Path], Launcher] = LocalProcess,
) -> Iterator[Check]:
    """Train the champion again and compare its weights.

    Args:
        champion: Content of ``champion.json``, checked.
        runs_path: The run root that holds its runs.
        scratch_path: A run root of its own, for what is trained here.
        launcher_of: Makes what runs jobs under a run root.

    Raises:
        SettingsInvalid: An input of the training is not there as it was. Not retried.
        JobFailed: The training did not come to its end; ``retryable`` tells whether running it again may help.
    """
    train_path = find_run(runs_path, _identity(champion["runs"]["train"][champion["trial"]]))
    settings = _settings_of(train_path, find_run(runs_path, _identity(champion["runs"]["data"])))
    plan = plan_run(settings, scratch_path)
    frozen_key = champion["runs"]["train"][champion["trial"]]["run_key"]
    if plan.run_key != frozen_key:
        raise SettingsInvalid(
            f"{train_path / SETTINGS_FILE}: its settings and inputs have run key {plan.run_key}, the champion has "
            f"{frozen_key}; retraining needs tokenizer, backbone and weights of records where they were"
        )
    differences = plan.build.differences(read_json(train_path / BUILD_FILE))
    another = f"another build ({'; '.join(differences)}), for which equal bytes are not promised" if differences else ""
    yield Check(f"retraining by {another or 'the same build'}")
    done = supervise(launcher_of(scratch_path), settings, plan, SupervisionSettings(), _tell)
    for name, expected in parse_files(champion["weights"]).items():
        try:
            verify_file(done.run_path / name, expected)
        except CodewardenError as error:
            yield Check(f"retrained {name}", f"{error}{'; it was trained by ' + another if another else ''}")
        else:
            yield Check(f"retrained {name} is equal, byte for byte")


def _settings_of(train_path: Path, data_path: Path) -> TrainSettings:
    """Settings of the training, reading the records where they lie now."""
    settings = parse_job((train_path / SETTINGS_FILE).read_bytes())
    if not isinstance(settings, TrainSettings):
        raise SettingsInvalid(f"{train_path / SETTINGS_FILE}: expected the settings of a training, found others")
    moved = {"train_data": data_path / settings.train_data.name, "val_data": data_path / settings.val_data.name}
    if settings.tokenizer is not None and settings.tokenizer.parent == settings.train_data.parent:
        moved["tokenizer"] = data_path / settings.tokenizer.name
    return settings.model_copy(update=moved)


def _identity(body: Mapping[str, Any]) -> RunIdentity:
    return RunIdentity.from_body("champion.json", body)


def _tell(event: Event) -> None:
    line = log_line(event)
    if line is not None:
        sys.stderr.write(f"{line}\n")
