"""Inputs that a person names and no job of a plan makes: looked at before anything is started, a server included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from models.errors import SettingsInvalid
from models.jobs.keys import missing_paths
from models.settings.fields import Settings
from tasks.remote_inputs import INPUTS_FOLDER


def refuse_missing_inputs(jobs: Sequence[Settings], runs_path: Path) -> None:
    """Look whether each input is there, fetched, or made by an earlier job.

    Args:
        jobs: Of a flow, in order.
        runs_path: The run root, absolute; jobs leave what they make in the folder of their kind.

    Raises:
        SettingsInvalid: an input is not there. Not retried.
    """
    made = {INPUTS_FOLDER}
    for job in jobs:
        for field, path in missing_paths(job).items():
            if _folder_in(runs_path, path) not in made:
                raise SettingsInvalid(
                    f"{'.'.join(field)}: no file or folder at {path}; give the path of an existing one"
                )
        made.add(str(getattr(job, "kind")))  # noqa: B009  every job has one; Settings itself does not


def _folder_in(runs_path: Path, path: Path) -> str | None:
    """The folder of the run root that a path lies in."""
    inside = path.absolute().relative_to(runs_path).parts if path.absolute().is_relative_to(runs_path) else ()
    return inside[0] if inside else None
