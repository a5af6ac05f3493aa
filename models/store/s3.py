"""Objects and files under one prefix of an S3 bucket, for the store's interface and for large files.

How calls are tried again belongs to ``s3_calls``, what errors mean to ``s3_errors``. The bytes of a file are believed
only after their sha256 was compared here with the one expected: neither ETags nor the store's own checksums count.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import HeadConflict, ObjectCorrupt, ObjectMissing, SettingsInvalid
from models.store.download import receive_file
from models.store.manifest import FileDigest, digest_bytes, digest_chunks, verify_file
from models.store.objects import StoredObject
from models.store.s3_calls import Patience, S3Calls
from models.store.s3_errors import is_precondition, refusal_or_missing
from models.store.s3_upload import SHA256_METADATA, upload_file

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 20
_URI = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/(?P<prefix>[^\s'\"]*))?")


@dataclass(frozen=True)
class S3Uri:
    """A bucket and a prefix in it, without slashes at its ends; empty: the whole bucket."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> S3Uri:
        """The parts of ``s3://bucket/prefix``.

        Raises:
            SettingsInvalid: It is no such address. Not retried.
        """
        match = _URI.fullmatch(text)
        if match is None:
            raise SettingsInvalid(f"{text!r}: expected an address in S3, such as s3://bucket/codewarden")
        return cls(match["bucket"], (match["prefix"] or "").strip("/"))

    def __truediv__(self, child: str) -> S3Uri:
        return S3Uri(self.bucket, self.key(child))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, child: str) -> str:
        """The bucket's key of something under the prefix."""
        return f"{self.prefix}/{child.strip('/')}".strip("/")


class S3Objects:
    """Objects under a prefix; every method tries again for a bounded time where S3 does not answer.

    All methods raise ``StoreUnavailable`` (retried by who started the job) when that time is over, and ``CloudRefused``
    (not retried) where AWS says no for a reason that stays.

    Args:
        uri: Where; keys are relative to it.
        client: A boto3 client of S3; its own retries should be off (``open_s3``).
        patience: How long a call is tried again.
    """

    def __init__(self, uri: S3Uri, client: Any, *, patience: Patience | None = None) -> None:
        self.uri = uri
        self._client = client
        self._patience = patience if patience is not None else Patience()
        self._calls = S3Calls(uri.bucket, self._patience)

    def __str__(self) -> str:
        return str(self.uri)

    def child(self, prefix: str) -> S3Objects:
        """The objects under a prefix of this one."""
        return S3Objects(self.uri / prefix, self._client, patience=self._patience)

    def at(self, uri: S3Uri, *, patience: Patience | None = None) -> S3Objects:
        """The objects under another address, or with other patience, by the same client: making one takes a while."""
        return S3Objects(uri, self._client, patience=patience if patience is not None else self._patience)

    def get(self, key: str) -> StoredObject:
        """The object; raises ``ObjectMissing``. Its version is S3's ETag."""

        def read() -> StoredObject:
            answer = self._client.get_object(Bucket=self.uri.bucket, Key=self.uri.key(key))
            return StoredObject(answer["Body"].read(), answer["ETag"])

        return self._calls.run("s3:GetObject", self.uri.key(key), read)

    def get_sent(self, key: str) -> bytes:
        """The bytes of a small object, compared with the sha256 that ``put_file`` leaves beside it.

        Raises:
            ObjectMissing: No such object. Not retried.
            ObjectCorrupt: It has other bytes, or no sha256. Not retried.
        """

        def read() -> tuple[bytes, str]:
            answer = self._client.get_object(Bucket=self.uri.bucket, Key=self.uri.key(key))
            return answer["Body"].read(), answer.get("Metadata", {}).get(SHA256_METADATA, "none beside it")

        content, sha256 = self._calls.run("s3:GetObject", self.uri.key(key), read)
        found = digest_bytes(content)
        if found.sha256 != sha256:
            raise ObjectCorrupt(str(self.uri / key), f"sha256 {sha256}", str(found))
        return content

    def put(self, key: str, content: bytes) -> str:
        """Write the object, whatever was there; its new version."""
        return self._calls.run("s3:PutObject", self.uri.key(key), lambda: self._put(key, content, {}))

    def compare_and_set(self, key: str, content: bytes, expected_version: str | None) -> str:
        """Write the object if it still has the version expected (``None``: is not there); its new version.

        After an answer that left open whether the object was written, it is read back before anything is concluded.

        Raises:
            HeadConflict: It has another version, and not by this call. Not retried.
        """
        from botocore.exceptions import ClientError

        condition = {"IfNoneMatch": "*"} if expected_version is None else {"IfMatch": expected_version}
        is_unclear = False

        def write() -> str:
            nonlocal is_unclear
            if is_unclear:
                landed = self._version_holding(key, content)
                if landed is not None:
                    return landed
            was_unclear, is_unclear = is_unclear, True
            try:
                return self._put(key, content, condition)
            except ClientError as error:
                if not is_precondition(error):
                    raise
                landed = self._version_holding(key, content) if was_unclear else None
                if landed is not None:
                    return landed
                raise HeadConflict(str(self.uri / key), f"version {expected_version}", "another version") from error

        return self._calls.run("s3:PutObject", self.uri.key(key), write)

    def list(self, prefix: str = "") -> list[str]:
        """Sorted keys that begin so."""
        base = f"{self.uri.prefix}/" if self.uri.prefix else ""

        def read() -> list[str]:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.uri.bucket, Prefix=f"{base}{prefix}"
            )
            return [entry["Key"].removeprefix(base) for page in pages for entry in page.get("Contents", ())]

        return sorted(self._calls.run("s3:ListBucket", f"{base}{prefix}", read))

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens where there is none."""
        name = self.uri.key(key)
        self._calls.run("s3:DeleteObject", name, lambda: self._client.delete_object(Bucket=self.uri.bucket, Key=name))

    def version(self, key: str) -> str | None:
        """The object's version, ``None`` where there is none."""
        name = self.uri.key(key)

        def read() -> str:
            # Not by HEAD: its errors have no code, so that a missing bucket looks like a missing object.
            answer = self._client.get_object(Bucket=self.uri.bucket, Key=name)
            answer["Body"].close()
            return str(answer["ETag"])

        with contextlib.suppress(ObjectMissing):
            return self._calls.run("s3:GetObject", name, read)
        return None

    def digest(self, key: str) -> FileDigest | None:
        """Size of an object and the sha256 beside it, as ``put_file`` leaves it; ``None`` where it is not there.

        The sha256 is empty for an object that was written without one. The bytes are not read.
        """
        name = self.uri.key(key)

        def read() -> FileDigest:
            answer = self._client.head_object(Bucket=self.uri.bucket, Key=name)
            return FileDigest(int(answer["ContentLength"]), answer.get("Metadata", {}).get(SHA256_METADATA, ""))

        with contextlib.suppress(ObjectMissing):
            return self._calls.run("s3:GetObject", name, read)
        return None

    def measured(self, key: str) -> FileDigest | None:
        """Size and sha256 of an object, all of whose bytes are read for it; ``None`` where it is not there."""
        name = self.uri.key(key)

        def read() -> FileDigest:
            with contextlib.closing(self._client.get_object(Bucket=self.uri.bucket, Key=name)["Body"]) as body:
                return digest_chunks(body.iter_chunks(1 << 20))

        with contextlib.suppress(ObjectMissing):
            return self._calls.run("s3:GetObject", name, read)
        return None

    def put_file(self, key: str, path: Path, digest: FileDigest) -> None:
        """Write a file, in parts where it is large, with its sha256 beside it.

        Args:
            key: Its key.
            path: The file; it must not change meanwhile.
            digest: What it must hold; compared first.

        Raises:
            ObjectMissing: No such file. Not retried.
            ObjectCorrupt: It holds something else. Not retried.
        """
        verify_file(path, digest)
        name = self.uri.key(key)
        self._calls.run("s3:PutObject", name, lambda: upload_file(self._client, self.uri.bucket, name, path, digest))

    def get_file(self, key: str, path: Path, expected: FileDigest) -> None:
        """Bring a file here: under a temp name first, its sha256 compared, synced, then renamed.

        Args:
            key: Its key.
            path: Where to; replaced if it is there, its folder must exist.
            expected: What it must hold.

        Raises:
            ObjectMissing: No such object. Not retried.
            ObjectCorrupt: It holds something else; nothing is left at ``path`` by this call. Not retried.
        """
        name = self.uri.key(key)

        def read() -> None:
            body = self._client.get_object(Bucket=self.uri.bucket, Key=name)["Body"]
            with contextlib.closing(body):
                receive_file(body.iter_chunks(1 << 20), path, expected, source=str(self.uri / key))

        self._calls.run("s3:GetObject", name, read)

    def _put(self, key: str, content: bytes, condition: dict[str, str]) -> str:
        answer = self._client.put_object(Bucket=self.uri.bucket, Key=self.uri.key(key), Body=content, **condition)
        return str(answer["ETag"])

    def _version_holding(self, key: str, content: bytes) -> str | None:
        """The version of the object if it holds exactly these bytes."""
        with contextlib.suppress(ObjectMissing):
            found = self.get(key)
            return found.version if found.content == content else None
        return None


def open_s3(
    uri: S3Uri, *, region: str | None = None, session: Any = None, patience: Patience | None = None
) -> S3Objects:
    """The objects under an address, by the standard AWS chain or a session; nothing is asked of AWS yet.

    Args:
        uri: Where.
        region: AWS region of the bucket; ``None``: that of the session or the chain.
        session: A ``boto3.Session``; ``None``: a new one.
        patience: How long a call is tried again.

    Raises:
        CloudRefused: The profile or region that is configured does not exist. Not retried.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1},  # tried again by S3Calls, which reads back first
        tcp_keepalive=True,
        # Bodies carry a checksum that S3 compares; reading a large file once more to sign it adds nothing over TLS.
        s3={"payload_signing_enabled": False},
    )
    try:
        client = (session or boto3.Session()).client("s3", region_name=region, config=config)
    except BotoCoreError as error:
        raise refusal_or_missing(error, right="s3:ListBucket", bucket=uri.bucket, key=uri.prefix) from error
    return S3Objects(uri, client, patience=patience)
