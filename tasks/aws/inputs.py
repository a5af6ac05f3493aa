"""Inputs that lie in S3: brought here once, since a run is named by the content of what it reads.

A copy lies under a name of address and ETags, so that an object that was replaced is fetched anew. Where each file came
from is noted beside the copy: on the way into a job it is copied from there, and does not travel back.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from models.errors import CloudRefused, SettingsInvalid, StoreUnavailable
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.store.manifest import FileDigest, digest_file
from models.store.s3 import S3Uri
from tasks.aws.refusals import aws_errors
from tasks.aws.session import AwsSession

NUM_TRIES = 3
REPLACED = frozenset({"PreconditionFailed", "412", "NoSuchKey"})
"""Codes of an object that was another, or gone, when it was asked for."""


@dataclass(frozen=True)
class Origin:
    """The object that a file here is a copy of.

    Args:
        bucket: Its bucket.
        key: Its key.
        etag: Its version.
        size_bytes: Its size [bytes].
    """

    bucket: str
    key: str
    etag: str
    size_bytes: int


def fetch_input(uri: str, session: AwsSession, cache_path: Path) -> Path:
    """A file or folder of S3, on this disk; fetched where it is not yet, or is another one now.

    With a record file come its columnar copy and the tokenizer beside it, where there are any.

    Args:
        uri: Of one object, or of a prefix that stands for a folder.
        session: Who asks.
        cache_path: Where copies are kept.

    Raises:
        SettingsInvalid: nothing lies there. Not retried.
        CloudRefused: no rights, or another region. Not retried.
        StoreUnavailable: S3 does not answer. Retried.
    """
    location = S3Uri.parse(uri)
    client = session.client("s3")
    for _ in range(NUM_TRIES):
        wanted = _file_with_companions(location, client)
        name = PurePosixPath(location.prefix).name if wanted else ""
        wanted = wanted or _folder(location, client)
        if not wanted:
            raise SettingsInvalid(f"{uri}: no object and no prefix with objects lies there; check the address")
        folder = cache_path / _name_of(location, wanted)
        if _note_path(folder).exists() or _fetch_all(wanted, folder, client):
            return folder / name if name else folder
    raise StoreUnavailable(f"{uri}: was replaced {NUM_TRIES} times while it was fetched; start again once it stays")


def origin_of(path: Path, digest: FileDigest) -> Origin | None:
    """The object that a file is a copy of, where ``fetch_input`` brought it and it was not changed since.

    Args:
        path: The file.
        digest: What it holds now.
    """
    for folder in path.parents:
        note_path = _note_path(folder)
        if note_path.is_file():
            noted = json.loads(note_path.read_bytes()).get(path.relative_to(folder).as_posix())
            return Origin(**noted["origin"]) if noted and noted.get("sha256") == digest.sha256 else None
    return None


def _note_path(folder: Path) -> Path:
    """Written last; beside the copy and not in it, where it would count as content."""
    return folder.parent / f"{folder.name}.origin.json"


def _name_of(location: S3Uri, wanted: dict[str, Origin]) -> str:
    told = json.dumps([str(location), *((name, asdict(wanted[name])) for name in sorted(wanted))])
    return hashlib.sha256(told.encode()).hexdigest()[:24]


def _file_with_companions(location: S3Uri, client: Any) -> dict[str, Origin]:
    """The object itself with what belongs to it, by name; empty where there is no such object."""
    if not location.prefix:
        return {}
    path = PurePosixPath(location.prefix)
    found = {origin.key: origin for origin in _listed(location.bucket, str(path.with_suffix("")), client)}
    if location.prefix not in found:
        return {}
    companions = [found[location.prefix], *filter(None, [found.get(str(path.with_suffix(".arrow")))])]
    if path.suffix == ".jsonl":
        tokenizer = str(path.parent / TOKENIZER_FOLDER)
        companions += _listed(location.bucket, f"{tokenizer}/", client)
    base = "" if str(path.parent) == "." else f"{path.parent}/"
    return {origin.key.removeprefix(base): origin for origin in companions}


def _folder(location: S3Uri, client: Any) -> dict[str, Origin]:
    base = f"{location.prefix}/" if location.prefix else ""
    return {origin.key.removeprefix(base): origin for origin in _listed(location.bucket, base, client)}


def _listed(bucket: str, prefix: str, client: Any) -> Iterator[Origin]:
    """Objects whose keys begin so; those that stand for folders are left out."""
    with aws_errors(f"listing s3://{bucket}/{prefix}"):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                if not entry["Key"].endswith("/"):
                    yield Origin(bucket, entry["Key"], entry["ETag"], int(entry["Size"]))


def _fetch_all(wanted: dict[str, Origin], folder: Path, client: Any) -> bool:
    """Fetch into a folder of our own, then give it its name; whoever else was faster has the same.

    Returns:
        Whether all was there as it was listed; nothing is left where it was not.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder.parent))
    try:
        for name, origin in wanted.items():
            path = temporary / name
            if not path.resolve().is_relative_to(temporary.resolve()):
                raise SettingsInvalid(f"s3://{origin.bucket}/{origin.key}: a key with .. in it names no file here")
            path.parent.mkdir(parents=True, exist_ok=True)
            if not _fetch(origin, path, client):
                return False
        notes = {
            name: {"origin": asdict(origin), "sha256": digest_file(temporary / name).sha256}
            for name, origin in wanted.items()
        }
        with contextlib.suppress(OSError):
            temporary.rename(folder)
        note = temporary.with_name(f"{temporary.name}.note")
        note.write_text(json.dumps(notes, sort_keys=True))
        note.replace(_note_path(folder))
        return True
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fetch(origin: Origin, path: Path, client: Any) -> bool:
    """One object at the version that was listed; whether that is still there."""
    what = f"s3://{origin.bucket}/{origin.key}"
    for num_left in reversed(range(NUM_TRIES)):
        try:
            with aws_errors(what), path.open("wb") as file:
                answer = client.get_object(Bucket=origin.bucket, Key=origin.key, IfMatch=origin.etag)
                for chunk in answer["Body"].iter_chunks(1 << 20):
                    file.write(chunk)
            return True
        except StoreUnavailable:
            if not num_left:
                raise
        except CloudRefused as error:
            if error.code not in REPLACED:
                raise
            return False
    raise AssertionError("the last try returns or raises")
