"""The files of each split while they grow: records as lines, and their columns."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from models.data.column_writer import ColumnChunk, ColumnWriter
from models.data.raw_functions import SPLITS


class SplitFiles:
    """Record file and columns of all splits; a context manager that closes them and removes the spools.

    Args:
        folder: Where the files are written.
        splits: Which there are.
    """

    def __init__(self, folder: Path, splits: Sequence[str] = SPLITS) -> None:
        self._folder = folder
        self._files = {split: (folder / f"{split}.jsonl").open("wb") for split in splits}
        self._columns = {split: ColumnWriter(folder) for split in splits}
        self._sha256 = {split: hashlib.sha256() for split in splits}

    def __enter__(self) -> SplitFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for split in self._files:
            self._files[split].close()
            self._columns[split].close()

    def add(self, split: str, lines: bytes, columns: ColumnChunk) -> None:
        """Append records to a split, as JSON lines and as columns."""
        self._files[split].write(lines)
        self._sha256[split].update(lines)
        self._columns[split].add(columns)

    def finish(self) -> None:
        """Make the records durable and write their columnar copies."""
        for split, file in self._files.items():
            file.flush()
            os.fsync(file.fileno())
            self._columns[split].write(
                self._folder / f"{split}.arrow", jsonl_sha256=self._sha256[split].hexdigest(), jsonl_bytes=file.tell()
            )
