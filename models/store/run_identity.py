"""What names a finished run: its keys and the sha256 of its manifest; and how it is found again by them.

Where a run lies is decided in ``models.jobs.layout``; here it is only looked up, wherever the run root was moved to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import ObjectCorrupt, ObjectMissing
from models.store.manifest import MANIFEST_FILE, digest_file, read_manifest

RUN_KEY_DIGITS = 12
BUILD_KEY_DIGITS = 8


@dataclass(frozen=True)
class RunIdentity:
    """A finished run, without saying where it lies.

    Args:
        kind: Kind of job.
        run_key: Hex digest of the question it answers.
        build_key: Hex digest of the code and machine that answered.
        manifest_sha256: Digest of its manifest, and so of all its deterministic files.
    """

    kind: str
    run_key: str
    build_key: str
    manifest_sha256: str

    @classmethod
    def from_body(cls, where: str, body: Mapping[str, Any]) -> RunIdentity:
        """The identity in a JSON document.

        Args:
            where: Name of the document, for the error.
            body: The four fields.

        Raises:
            ObjectCorrupt: A field is missing or no text. Not retried.
        """
        fields = {name: body.get(name) for name in cls.__dataclass_fields__}
        wrong = [name for name, value in fields.items() if not isinstance(value, str)]
        if wrong:
            raise ObjectCorrupt(where, "kind, run_key, build_key and manifest_sha256 of a run", f"no {wrong[0]}")
        return cls(**{name: str(value) for name, value in fields.items()})

    def __str__(self) -> str:
        return f"{self.kind} run {self.run_key[:RUN_KEY_DIGITS]}, build {self.build_key[:BUILD_KEY_DIGITS]}"


def identity_of(run_path: Path) -> RunIdentity:
    """The identity of the finished run in a directory; its files are not looked at.

    Raises:
        ObjectMissing: It has no manifest: it is not finished. Not retried.
        ObjectCorrupt: The manifest is damaged. Not retried.
        StoreUnavailable: The disk does not answer. Retried.
    """
    manifest = read_manifest(run_path)
    if manifest is None:
        raise ObjectMissing(str(run_path / MANIFEST_FILE))
    sha256 = digest_file(run_path / MANIFEST_FILE).sha256
    return RunIdentity(manifest.kind, manifest.run_key, manifest.build_key, sha256)


def find_run(runs_path: Path, identity: RunIdentity) -> Path:
    """The directory of a run under a run root, found by its keys; its files are not looked at, its manifest is.

    Raises:
        ObjectMissing: No directory of these keys, or it is not finished. Not retried.
        ObjectCorrupt: Its manifest is not the one that is named. Not retried.
        StoreUnavailable: The disk does not answer. Retried.
    """
    key, build = identity.run_key[:RUN_KEY_DIGITS], identity.build_key[:BUILD_KEY_DIGITS]
    damaged: ObjectCorrupt | None = None
    for path in sorted((runs_path / identity.kind).glob(f"*-{key}/*/{MANIFEST_FILE}")):
        # Not only the folder of that name: code may have changed between planning a run and its beginning.
        try:
            found = identity_of(path.parent)
        except ObjectCorrupt as error:
            damaged = error
            continue
        if found == identity:
            return path.parent
        if (found.run_key, found.build_key) == (identity.run_key, identity.build_key):
            damaged = ObjectCorrupt(str(path), f"sha256 {identity.manifest_sha256}", f"sha256 {found.manifest_sha256}")
    if damaged is not None:
        raise damaged
    raise ObjectMissing(f"{runs_path / identity.kind}/*-{key}/{build} ({identity})")
