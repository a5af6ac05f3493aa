"""Small objects under keys, written durably, moved by compare-and-set: one interface for a disk and for S3.

Heads and pointers go here. Large files do not: on a disk they stay files, elsewhere ``FileObjects`` takes them.

| method            | disk                                             | S3                                      |
|-------------------|--------------------------------------------------|-----------------------------------------|
| version           | sha256 of the bytes                              | ETag                                    |
| compare_and_set   | read, compare, replace under a lock of the root  | PutObject with If-Match / If-None-Match |
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from models.errors import HeadConflict, ObjectMissing, StoreUnavailable
from models.store.filesystem import Filesystem, LocalFilesystem, disk_errors, write_synced
from models.store.manifest import FileDigest

_TEMP_FOLDER = ".partial"
_LOCK_NAME = ".objects.lock"
_LOCK_PATIENCE_SECONDS = 30.0
_LOCK_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class StoredObject:
    """The bytes of an object and the version they were read at."""

    content: bytes
    version: str


class ObjectStore(Protocol):
    """Objects under keys (``a/b.json``). All methods raise ``StoreUnavailable`` (retried) where it does not answer."""

    def get(self, key: str) -> StoredObject:
        """The object; raises ``ObjectMissing``."""

    def put(self, key: str, content: bytes) -> str:
        """Write the object durably, whatever was there; its new version."""

    def compare_and_set(self, key: str, content: bytes, expected_version: str | None) -> str:
        """Write the object durably if it still has the version expected (``None``: is not there); its new version.

        Raises ``HeadConflict`` when it has another. After ``StoreUnavailable`` the object may or may not have moved:
        read it before concluding anything.
        """

    def list(self, prefix: str = "") -> list[str]:
        """Sorted keys that begin so."""

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens where there is none."""

    def version(self, key: str) -> str | None:
        """The object's version, ``None`` where there is none."""


class FileObjects(ObjectStore, Protocol):
    """Objects somewhere else, among them files too large to be held in memory."""

    def child(self, prefix: str) -> FileObjects:
        """The objects under a prefix of this one."""

    def put_file(self, key: str, path: Path, digest: FileDigest) -> None:
        """Write a file that holds ``digest``; raises ``ObjectMissing`` and ``ObjectCorrupt`` where it does not."""

    def get_file(self, key: str, path: Path, expected: FileDigest) -> None:
        """Bring a file here durably; raises ``ObjectMissing``, and ``ObjectCorrupt`` where it holds something else."""


class LocalObjects:
    """Objects as files under a folder of this machine.

    Writers are kept apart by a lock that the kernel frees when its holder dies. Names that begin with a dot are this
    class's own.

    Args:
        root: The folder; must exist.
        filesystem: How files are written.
    """

    def __init__(self, root: Path, filesystem: Filesystem | None = None) -> None:
        self._root = root
        self._filesystem = filesystem if filesystem is not None else LocalFilesystem()

    def get(self, key: str) -> StoredObject:
        """The object; raises ``ObjectMissing``."""
        content = self._filesystem.read(self._path(key))
        return StoredObject(content, _version_of(content))

    def put(self, key: str, content: bytes) -> str:
        """Write the object durably, whatever was there; its new version."""
        with self._exclusively():
            return self._write(key, content)

    def compare_and_set(self, key: str, content: bytes, expected_version: str | None) -> str:
        """Write the object durably if it still has the version expected (``None``: is not there); its new version."""
        with self._exclusively():
            found_version = self.version(key)
            if found_version != expected_version:
                raise HeadConflict(key, f"version {expected_version}", f"version {found_version}")
            return self._write(key, content)

    def list(self, prefix: str = "") -> list[str]:
        """Sorted keys that begin so."""
        with disk_errors(self._root):
            files = [path for path in self._root.rglob("*") if path.is_file()]
        keys = [path.relative_to(self._root).as_posix() for path in files]
        return sorted(key for key in keys if key.startswith(prefix) and not key.startswith("."))

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens where there is none."""
        path = self._path(key)
        with self._exclusively():
            if self._filesystem.exists(path):
                self._filesystem.remove_file(path)
                self._filesystem.sync_folder(path.parent)

    def version(self, key: str) -> str | None:
        """The object's version, ``None`` where there is none."""
        try:
            return self.get(key).version
        except ObjectMissing:
            return None

    def _path(self, key: str) -> Path:
        return self._root / key

    def _write(self, key: str, content: bytes) -> str:
        path = self._path(key)
        if path.parent != self._root:
            self._filesystem.make_folder(path.parent)
        # One temp folder is enough under the lock, and what a dead writer left there is overwritten.
        write_synced(self._filesystem, path, content, temp_folder=self._root / _TEMP_FOLDER)
        folder = path.parent
        while folder != self._root:
            self._filesystem.sync_folder(folder)
            folder = folder.parent
        self._filesystem.sync_folder(self._root)
        return _version_of(content)

    @contextlib.contextmanager
    def _exclusively(self) -> Iterator[None]:
        path = self._root / _LOCK_NAME
        with disk_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _wait_for_lock(descriptor, path)
            yield
        finally:
            os.close(descriptor)


def _wait_for_lock(descriptor: int, path: Path) -> None:
    deadline_seconds = time.monotonic() + _LOCK_PATIENCE_SECONDS
    while True:
        with disk_errors(path), contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() > deadline_seconds:
            raise StoreUnavailable(
                f"{path} has been locked for {_LOCK_PATIENCE_SECONDS:g} s by another process; end it if it is stopped"
            )
        time.sleep(_LOCK_POLL_SECONDS)


def _version_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
