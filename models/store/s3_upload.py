"""How a file gets to S3: whole, or in parts where it is large; streamed, never held in memory."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from models.store.crash_points import MID_UPLOAD, reached
from models.store.filesystem import disk_errors
from models.store.manifest import FileDigest

PARTS_FROM_BYTES = 64 << 20
"""Files from this size on travel in parts of it."""
SHA256_METADATA = "sha256"


def upload_file(client: Any, bucket: str, name: str, path: Path, digest: FileDigest) -> None:
    """One try to send a file, with its sha256 beside it.

    Args:
        client: A boto3 client of S3.
        bucket: The bucket.
        name: The key in it.
        path: The file.
        digest: What it holds.

    Raises:
        ObjectMissing: No such file. Not retried.
        StoreUnavailable: The disk refuses. Retried.
        botocore.exceptions.BotoCoreError, ClientError: S3 refuses.
    """
    from botocore.exceptions import BotoCoreError

    send = _send_whole if digest.size_bytes < PARTS_FROM_BYTES else _send_in_parts
    with disk_errors(path):
        file = path.open("rb")
    with file:
        try:
            send(client, bucket, name, file, digest)
        except BotoCoreError:
            raise  # some are OSErrors too, and say nothing about the disk
        except OSError:
            with disk_errors(path):
                raise


def _send_whole(client: Any, bucket: str, name: str, file: BinaryIO, digest: FileDigest) -> None:
    """S3 compares the sha256 itself before the object is there."""
    client.put_object(
        Bucket=bucket,
        Key=name,
        Body=_HalfwayTold(file, digest.size_bytes),
        ContentLength=digest.size_bytes,
        ChecksumSHA256=base64.b64encode(bytes.fromhex(digest.sha256)).decode(),
        Metadata={SHA256_METADATA: digest.sha256},
    )


def _send_in_parts(client: Any, bucket: str, name: str, file: BinaryIO, digest: FileDigest) -> None:
    """S3 compares each part's CRC; the sha256 of the whole is compared by who reads it."""
    from boto3.s3.transfer import TransferConfig

    client.upload_fileobj(
        file,
        bucket,
        name,
        ExtraArgs={"Metadata": {SHA256_METADATA: digest.sha256}},
        Callback=_at_half(digest.size_bytes),
        Config=TransferConfig(
            multipart_threshold=PARTS_FROM_BYTES, multipart_chunksize=PARTS_FROM_BYTES, use_threads=False
        ),
    )


class _HalfwayTold:
    """A file in two halves: when the second is asked for, the first is on its way, and the named point is reached."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self._file = file
        self._half_bytes = size_bytes // 2
        self._is_told = size_bytes == 0

    def read(self, size: int = -1) -> bytes:
        left_bytes = self._half_bytes - self._file.tell()
        if left_bytes > 0:
            return self._file.read(min(size, left_bytes) if size >= 0 else left_bytes)
        if not self._is_told:
            self._is_told = True
            reached(MID_UPLOAD)
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _at_half(size_bytes: int) -> Callable[[int], None]:
    """Told of each piece that is sent: the named point is reached once, when half of the file is on its way."""
    sent_bytes = 0

    def told(num_bytes: int) -> None:
        nonlocal sent_bytes
        was_before, sent_bytes = sent_bytes * 2 < size_bytes, sent_bytes + num_bytes
        if was_before and sent_bytes * 2 >= size_bytes:
            reached(MID_UPLOAD)

    return told
