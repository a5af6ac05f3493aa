"""How much lies under a prefix of S3, for the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.store.s3 import S3Uri
from models.store.s3_calls import Patience, S3Calls


@dataclass(frozen=True)
class StoreSize:
    """What lies under a prefix.

    Args:
        size_bytes: Sum over its objects; older versions and unfinished uploads are not among them [bytes].
        num_objects: How many there are.
    """

    size_bytes: int
    num_objects: int


def measure_store(uri: S3Uri, client: Any, *, patience: Patience | None = None) -> StoreSize:
    """Sum up the objects under a prefix: one request for 1000 objects, each tried again for a bounded time.

    Args:
        uri: The prefix.
        client: S3 client.
        patience: How long a request is tried again; empty: as the store does.

    Raises:
        CloudRefused: No rights, or no such bucket. Not retried.
        StoreUnavailable: S3 does not answer. Retried.
    """
    calls = S3Calls(uri.bucket, patience if patience is not None else Patience())
    request = {"Bucket": uri.bucket, "Prefix": f"{uri.prefix}/" if uri.prefix else ""}
    size_bytes = num_objects = 0
    while True:
        page = calls.run("s3:ListBucket", request["Prefix"], lambda: client.list_objects_v2(**request))
        for found in page.get("Contents", ()):
            size_bytes += found["Size"]
            num_objects += 1
        if not page.get("IsTruncated"):
            return StoreSize(size_bytes, num_objects)
        request["ContinuationToken"] = page["NextContinuationToken"]
