"""Generations of checkpoints as folders: how one is staged, completed, verified, listed and removed.

Which generation counts is said by the head (``checkpoints``), never by what lies on disk. Bytes come out only after
their sha256 was checked, and nothing here interprets them.

    checkpoints/
      head.json
      step-000000012-a3/            step 12, written by attempt 3
        manifest.json               written last
        weights.safetensors …
      .staging/step-000000024-a3/   not complete yet
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from models.errors import ObjectCorrupt, ObjectMissing
from models.store.crash_points import AFTER_RENAME, BEFORE_RENAME, reached
from models.store.filesystem import Filesystem, write_synced
from models.store.generations import GenerationManifest, GenerationName, in_order
from models.store.manifest import FileDigest, digest_bytes, digest_file, verify_file
from models.store.sealed import unseal

MANIFEST_FILE: Final = "manifest.json"
SAFE_SUFFIXES: Final = (".safetensors", ".json", ".jsonl", ".arrow")
"""Formats whose loading runs no code; nothing else may be in a generation."""

_STAGING_FOLDER = ".staging"
_PARTIAL_SUFFIX = ".partial"


class GenerationFolders:
    """The generations under one folder of this machine.

    Args:
        root: The folder.
        filesystem: How files are written.
    """

    def __init__(self, root: Path, filesystem: Filesystem) -> None:
        self._root = root
        self._staging = root / _STAGING_FOLDER
        self._filesystem = filesystem

    def path(self, name: str) -> Path:
        """Folder of a generation."""
        return self._root / name

    def write_part(self, staged: GenerationName, part: str, content: bytes) -> None:
        """Write one part of a generation to come; once this returned its bytes are synced under their final name."""
        if part == MANIFEST_FILE or "/" in part or part.startswith(".") or Path(part).suffix not in SAFE_SUFFIXES:
            raise ValueError(f"part {part!r} must be a plain file name ending in one of {', '.join(SAFE_SUFFIXES)}")
        folder = self._staging / str(staged)
        self._filesystem.make_folder(folder)
        write_synced(self._filesystem, folder / part, content, temp_folder=self._partial(staged))

    def staged_digests(self, staged: GenerationName) -> dict[str, FileDigest]:
        """Size and sha256 of the parts written so far."""
        folder = self._staging / str(staged)
        names = [name for name in self._filesystem.list_names(folder) if name != MANIFEST_FILE]
        return {name: digest_file(folder / name) for name in names}

    def complete(self, staged: GenerationName, manifest: GenerationManifest) -> None:
        """Give a staged generation its manifest, then its name: afterwards it is whole and durable, or not there."""
        folder = self._staging / str(staged)
        write_synced(self._filesystem, folder / MANIFEST_FILE, manifest.to_bytes(), temp_folder=self._partial(staged))
        self._filesystem.sync_folder(folder)
        reached(BEFORE_RENAME)
        self._filesystem.replace(folder, self._root / manifest.name)
        self._filesystem.sync_folder(self._root)
        reached(AFTER_RENAME)
        self._filesystem.remove_tree(self._partial(staged))

    def receive(self, manifest: GenerationManifest, bring_parts: Callable[[Path], None]) -> None:
        """Put a generation that lies elsewhere here; one that is here under its name is replaced.

        Args:
            manifest: Its manifest.
            bring_parts: Brings its parts into a folder, durably, and compares their digests.

        Raises:
            ObjectCorrupt: A part is of a kind that is not loaded, or is not as the manifest says. Not retried.
        """
        staged = GenerationName.parse(manifest.name)
        if staged is None:
            raise ObjectCorrupt(manifest.name, "the name of a generation", "another")
        self.remove_staged(staged)
        folder = self._staging / str(staged)
        self._filesystem.make_folder(folder)
        for part in manifest.files:
            _require_safe(part, folder)
        bring_parts(folder)
        self.remove(manifest.name)
        self.complete(staged, manifest)

    def manifest(self, name: str) -> GenerationManifest:
        """The manifest of a generation; its parts are not looked at.

        Raises:
            ObjectMissing: There is none. Not retried.
            ObjectCorrupt: It is damaged, or ``name`` is not a generation's. Not retried.
            StoreUnavailable: The disk does not answer. Retried.
        """
        if GenerationName.parse(name) is None:
            raise ObjectCorrupt(name, "the name of a generation", "another")
        path = self._root / name / MANIFEST_FILE
        manifest = GenerationManifest.from_body(str(path), unseal(str(path), self._filesystem.read(path)))
        if manifest.name != name:
            raise ObjectCorrupt(str(path), f"the manifest of {name}", f"that of {manifest.name}")
        return manifest

    def verify(self, name: str) -> GenerationManifest:
        """Check that a generation holds exactly the bytes it was written with, and nothing else.

        Raises:
            ObjectMissing: A part or the manifest is gone. Not retried.
            ObjectCorrupt: Something in it is damaged or was put there. Not retried.
            StoreUnavailable: The disk does not answer. Retried.
        """
        manifest = self.manifest(name)
        folder = self._root / name
        foreign = set(self._filesystem.list_names(folder)) - manifest.files.keys() - {MANIFEST_FILE}
        if foreign:
            raise ObjectCorrupt(str(folder), "only the files of its manifest", f"also {', '.join(sorted(foreign))}")
        for part, expected in manifest.files.items():
            _require_safe(part, folder)
            verify_file(folder / part, expected)
        return manifest

    def read(self, name: str, part: str) -> bytes:
        """The bytes of a part, checked against the manifest of its generation.

        Raises:
            ObjectMissing: The generation has no such part. Not retried.
            ObjectCorrupt: Its bytes are not those that were written. Not retried.
            StoreUnavailable: The disk does not answer. Retried.
        """
        path = self._root / name / part
        expected = self.manifest(name).files.get(part)
        if expected is None:
            raise ObjectMissing(str(path))
        content = self._filesystem.read(path)
        found = digest_bytes(content)
        if found != expected:
            raise ObjectCorrupt(str(path), str(expected), str(found))
        return content

    def names(self) -> list[str]:
        """All generations on disk, whole or not, listed by the head or not; oldest first."""
        return in_order(self._filesystem.list_names(self._root))

    def remove(self, name: str) -> None:
        """Remove a generation."""
        self._filesystem.remove_tree(self._root / name)

    def remove_staged(self, staged: GenerationName) -> None:
        """Remove what was staged under this name."""
        self._filesystem.remove_tree(self._staging / str(staged))
        self._filesystem.remove_tree(self._partial(staged))

    def remove_staging(self, *, before_attempt: int) -> None:
        """Remove what attempts before this one have left unfinished."""
        for entry in self._filesystem.list_names(self._staging):
            name = GenerationName.parse(entry.removesuffix(_PARTIAL_SUFFIX))
            if name is not None and name.attempt < before_attempt:
                self._filesystem.remove_tree(self._staging / entry)

    def _partial(self, staged: GenerationName) -> Path:
        return self._staging / f"{staged}{_PARTIAL_SUFFIX}"


def _require_safe(part: str, folder: Path) -> None:
    if Path(part).suffix not in SAFE_SUFFIXES or "/" in part or part.startswith("."):
        raise ObjectCorrupt(str(folder / part), f"one of {', '.join(SAFE_SUFFIXES)}", "a file of another kind")
