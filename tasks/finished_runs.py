"""Finished runs under a run root: which there are, when they began, and where a recorded one lies now.

Which of them is meant is decided by who asks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from models.jobs.contract import RECORD_FILE
from models.store.manifest import MANIFEST_FILE

NUM_PARTS = 3
"""Folders of a run below its run root: kind, label, build."""


def finished_runs(runs_path: Path, kind: str) -> Iterator[Path]:
    """Directories of all finished runs of a kind, sorted."""
    return (path.parent for path in sorted((runs_path / kind).glob(f"*/*/{MANIFEST_FILE}")))


def started_seconds(run_path: Path) -> float:
    """When the last attempt of a run began, since the epoch [s]; 0 where it was not recorded."""
    path = run_path / RECORD_FILE
    attempts = json.loads(path.read_bytes())["attempts"] if path.is_file() else []
    return float(attempts[-1].get("started", 0.0)) if attempts else 0.0


def under_root(runs_path: Path, recorded: Path | str) -> Path:
    """A run directory that settings recorded: its place under this run root, which may be a copy; else as recorded."""
    path = Path(recorded)
    place = runs_path.joinpath(*path.parts[-NUM_PARTS:])
    return path if path.exists() and not place.exists() else place
