"""What a finished run directory holds: ``manifest.json``, written last, with size and sha256 of each file.

A run without a valid manifest is unfinished; with one it is verified, never run again. Manifests of checkpoints are
in ``generations``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from models.errors import ObjectCorrupt, ObjectMissing
from models.store.filesystem import Filesystem, LocalFilesystem, disk_errors, write_synced
from models.store.sealed import seal, unseal

MANIFEST_FILE = "manifest.json"
_TEMP_FOLDER = ".partial"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class FileDigest:
    """Size and sha256 (hex) of a file's bytes."""

    size_bytes: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.size_bytes} bytes, sha256 {self.sha256}"


@dataclass(frozen=True)
class Manifest:
    """What a finished run is and holds; ``files`` are named relative to its directory."""

    kind: str
    run_key: str
    build_key: str
    files: dict[str, FileDigest]


def digest_bytes(content: bytes) -> FileDigest:
    """Size and sha256 of bytes in memory."""
    return FileDigest(len(content), hashlib.sha256(content).hexdigest())


def digest_chunks(chunks: Iterable[bytes]) -> FileDigest:
    """Size and sha256 of bytes that come in pieces."""
    sha256 = hashlib.sha256()
    size_bytes = 0
    for chunk in chunks:
        sha256.update(chunk)
        size_bytes += len(chunk)
    return FileDigest(size_bytes, sha256.hexdigest())


def digest_file(path: Path) -> FileDigest:
    """Size and sha256 of a file, read in pieces.

    Raises:
        ObjectMissing: No such file. Not retried.
        StoreUnavailable: The disk does not answer. Retried.
    """
    with disk_errors(path), path.open("rb", buffering=0) as file:
        return digest_chunks(iter(lambda: file.read(_CHUNK_BYTES), b""))


def verify_file(path: Path, expected: FileDigest) -> None:
    """Check that a file still holds the bytes it was written with.

    Raises:
        ObjectMissing: No such file. Not retried.
        ObjectCorrupt: Other bytes. Not retried.
        StoreUnavailable: The disk does not answer. Retried.
    """
    with disk_errors(path):
        size_bytes = path.stat().st_size
    if size_bytes != expected.size_bytes:
        raise ObjectCorrupt(str(path), f"{expected.size_bytes} bytes", f"{size_bytes} bytes")
    found = digest_file(path)
    if found != expected:
        raise ObjectCorrupt(str(path), str(expected), str(found))


def write_manifest(
    run_path: Path,
    files: Iterable[str],
    *,
    kind: str,
    run_key: str,
    build_key: str,
    filesystem: Filesystem | None = None,
) -> Manifest:
    """Finish a run: sync its files, then write the manifest, durably. Equal files give equal bytes.

    Args:
        run_path: The run directory.
        files: The deterministic files, relative to it.
        kind: Kind of job.
        run_key: Digest of what decides the result.
        build_key: Digest of the code and versions that made it.
        filesystem: How to write.

    Raises:
        ObjectMissing: A file is not there. Not retried.
        ObjectCorrupt: A name leaves the run directory. Not retried.
        StoreUnavailable: The disk refuses. Retried.
    """
    disk = filesystem if filesystem is not None else LocalFilesystem()
    paths = {name: inside(run_path, name) for name in sorted(set(files))}
    for path in paths.values():
        disk.sync(path)
    for folder in sorted({folder for path in paths.values() for folder in _folders_between(run_path, path)}):
        disk.sync_folder(folder)
    manifest = Manifest(kind, run_key, build_key, {name: digest_file(path) for name, path in paths.items()})
    write_synced(disk, run_path / MANIFEST_FILE, seal(asdict(manifest)), temp_folder=run_path / _TEMP_FOLDER)
    disk.sync_folder(run_path)
    disk.remove_tree(run_path / _TEMP_FOLDER)
    return manifest


def read_manifest(run_path: Path) -> Manifest | None:
    """The manifest of a run, ``None`` where it has none yet; its files are not looked at.

    Raises:
        ObjectCorrupt: It is damaged. Not retried.
        StoreUnavailable: The disk does not answer. Retried.
    """
    path = run_path / MANIFEST_FILE
    try:
        content = LocalFilesystem().read(path)
    except ObjectMissing:
        return None
    return parse_manifest(str(path), content)


def parse_manifest(where: str, content: bytes) -> Manifest:
    """The manifest of a run in the bytes of its file.

    Args:
        where: Name of the file, for the error.
        content: Its bytes.

    Raises:
        ObjectCorrupt: It is damaged. Not retried.
    """
    body = unseal(where, content)
    try:
        return Manifest(body["kind"], body["run_key"], body["build_key"], parse_files(body["files"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ObjectCorrupt(where, "the fields of a run's manifest", repr(error)) from error


def verify_manifest(run_path: Path) -> None:
    """Check that a run is finished and each file still holds its bytes.

    Raises:
        ObjectMissing: No manifest, or a file is gone. Not retried.
        ObjectCorrupt: Manifest or a file is damaged, or a name leaves the run directory. Not retried.
        StoreUnavailable: The disk does not answer. Retried.
    """
    manifest = read_manifest(run_path)
    if manifest is None:
        raise ObjectMissing(str(run_path / MANIFEST_FILE))
    for name, expected in manifest.files.items():
        verify_file(inside(run_path, name), expected)


def inside(folder: Path, name: str) -> Path:
    """The path of a file named relative to ``folder``.

    Raises:
        ObjectCorrupt: The name, or a link on its way, leaves the folder. Not retried.
    """
    parts = PurePosixPath(name).parts
    path = folder / name
    # A link is followed to see where it ends.
    if not parts or name.startswith("/") or ".." in parts or not path.resolve().is_relative_to(folder.resolve()):
        raise ObjectCorrupt(name, f"a name inside {folder}", "one that leaves it")
    return path


def parse_files(files: Mapping[str, Mapping[str, Any]]) -> dict[str, FileDigest]:
    """The ``files`` of a manifest, from JSON."""
    return {name: FileDigest(int(entry["size_bytes"]), str(entry["sha256"])) for name, entry in files.items()}


def _folders_between(run_path: Path, path: Path) -> list[Path]:
    folders = [path.parent]
    while folders[-1] != run_path:
        folders.append(folders[-1].parent)
    return folders
