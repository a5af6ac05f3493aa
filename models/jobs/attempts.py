"""What is written before a job begins: the attempt counted, and what its run directory answers, with which build."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.errors import BuildDiffers
from models.jobs.contract import RECORD_FILE, SETTINGS_FILE
from models.jobs.json_files import read_json, write_json
from models.jobs.keys import input_digests
from models.jobs.layout import BUILD_FILE, CHECKPOINTS_FOLDER, holds_checkpoints
from models.jobs.place_check import build_here, real_device_class
from models.jobs.placement import Placement
from models.jobs.provenance import EXPERIMENT_FILE, experiment_config, git_state, machine_state
from models.jobs.question import QUESTION_FILE, question_differences
from models.jobs.run_mirror import RunMirror, newest_attempt
from models.settings.fields import Settings
from models.settings.train import TrainSettings
from models.store.filesystem import LocalFilesystem
from models.store.head import published_head

OTHER_DEVICE_CLASS = "continued_on_other_device_class"
"""In an attempt of ``record.json``: the class of the machine that the run was on before."""
DAMAGED = "damaged_in_mirror"
"""In an attempt of ``record.json``: files that its mirror had lost or damaged when it began."""


def begin_attempt(
    settings: Settings,
    run_path: Path,
    question: Mapping[str, Any],
    *,
    placement: Placement,
    mirror: RunMirror | None = None,
    owns_run: bool = True,
    reuse_build: bool = False,
) -> int:
    """Write what is known before the job begins; gives the number of the attempt, counted from 1.

    Args:
        settings: Settings of the job.
        run_path: The run directory.
        question: What it answers, as ``question_of`` says; a run that holds work answers the same.
        placement: What is told of the place.
        mirror: Where the run is mirrored; what this machine lacked has come home.
        owns_run: Whether this machine may change the mirror.
        reuse_build: Whether a run begun by another build may be continued.

    Raises:
        BuildDiffers: the run holds checkpoints of another build, and ``reuse_build`` is off. Not retried.
        SettingsInvalid: an input does not exist, or the place is not the one that was planned. Not retried.
        StoreUnavailable: the mirror does not answer. Retried.
    """
    build = build_here(settings, placement)
    record = read_json(run_path / RECORD_FILE) or {"attempts": []}
    attempt = 1 + max(newest_attempt(record), _attempt_of_head(run_path), mirror.attempt() if mirror else 0)
    begun_by = read_json(run_path / BUILD_FILE)
    differences = build.differences(begun_by) if begun_by else []
    holds_progress = holds_checkpoints(run_path) or (mirror is not None and mirror.holds_checkpoints())
    if differences and holds_progress and not reuse_build:
        raise BuildDiffers(run_path, differences)
    if not holds_progress and (differences or question_differences(run_path, question)):
        _forget_checkpoints(run_path, mirror if owns_run else None)
    continued = _continued(record["attempts"], differences, real_device_class(build)) if holds_progress else {}
    git = placement.git or git_state()
    entry = {"attempt": attempt, "started": round(time.time(), 3), **git, **machine_state()}
    entry["device_class"] = real_device_class(build)
    if mirror is not None and mirror.damaged:
        entry[DAMAGED] = sorted(mirror.damaged)
    record["attempts"].append(entry | continued)
    settings_json = settings.model_dump(mode="json")
    write_json(run_path / RECORD_FILE, record)
    write_json(run_path / QUESTION_FILE, question)
    write_json(run_path / SETTINGS_FILE, settings_json)
    if begun_by is None or not holds_progress:
        write_json(run_path / BUILD_FILE, build.to_json())
    if isinstance(settings, TrainSettings):
        config = experiment_config(settings_json, input_digests(settings), build, git)
        write_json(run_path / EXPERIMENT_FILE, config)
    return attempt


def notices_of_attempt(run_path: Path) -> list[str]:
    """What a person should know of the attempt that was begun last."""
    record = read_json(run_path / RECORD_FILE)
    newest = record["attempts"][-1] if record is not None else {}
    notices = []
    if DAMAGED in newest:
        notices.append(
            f"not in the mirror as written, and not used: {', '.join(newest[DAMAGED])}; this attempt writes it anew"
        )
    if OTHER_DEVICE_CLASS in newest:
        notices.append(
            f"continued on another kind of processor ({newest[OTHER_DEVICE_CLASS]} before, "
            f"{newest['device_class']} now): the bytes of this run may differ from those of an undisturbed one"
        )
    return notices


def _continued(attempts: list[dict[str, Any]], differences: list[str], device_class: str) -> dict[str, Any]:
    """What differs from how the run was begun."""
    found: dict[str, Any] = {"continued_other_build": differences} if differences else {}
    before = attempts[-1].get("device_class") if attempts else None
    if before is not None and before != device_class:
        found[OTHER_DEVICE_CLASS] = before
    return found


def _forget_checkpoints(run_path: Path, mirror: RunMirror | None) -> None:
    """Remove an empty head that names another run."""
    LocalFilesystem().remove_tree(run_path / CHECKPOINTS_FOLDER)
    if mirror is not None:
        mirror.forget_checkpoints()


def _attempt_of_head(run_path: Path) -> int:
    """The attempt that last took over the checkpoints; the record may be older than they are after a power cut."""
    head = published_head(run_path / CHECKPOINTS_FOLDER)
    return head.attempt if head is not None else 0
