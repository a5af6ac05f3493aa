"""The runs of the stages as people look for them: two trees of relative links under the run root, by trial label.

    runs/encoder/<label>/       config_used.yaml, threshold_sweep_results.json   → the ranking of the trial
                                best_model                                       → its training
    runs/evaluation/<label>/    <set>/evaluation_metadata.json                   → its evaluation

A view's label is the trial's with the date and key of its training run, so it is the same on every day and for every
restart. Nothing lies here that is not elsewhere: the view can be deleted and linked again. What is in the files is
decided by the jobs that write them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from models.errors import DataInvalid
from models.jobs.contract import SETTINGS_FILE
from models.settings.evaluate import TrialName
from models.store.filesystem import LocalFilesystem, disk_errors
from tasks.finished_runs import finished_runs, started_seconds, under_root

ENCODER_FOLDER = "encoder"
EVALUATION_FOLDER = "evaluation"
CONFIG_FILE = "config_used.yaml"
SWEEP_FILE = "threshold_sweep_results.json"
MODEL_FOLDER = "best_model"
EVALUATION_FILE = "evaluation_metadata.json"
SETS_FOLDER = "sets"
"""In an evaluate run: ``sets/<model>/<set>``; the sets are those it measured."""

_DATED_KEY = re.compile(r"_(?P<date>\d{8})-(?P<key>[0-9a-f]{12})$")


@dataclass(frozen=True)
class ViewedTrial:
    """A finished trial as the view shows it.

    Args:
        label: Label of the view: the trial's with date and key.
        train: Its training run.
        rank: The ranking that linked it last.
        evaluation: ``evaluation_metadata.json`` by set, as far as it was evaluated.
    """

    label: str
    train: Path
    rank: Path
    evaluation: dict[str, Path] = field(default_factory=dict)

    @property
    def trial(self) -> str:
        """Label of the trial within its ranking."""
        return self.label.rsplit("_", 2)[0]

    @property
    def name(self) -> TrialName:
        """Configuration and model, as its ranking calls them."""
        ranked = _read_settings(self.rank)["trials"][self.trial]
        return TrialName(configuration=ranked["configuration"], model=ranked["model"])

    @property
    def evaluate(self) -> Path | None:
        """The evaluation that was linked last; ``None`` where it was not evaluated."""
        return next((path.parents[3] for path in self.evaluation.values()), None)


def view_label(trial_label: str, train_path: Path) -> str:
    """Label of a trial's view: its own with date and key of its training run.

    Raises:
        DataInvalid: The directory is not named as training runs are. Not retried.
    """
    found = _DATED_KEY.search(train_path.parent.name)
    if found is None:
        raise DataInvalid(train_path, "expected a training run <label>_<date>-<key>/<build> under the run root")
    return f"{trial_label}_{found['date']}_{found['key']}"


def link_trials(runs_path: Path, rank_path: Path) -> dict[str, Path]:
    """Show every trial of a finished ranking under ``runs/encoder``; linking again changes nothing.

    Args:
        runs_path: The run root, above all runs.
        rank_path: Directory of the finished rank run.

    Returns:
        Folder of each trial's view, by trial label.

    Raises:
        DataInvalid: Something that is no link lies where one should; nothing is deleted. Not retried.
        StoreUnavailable: The disk refuses. Retried.
    """
    trials = _read_settings(rank_path)["trials"]
    folders = {}
    for trial_label, trial in trials.items():
        train_path = under_root(runs_path, trial["run"])
        folder = runs_path / ENCODER_FOLDER / view_label(trial_label, train_path)
        files = rank_path / "trials" / trial_label
        _link(folder / CONFIG_FILE, files / CONFIG_FILE)
        if (files / SWEEP_FILE).exists():
            _link(folder / SWEEP_FILE, files / SWEEP_FILE)
        _link(folder / MODEL_FOLDER, train_path / MODEL_FOLDER)  # last: with it a trial counts as finished
        folders[trial_label] = folder
    return folders


def link_evaluation(runs_path: Path, evaluate_path: Path, trial_labels: Mapping[str, str]) -> dict[str, Path]:
    """Show the sets that a finished evaluation measured under ``runs/evaluation``; linking again changes nothing.

    Args:
        runs_path: The run root, above all runs.
        evaluate_path: Directory of the finished evaluate run.
        trial_labels: Label of the trial that each model of the evaluation is, by the model's name in it.

    Returns:
        Folder of each model's view, by trial label.

    Raises:
        DataInvalid: Something that is no link lies where one should, or a model was not evaluated. Not retried.
        StoreUnavailable: The disk refuses. Retried.
    """
    predictions = _read_settings(evaluate_path)["predictions"]
    folders = {}
    for model, trial_label in trial_labels.items():
        if model not in predictions:
            raise DataInvalid(evaluate_path, f"did not evaluate {model!r}; it evaluated {', '.join(predictions)}")
        predict_path = under_root(runs_path, predictions[model])
        train_path = under_root(runs_path, _read_settings(predict_path)["model_run"])
        folder = runs_path / EVALUATION_FOLDER / view_label(trial_label, train_path)
        for measured in sorted((evaluate_path / SETS_FOLDER / model).glob(f"*/{EVALUATION_FILE}")):
            _link(folder / measured.parent.name / EVALUATION_FILE, measured)
        folders[trial_label] = folder
    return folders


def viewed_labels(runs_path: Path) -> list[str]:
    """Labels of all views of trials, sorted."""
    folder = runs_path / ENCODER_FOLDER
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def find_view(runs_path: Path, prefix: str) -> list[ViewedTrial]:
    """Finished trials whose view's label begins so, by label; what was not linked to its end is left out.

    Raises:
        DataInvalid: A link leads nowhere: its run was deleted. Not retried.
    """
    found = []
    for label in viewed_labels(runs_path):
        folder = runs_path / ENCODER_FOLDER / label
        if not label.startswith(prefix) or not os.path.lexists(folder / MODEL_FOLDER):
            continue
        files = _target(folder / CONFIG_FILE).parent
        evaluated = sorted((runs_path / EVALUATION_FOLDER / label).glob("*"))
        found.append(
            ViewedTrial(
                label,
                train=_target(folder / MODEL_FOLDER).parent,
                rank=files.parent.parent,
                evaluation={
                    path.name: _target(path / EVALUATION_FILE)
                    for path in evaluated
                    if os.path.lexists(path / EVALUATION_FILE)
                },
            )
        )
    return found


def by_ranking(runs_path: Path, trials: Sequence[ViewedTrial]) -> dict[Path, list[ViewedTrial]]:
    """The trials by the rankings that rank them, as these themselves say; the first that was made comes first.

    A trial may be of several stages, while its view links the latest only. Of one stage a ranking is left out where a
    later one ranks all of its trials.

    Raises:
        DataInvalid: A ranking has no settings. Not retried.
    """
    viewed = {(trial.trial, trial.train.parent.name): trial for trial in trials}
    found: dict[Path, list[ViewedTrial]] = {}
    shown: dict[str, list[set[tuple[str, str]]]] = {}
    for rank_path in sorted(finished_runs(runs_path, "rank"), key=started_seconds, reverse=True):
        settings = _read_settings(rank_path)
        trained = {
            (label, train.parent.name): train
            for label, ranked in settings["trials"].items()
            if (train := under_root(runs_path, ranked["run"])).is_dir()
        }
        later = shown.setdefault(settings["stage"], [])
        if not any(trained.keys() <= others for others in later):
            later.append(set(trained))
            own = [name for name in viewed if name in trained]
            found[rank_path] = [replace(viewed[name], train=trained[name], rank=rank_path) for name in own]
    return {rank_path: own for rank_path, own in reversed(found.items()) if own}


def _link(place: Path, target: Path) -> None:
    """A relative link to ``target``, put in its place at once; a link that is there is replaced, nothing else is."""
    with disk_errors(place):
        if os.path.lexists(place) and not place.is_symlink():
            raise DataInvalid(place, "a file that is no link lies where a link should; move it away and run this again")
        if not target.exists():
            raise DataInvalid(target, f"no such file or folder; {place} cannot be linked to it")
        _make_folder(place.parent)
        text = os.path.relpath(target.resolve(), place.parent.resolve())
        if place.is_symlink() and str(place.readlink()) == text:
            return
        temporary = place.with_name(f".{place.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(text)
        temporary.replace(place)
        LocalFilesystem().sync_folder(place.parent)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise DataInvalid(
            folder, "a file lies where a folder of links should; move it away and run this again"
        ) from None


def _target(place: Path) -> Path:
    if not place.exists():
        raise DataInvalid(
            place, "a link that leads nowhere: its run was deleted; delete this folder, or run its stage again"
        )
    return place.resolve()


def _read_settings(run_path: Path) -> dict[str, Any]:
    path = run_path / SETTINGS_FILE
    if not path.is_file():
        raise DataInvalid(path, "no such file; give the directory of a finished run")
    settings: dict[str, Any] = json.loads(path.read_bytes())
    return settings
