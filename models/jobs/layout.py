"""Where a run lies: ``runs/<kind>/<label>-<run_key12>/<build_key8>/``.

The label is for people; a run is looked up by its keys. No learning library is loaded here: flows plan runs.
"""

from __future__ import annotations

import errno
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import BuildDiffers, ObjectCorrupt, ObjectMissing, SettingsInvalid
from models.jobs.build import Build, build_of
from models.jobs.contract import MANIFEST_FILE, RESULT_FILE
from models.jobs.keys import run_key
from models.jobs.labels import label_of
from models.jobs.placement import Machine
from models.settings.fields import Settings
from models.store.filesystem import disk_errors
from models.store.manifest import verify_manifest

BUILD_FILE = "build.json"
CHECKPOINTS_FOLDER = "checkpoints"
UNMIRRORED_FILE = "unmirrored"
"""Lies in a run directory from the first attempt with a mirror until the finished run is there."""
NO_PLACE = {errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EACCES, errno.EPERM, errno.EROFS}
"""What the system says of a path where no run can lie, now or later."""


@dataclass(frozen=True)
class OtherBuild:
    """A run of the same question by another build.

    Args:
        path: Its directory.
        finished: Whether it has a manifest.
        differences: One phrase for each file or version that differs from the present build.
    """

    path: Path
    finished: bool
    differences: list[str]


@dataclass(frozen=True)
class RunPlan:
    """Where a job will run, and what is known of it before it does.

    Args:
        kind: Kind of job.
        label: For people; carries the date of the first attempt.
        run_key: Hex digest of the question.
        build_key: Hex digest of code, libraries and machine.
        build: The parts of the build key.
        run_path: The run directory.
        others: Runs of the same question by other builds.
        reused: The other build's run that this one continues, when that was asked for.
    """

    kind: str
    label: str
    run_key: str
    build_key: str
    build: Build
    run_path: Path
    others: tuple[OtherBuild, ...] = ()
    reused: OtherBuild | None = None


def plan_run(
    settings: Settings,
    runs_path: Path,
    *,
    reuse_build: bool = False,
    machine: Machine | None = None,
    python: str | None = None,
) -> RunPlan:
    """Find or name the run directory of ``settings``; creates nothing.

    Args:
        settings: Settings of any job.
        runs_path: The run root.
        reuse_build: Go on with the unfinished run of another build instead of refusing.
        machine: The machine that it will run on; ``None``: this one.
        python: Version of Python that it will run on; ``None``: this one.

    Raises:
        SettingsInvalid: an input does not exist. Not retried.
        BuildDiffers: another build left an unfinished run with checkpoints, and none of the present one exists.
            Not retried.
    """
    kind = str(settings.model_dump(include={"kind"})["kind"])
    key = run_key(settings)
    build = build_of(settings, machine, python)
    folder = _run_folder(runs_path / kind, key, settings)
    run_path = folder / build.key[:8]
    others = _other_builds(folder, run_path, build)
    reused = None
    unfinished = [other for other in others if not other.finished]
    if unfinished and not run_path.exists():
        if not reuse_build:
            raise BuildDiffers(unfinished[-1].path, unfinished[-1].differences)
        reused = unfinished[-1]
        run_path = reused.path
    return RunPlan(kind, folder.name.rpartition("-")[0], key, build.key, build, run_path, others, reused)


def make_run_folder(run_path: Path) -> None:
    """Make the run directory, and see that it can be written to.

    Raises:
        SettingsInvalid: no run can lie there. Not retried.
        StoreUnavailable: the disk refuses for now, such as when it is full. Retried.
    """
    try:
        run_path.mkdir(parents=True, exist_ok=True)
        writable = os.access(run_path, os.W_OK | os.X_OK)
    except OSError as error:
        if error.errno not in NO_PLACE:
            with disk_errors(run_path):
                raise
        problem = error.strerror or str(error)
    else:
        if writable:
            return
        problem = "it cannot be written to"
    raise SettingsInvalid(
        f"no run can lie in {run_path}: {problem}; choose another --runs (run root) or --output-dir (run directory)"
    ) from None


def is_finished(run_path: Path) -> bool:
    """Whether the run has a manifest and every file in it verifies; a damaged run is not finished."""
    if not (run_path / MANIFEST_FILE).exists():
        return False
    try:
        verify_manifest(run_path)
    except (ObjectMissing, ObjectCorrupt):
        return False
    return True


def is_mirrored(run_path: Path) -> bool:
    """Whether all that a finished run left here is known to be in its mirror, or it never had one."""
    return not (run_path / UNMIRRORED_FILE).exists()


def holds_checkpoints(run_path: Path) -> bool:
    """Whether a generation lies there; a head alone is no progress worth keeping."""
    return any((run_path / CHECKPOINTS_FOLDER).glob("step-*"))


def read_result(run_path: Path) -> dict[str, Any]:
    """``result.json`` of a finished run."""
    result: dict[str, Any] = json.loads((run_path / RESULT_FILE).read_text())
    return result


def _run_folder(kind_path: Path, key: str, settings: Settings) -> Path:
    existing = sorted(kind_path.glob(f"*-{key[:12]}")) if kind_path.is_dir() else []
    if existing:
        return existing[0]
    return kind_path / f"{label_of(settings)}_{time.strftime('%Y%m%d')}-{key[:12]}"


def _other_builds(folder: Path, run_path: Path, build: Build) -> tuple[OtherBuild, ...]:
    """Runs of other builds that hold something: finished, or with checkpoints worth keeping."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path == run_path or not (path / BUILD_FILE).is_file():
            continue
        finished = (path / MANIFEST_FILE).exists()
        if finished or holds_checkpoints(path):
            found.append(OtherBuild(path, finished, build.differences(json.loads((path / BUILD_FILE).read_text()))))
    return tuple(found)
