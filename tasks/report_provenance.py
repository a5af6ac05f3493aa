"""Where a report's numbers come from: runs, their settings, openings of the test split. Reads run directories."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.jobs.contract import RECORD_FILE, SETTINGS_FILE
from models.store.manifest import read_manifest
from models.store.openings import read_openings

SEALED_FILES = ("test.jsonl", "test_texts.jsonl")
"""Of records, and of texts that are searched."""
KEY_LENGTH = 12
"""Digits of a run key that are shown."""


def provenance_of(
    runs_path: Path, runs: Mapping[str, Path], *, records: Sequence[Path], shown: Mapping[str, Path] | None = None
) -> dict[str, Any]:
    """Rows of ``runs``, openings of the sealed files of ``records``, and settings by run.

    Args:
        runs_path: The run root, where openings are logged.
        runs: Finished run directories by name, in the order of the table.
        records: Run directories with sealed records: of the test split, and of what was made of it.
        shown: Those whose settings are told; ``None``: all.
    """
    sealed = {sha256 for path in records for sha256 in _sealed_sha256(path)}
    told = runs if shown is None else shown
    return {
        "runs": [run_row(name, path) for name, path in runs.items()],
        "openings": [asdict(o) for o in read_openings(runs_path) if o.data_sha256 in sealed],
        "settings": {name: read_json(path / SETTINGS_FILE) for name, path in told.items()},
    }


def _sealed_sha256(run_path: Path) -> list[str]:
    manifest = read_manifest(run_path)
    files = {} if manifest is None else manifest.files
    return [files[name].sha256 for name in SEALED_FILES if name in files]


def openings_by_purpose(
    openings: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """How often the split was opened for what, and by which runs, in the order of the first opening.

    Args:
        openings: Of ``provenance_of``.
        runs: Its rows of runs, by which a run is called; others are called other runs.
    """
    names = {run["run_key"]: str(run["run"]) for run in runs if run.get("run_key")}
    found: dict[str, list[str]] = {}
    for opening in openings:
        name = names.get(opening["run_key"][:KEY_LENGTH], "runs not shown here")
        found.setdefault(str(opening["purpose"]), []).append(name)
    return [{"purpose": purpose, "count": len(by), "systems": _without_seeds(by)} for purpose, by in found.items()]


def _without_seeds(names: Sequence[str]) -> str:
    """``gnn (seeds 1, 2), compare``."""
    seeds: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        system, _, seed = name.partition(" seed ")
        seeds.setdefault(system, []).extend([seed] if seed else [])
    return ", ".join(
        f"{system} (seed{'s' * (len(own) > 1)} {', '.join(own)})" if own else system for system, own in seeds.items()
    )


def run_row(name: str, path: Path) -> dict[str, Any]:
    """A row of the table of runs: keys, attempts, and the code of the last one."""
    manifest = read_manifest(path)
    attempts = run_attempts(path)
    last = attempts[-1] if attempts else {}
    return {
        "run": name,
        "path": path.as_posix(),
        "run_key": manifest.run_key[:KEY_LENGTH] if manifest else None,
        "build_key": manifest.build_key[:8] if manifest else None,
        "attempts": len(attempts),
        "seconds": last.get("seconds"),
        "git_commit": (last.get("git_commit") or "")[:10] + (" + changes" if last.get("git_dirty") else ""),
    }


def run_attempts(run_path: Path) -> list[dict[str, Any]]:
    """The recorded attempts of a run; none where nothing was recorded."""
    path = run_path / RECORD_FILE
    attempts: list[dict[str, Any]] = read_json(path)["attempts"] if path.is_file() else []
    return attempts


def read_json(path: Path) -> Any:
    """Content of a JSON file of a finished run."""
    return json.loads(path.read_bytes())
