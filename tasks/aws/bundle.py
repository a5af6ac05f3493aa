"""Our code as a training job gets it: one archive, the same bytes for the same files, sent once under its digest."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models.store.s3 import S3Objects

ROOT_PATH = Path(__file__).resolve().parents[2]
PACKAGE = "models"
START_PATH = ROOT_PATH / PACKAGE / "start_in_container.py"
BUNDLE_FILE = "bundle.tar.gz"
START_FILE = "start.py"
CODE_FOLDER = "code"


@dataclass(frozen=True)
class CodeBundle:
    """The archive and the program that unpacks it.

    Args:
        content: The archive.
        start: The program.
        members: Size of each file in the archive by its name [bytes].
    """

    content: bytes
    start: bytes
    members: dict[str, int]

    @property
    def sha256(self) -> str:
        """Hex digest of the archive; the program is in it too."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def prefix(self) -> str:
        """Where it lies in the store."""
        return f"{CODE_FOLDER}/{self.sha256}"


@cache
def code_bundle() -> CodeBundle:
    """The code of this checkout as this process first saw it."""
    return pack(ROOT_PATH, START_PATH)


def pack(root_path: Path, start_path: Path) -> CodeBundle:
    """Archive what jobs import: every Python file of ``models``, which reads no other files of its own.

    Args:
        root_path: The folder that holds ``models``.
        start_path: The program that unpacks the archive.
    """
    files = {path.relative_to(root_path).as_posix(): path for path in (root_path / PACKAGE).rglob("*.py")}
    contents = {name: files[name].read_bytes() for name in sorted(files)}
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)  # time, owner and group are zero
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return CodeBundle(
        content=gzip.compress(raw.getvalue(), mtime=0),
        start=start_path.read_bytes(),
        members={name: len(content) for name, content in contents.items()},
    )


def send_code(store: S3Objects, bundle: CodeBundle) -> None:
    """Write the bundle into the store, unless it is there.

    Raises:
        CloudRefused: no rights, no such bucket. Not retried.
        StoreUnavailable: S3 does not answer. Retried.
    """
    if store.digest(f"{bundle.prefix}/{BUNDLE_FILE}") is not None:  # written last, so both are there
        return
    store.put(f"{bundle.prefix}/{START_FILE}", bundle.start)
    store.put(f"{bundle.prefix}/{BUNDLE_FILE}", bundle.content)
