"""Where a run came from: code, machine and libraries, for ``record.json`` and ``exp_config.json``."""

from __future__ import annotations

import platform
import socket
import subprocess
from typing import Any

from models.jobs.build import ROOT_PATH, Build

EXPERIMENT_FILE = "exp_config.json"


def git_state() -> dict[str, Any]:
    """Commit and whether the tree differs from it; ``None`` each where this is no checkout."""
    commit = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    return {"git_commit": commit, "git_dirty": bool(status) if status is not None else None}


def machine_state() -> dict[str, Any]:
    """Host and system; never hashed."""
    return {"host": socket.gethostname(), "platform": platform.platform(), "python": platform.python_version()}


def experiment_config(
    settings: dict[str, Any], inputs: dict[str, Any], build: Build, git: dict[str, Any]
) -> dict[str, Any]:
    """The seed's ``exp_config.json``: seeds, commit, data digests, every hyperparameter, library versions.

    Args:
        settings: Settings of the job, as JSON.
        inputs: Digests of its inputs.
        build: The build that answers it.
        git: What ``git_state`` says, here or where the code was packed.
    """
    return {
        **git,
        "dataset_sha256": inputs,
        "settings": settings,
        "libraries": build.libraries,
        "machine": build.machine,
    }


def _git(*arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(ROOT_PATH), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
