"""What a job of evaluation leaves: rows as JSON lines, documents, anything else; each written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from models.store.filesystem import LocalFilesystem, write_synced


def write_rows(run_path: Path, name: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """Write one line of JSON a row; gives the name.

    Raises:
        ValueError: A row holds NaN or an infinity.
        StoreUnavailable: The disk refuses. Retried.
    """
    return write_content(run_path, name, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def write_document(run_path: Path, name: str, document: Mapping[str, Any]) -> str:
    """Write one JSON value, indented; gives the name. Errors as ``write_rows``."""
    return write_content(run_path, name, json.dumps(document, indent=1, allow_nan=False) + "\n")


def write_content(run_path: Path, name: str, content: str) -> str:
    """Write a text, in a folder of the run where ``name`` says so; gives the name.

    Raises:
        StoreUnavailable: The disk refuses. Retried.
    """
    path = run_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_synced(LocalFilesystem(), path, content.encode(), temp_folder=run_path / ".temp")
    return name
