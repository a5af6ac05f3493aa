"""The few file operations that bytes which must not be lost go through, and their errors.

All writing of the store passes here, so that a test double can lose what was not synced. What the bytes mean does not
belong here.

A write survives a power cut only after three things: its file synced, its name given (``replace``), the folder that
holds the name synced. ``write_synced`` does the first two, because often one folder sync serves many files.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from models.errors import ObjectCorrupt, ObjectMissing, StoreError, StoreUnavailable
from models.store.crash_points import TEMP_WRITE, reached

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space and start the job again, it goes on from its last checkpoint",
    errno.EDQUOT: "the quota is used up; free some space and start the job again",
    errno.EROFS: "the disk is read-only; remount it writable or choose another run root",
    errno.EACCES: "no permission; give this user the right to read and write there or choose another run root",
    errno.EPERM: "not permitted; give this user the right to read and write there or choose another run root",
    errno.EIO: "the disk reports an error; check it (dmesg) before starting the job again",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n)",
    errno.ENOLCK: "this file system has no locks; choose a run root on a local disk",
}

REMOVE_TRIES = 200
"""Of a folder that another process still writes into; that one is refused at its next step and ends."""


class Filesystem(Protocol):
    """What the store asks of a disk. Nothing is durable before it is synced.

    Every method raises ``ObjectMissing`` where nothing is there, ``ObjectCorrupt`` where a folder stands in the place
    of a file, and ``StoreUnavailable`` (retried) for everything else a disk can refuse.
    """

    def write(self, path: Path, content: bytes) -> None:
        """Write a file anew, without syncing it."""

    def append_line(self, path: Path, line: bytes) -> None:
        """Append one line by a single write and sync the file; an unterminated last line is dropped first."""

    def sync(self, path: Path) -> None:
        """Make the bytes of a file durable."""

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""

    def replace(self, source: Path, target: Path) -> None:
        """Give a file or folder another name, atomically; a file at ``target`` is replaced."""

    def make_folder(self, path: Path) -> None:
        """Make a folder and those above it where missing."""

    def remove_file(self, path: Path) -> None:
        """Remove a file; nothing happens where there is none."""

    def remove_tree(self, path: Path) -> None:
        """Remove a folder with all it holds; nothing happens where there is none."""

    def read(self, path: Path) -> bytes:
        """The bytes of a file."""

    def list_names(self, path: Path) -> list[str]:
        """Sorted names in a folder; empty where there is no folder."""

    def exists(self, path: Path) -> bool:
        """Whether something is there."""


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about ``path`` into the store's errors."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise ObjectMissing(str(path)) from error
        if error.errno in (errno.EISDIR, errno.ELOOP):
            raise ObjectCorrupt(str(path), "a file", error.strerror or "something else") from error
        advice = _ADVICE.get(error.errno or 0, "see the message; the job can be started again once this is mended")
        raise StoreUnavailable(f"{path}: {error.strerror or error}: {advice}") from error


class LocalFilesystem:
    """The disk of this machine."""

    def write(self, path: Path, content: bytes) -> None:
        """Write a file anew, without syncing it."""
        view = memoryview(content)
        with disk_errors(path), _opened(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
            _write_all(descriptor, view[: len(view) // 2])
            reached(TEMP_WRITE)
            _write_all(descriptor, view[len(view) // 2 :])

    def append_line(self, path: Path, line: bytes) -> None:
        """Append one line by a single write and sync the file; an unterminated last line is dropped first."""
        with disk_errors(path), _opened(path, os.O_RDWR | os.O_CREAT | os.O_APPEND) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size_bytes = os.fstat(descriptor).st_size
            if size_bytes and os.pread(descriptor, 1, size_bytes - 1) != b"\n":
                os.ftruncate(descriptor, _end_of_last_line(descriptor, size_bytes))
            _write_all(descriptor, memoryview(line.rstrip(b"\n") + b"\n"))
            _flush(descriptor)

    def sync(self, path: Path) -> None:
        """Make the bytes of a file durable."""
        with disk_errors(path), _opened(path, os.O_RDONLY) as descriptor:
            _flush(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""
        with disk_errors(path), _opened(path, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            os.fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Give a file or folder another name, atomically; a file at ``target`` is replaced."""
        with disk_errors(target):
            source.replace(target)

    def make_folder(self, path: Path) -> None:
        """Make a folder and those above it where missing."""
        with disk_errors(path):
            path.mkdir(parents=True, exist_ok=True)

    def remove_file(self, path: Path) -> None:
        """Remove a file; nothing happens where there is none."""
        with disk_errors(path):
            path.unlink(missing_ok=True)

    def remove_tree(self, path: Path) -> None:
        """Remove a folder with all it holds; nothing happens where there is none.

        An older writer may still put files into it, or take them out: it is tried again until nothing is left.
        """
        with disk_errors(path):
            for remaining in reversed(range(REMOVE_TRIES)):
                try:
                    shutil.rmtree(path)
                except FileNotFoundError:
                    if not path.exists():
                        return
                except OSError as error:
                    if error.errno != errno.ENOTEMPTY or not remaining:
                        raise
                else:
                    return

    def read(self, path: Path) -> bytes:
        """The bytes of a file."""
        with disk_errors(path):
            return path.read_bytes()

    def list_names(self, path: Path) -> list[str]:
        """Sorted names in a folder; empty where there is no folder."""
        with disk_errors(path):
            try:
                return sorted(entry.name for entry in path.iterdir())
            except (FileNotFoundError, NotADirectoryError):
                return []

    def exists(self, path: Path) -> bool:
        """Whether something is there."""
        with disk_errors(path):
            return os.path.lexists(path)


def write_synced(filesystem: Filesystem, path: Path, content: bytes, *, temp_folder: Path) -> None:
    """Write a file so that its name never stands for fewer bytes; the caller syncs the folder of ``path``.

    Args:
        filesystem: Where to write.
        path: The file; replaced if it is there.
        content: Its bytes.
        temp_folder: Where it is written first, under its own base name (torch writes the name into the file); on
            the same disk, used by no other writer of this name at the same time.
    """
    filesystem.make_folder(temp_folder)
    temp_path = temp_folder / path.name
    try:
        filesystem.write(temp_path, content)
        filesystem.sync(temp_path)
        filesystem.replace(temp_path, path)
    except StoreError:
        # The half-written file may be what fills the disk.
        with contextlib.suppress(StoreError):
            filesystem.remove_file(temp_path)
        raise


def make_folder_durably(filesystem: Filesystem, path: Path) -> None:
    """Make a folder, with those above it, so that a power cut does not take it away again."""
    filesystem.make_folder(path)
    # Also where it was there: whoever made it may have died before syncing.
    for folder in (path.parent, path.parent.parent):
        filesystem.sync_folder(folder)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, view: memoryview) -> None:
    while view:
        view = view[os.write(descriptor, view) :]


def _flush(descriptor: int) -> None:
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync alone leaves the bytes in the drive's cache there
    else:
        os.fsync(descriptor)


def _end_of_last_line(descriptor: int, size_bytes: int) -> int:
    content = os.pread(descriptor, size_bytes, 0)
    return content.rfind(b"\n") + 1
