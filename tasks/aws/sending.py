"""Putting into the store what jobs need: each thing once, under its digest, however many jobs need it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.errors import HeadConflict
from models.store.manifest import FileDigest
from models.store.s3 import S3Objects
from models.store.s3_upload import SHA256_METADATA
from tasks.aws.bundle import CodeBundle, send_code
from tasks.aws.channels import Parcel
from tasks.aws.inputs import Origin, origin_of
from tasks.aws.refusals import aws_errors


class Sending:
    """Puts into the store what is not there, each thing once in a process, whoever asks.

    Args:
        store: The store.
        client: The S3 client for copies within S3.
    """

    def __init__(self, store: S3Objects, client: Any) -> None:
        self._store = store
        self._client = client
        self._locks: dict[str, threading.Lock] = {}
        self._done: set[str] = set()
        self._lock = threading.Lock()

    def once(self, name: str, send: Callable[[], None]) -> None:
        """Call ``send`` unless it was called under this name and did not fail; others wait meanwhile."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._done:
                send()
                self._done.add(name)

    def code(self, bundle: CodeBundle) -> None:
        """Write the code bundle under its digest.

        Raises:
            CloudRefused: no rights, no such bucket. Not retried.
            StoreUnavailable: S3 does not answer. Retried.
        """
        self.once(bundle.prefix, lambda: send_code(self._store, bundle))

    def parcel(self, parcel: Parcel) -> None:
        """Write the files of a channel under their digest; of one sent before, each is looked at once in a process.

        Raises:
            CloudRefused: no rights, no such bucket. Not retried.
            StoreUnavailable: S3 does not answer. Retried.
        """
        digests, prefix = parcel.digests, parcel.prefix

        def send() -> None:
            done = f"{prefix}.complete"  # outside the prefix, which the job gets whole
            was_sent = self._store.digest(done) is not None
            for name, digest in digests.items():
                if not (was_sent and self._store.digest(f"{prefix}/{name}") == digest):  # gone, or replaced since
                    self._send_file(f"{prefix}/{name}", parcel.files[name], digest)
            if not was_sent:
                self._store.put(done, _listing(digests))

        self.once(prefix, send)

    def contents(self, prefix: str, files: dict[str, bytes]) -> None:
        """Write small objects under a prefix that is their digest; those that are there stay as they are.

        Raises:
            CloudRefused: no rights, no such bucket. Not retried.
            StoreUnavailable: S3 does not answer. Retried.
        """

        def send() -> None:
            for name, content in files.items():
                self._put_new(f"{prefix}/{name}", content)

        self.once(prefix, send)

    def _put_new(self, key: str, content: bytes) -> None:
        try:
            self._store.compare_and_set(key, content, None)
        except HeadConflict:
            if self._store.get(key).content != content:  # damaged: no job could read it
                self._store.put(key, content)

    def _send_file(self, key: str, path: Path, digest: FileDigest) -> None:
        origin = origin_of(path, digest)
        if origin is None:
            self._store.put_file(key, path, digest)
        else:
            self._copy(key, origin, digest)

    def _copy(self, key: str, origin: Origin, digest: FileDigest) -> None:
        """Within S3, pinned to the version that was digested here."""
        with aws_errors(f"copying s3://{origin.bucket}/{origin.key} into the store"):
            self._client.copy(
                {"Bucket": origin.bucket, "Key": origin.key},
                self._store.uri.bucket,
                self._store.uri.key(key),
                ExtraArgs={
                    "CopySourceIfMatch": origin.etag,
                    "MetadataDirective": "REPLACE",
                    "Metadata": {SHA256_METADATA: digest.sha256},
                },
            )


def _listing(digests: Mapping[str, FileDigest]) -> bytes:
    """As sha256sum writes it."""
    return "".join(f"{digest.sha256}  {name}\n" for name, digest in digests.items()).encode()
