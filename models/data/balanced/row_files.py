"""Rows of a split as a sequence over its file: what is not looked at is not in memory."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import orjson

from models.errors import DataInvalid

Row = dict[str, Any]


class RowFile(Sequence[Row]):
    """The rows of a file of JSON lines.

    Two are equal where their files held the same bytes when they were opened. A file that was written again since is
    not read: its rows would be others.

    Args:
        path: The file.

    Raises:
        DataInvalid: there is no such file. Not retried.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise DataInvalid(path, "no such file; build the data set again")
        self._offsets = array("q", [0])
        digest = hashlib.sha256()
        with path.open("rb") as file:
            self._stamp = _stamp_of(file.fileno())
            for line in file:
                digest.update(line)
                self._offsets.append(self._offsets[-1] + len(line))
        self.sha256 = digest.hexdigest()

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return list(self._read(range(len(self))[index]))
        return next(self._read([range(len(self))[index]]))

    def __iter__(self) -> Iterator[Row]:
        return self._read(range(len(self)))

    def __eq__(self, other: object) -> bool:
        return self.sha256 == other.sha256 if isinstance(other, RowFile) else NotImplemented

    def __hash__(self) -> int:
        return int(self.sha256[:15], 16)

    def __repr__(self) -> str:
        return f"RowFile({str(self.path)!r}, {len(self)} rows)"

    def _read(self, places: Sequence[int]) -> Iterator[Row]:
        with self.path.open("rb") as file:
            if _stamp_of(file.fileno()) != self._stamp:
                raise DataInvalid(self.path, "was written again since it was opened; open the data set again")
            for place in places:
                file.seek(self._offsets[place])
                row: Row = orjson.loads(file.read(self._offsets[place + 1] - self._offsets[place]))
                yield row


def _stamp_of(descriptor: int) -> tuple[int, int, int, int]:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
