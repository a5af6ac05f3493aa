"""Logs of lines that several writers append to, none of them lost: a file on this disk, or an object in a store.

What the lines say does not belong here. Lines of one log should differ, by a random id: after an unclear answer of a
store that is how a writer knows whether its own has arrived.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Protocol

from models.errors import HeadConflict, ObjectMissing
from models.store.filesystem import Filesystem, LocalFilesystem
from models.store.objects import ObjectStore

_TRIES = 50
_LONGEST_PAUSE_SECONDS = 0.2
_LOT = random.SystemRandom()  # not the seeded one: two equal jobs must not pause alike


class LineLog(Protocol):
    """Lines in the order in which they were appended; all methods raise ``StoreUnavailable`` (retried)."""

    def append(self, line: bytes) -> None:
        """Append a line durably, once."""

    def lines(self) -> list[bytes]:
        """All whole lines; none where there is no log yet."""


def line_log(place: Path | ObjectStore, name: str, filesystem: Filesystem | None = None) -> LineLog:
    """The log of a name, in a folder of this machine (made where it is missing) or among the objects of a store."""
    if isinstance(place, Path):
        return _FileLog(place, name, filesystem if filesystem is not None else LocalFilesystem())
    return _ObjectLog(place, name)


class _FileLog:
    def __init__(self, folder: Path, name: str, filesystem: Filesystem) -> None:
        self._folder = folder
        self._path = folder / name
        self._filesystem = filesystem

    def __str__(self) -> str:
        return str(self._path)

    def append(self, line: bytes) -> None:
        self._filesystem.make_folder(self._folder)
        self._filesystem.append_line(self._path, line)
        self._filesystem.sync_folder(self._folder)

    def lines(self) -> list[bytes]:
        try:
            return _whole_lines(self._filesystem.read(self._path))
        except ObjectMissing:
            return []


class _ObjectLog:
    def __init__(self, objects: ObjectStore, key: str) -> None:
        self._objects = objects
        self._key = key

    def __str__(self) -> str:
        return self._key

    def append(self, line: bytes) -> None:
        for remaining in reversed(range(_TRIES)):
            content, version = self._read()
            lines = _whole_lines(content)
            if line in lines:
                return  # a write of ours arrived after all, and others have appended since
            try:
                self._objects.compare_and_set(self._key, b"".join(each + b"\n" for each in (*lines, line)), version)
                return
            except HeadConflict:  # another line came in between: append to that one
                if not remaining:
                    raise
            time.sleep(_LOT.uniform(0, _LONGEST_PAUSE_SECONDS))  # or two writers could go on meeting

    def lines(self) -> list[bytes]:
        return _whole_lines(self._read()[0])

    def _read(self) -> tuple[bytes, str | None]:
        try:
            found = self._objects.get(self._key)
        except ObjectMissing:
            return b"", None
        return found.content, found.version


def _whole_lines(content: bytes) -> list[bytes]:
    return content.split(b"\n")[:-1]
