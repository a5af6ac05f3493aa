"""Small collections, and what becomes of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from models.data.collectors.reading import read_collection
from models.data.collectors.rows import CollectedFunction, RejectedRow
from models.settings.collect import CollectionFormat

Lines = Sequence[dict[str, Any] | bytes]


class Read:
    """All rows of a collection, apart by kind."""

    def __init__(self, path: Path, shape: CollectionFormat, max_code_bytes: int) -> None:
        rows = list(read_collection(path, shape, max_code_bytes=max_code_bytes))
        self.functions = [row for row in rows if isinstance(row, CollectedFunction)]
        self.rejected = [row for row in rows if isinstance(row, RejectedRow)]

    @property
    def reasons(self) -> list[tuple[int, str]]:
        return [(row.line, row.reason) for row in self.rejected]


@pytest.fixture
def read() -> Callable[..., Read]:
    def all_rows(path: Path, shape: CollectionFormat = "auto", max_code_bytes: int = 1000) -> Read:
        return Read(path, shape, max_code_bytes)

    return all_rows


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[..., Path]:
    """Writes JSON lines: dicts become JSON, bytes are lines as they are; compressed where the name says so."""

    def written(lines: Lines, name: str = "functions.jsonl") -> Path:
        content = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
        return path

    return written
