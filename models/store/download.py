"""How the bytes of a file arrive on this disk: never under its name before they are whole, compared and synced."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from models.errors import ObjectCorrupt
from models.store.filesystem import LocalFilesystem, disk_errors
from models.store.manifest import FileDigest


def receive_file(chunks: Iterable[bytes], path: Path, expected: FileDigest, *, source: str) -> None:
    """Write a file from its pieces; its sha256 is compared before it gets its name.

    Args:
        chunks: Its bytes, in pieces.
        path: The file; replaced if it is there, its folder must exist.
        expected: What it must hold.
        source: Where the bytes come from, for the error.

    Raises:
        ObjectCorrupt: Other bytes came; there is nothing of them left. Not retried.
        StoreUnavailable: The disk refuses. Retried.
    """
    disk = LocalFilesystem()
    temp_path = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        found = _write(chunks, temp_path)
        if found != expected:
            raise ObjectCorrupt(source, str(expected), str(found))
        disk.sync(temp_path)
        disk.replace(temp_path, path)
        disk.sync_folder(path.parent)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temp_path.unlink()


def _write(chunks: Iterable[bytes], path: Path) -> FileDigest:
    sha256, size_bytes = hashlib.sha256(), 0
    with disk_errors(path):
        file = path.open("wb")
    with file:
        # Errors of the pieces are the source's, though some of them are OSErrors: only ours are translated.
        for chunk in chunks:
            sha256.update(chunk)
            size_bytes += len(chunk)
            with disk_errors(path):
                file.write(chunk)
        with disk_errors(path):
            file.flush()
    return FileDigest(size_bytes, sha256.hexdigest())
