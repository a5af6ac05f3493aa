"""Small JSON files of a run directory: written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.store.filesystem import LocalFilesystem


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value for people, atomically: a killed writer leaves the old file.

    Raises:
        StoreUnavailable: the disk refuses. Retried.
    """
    filesystem = LocalFilesystem()
    temp_path = path.with_name(f".{path.name}.tmp")
    filesystem.write(temp_path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())
    filesystem.sync(temp_path)
    filesystem.replace(temp_path, path)


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; ``None`` where there is none."""
    if not path.exists():
        return None
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content
