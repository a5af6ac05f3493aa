"""Folders that travel between S3 and a job's disk."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.sagemaker_twin import refusals
from benchmarks.sagemaker_twin.aws_clients import AwsClients
from benchmarks.sagemaker_twin.errors import JobFailure


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and prefix of an s3:// address."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return bucket, prefix


def keys_under(clients: AwsClients, uri: str) -> Iterator[str]:
    """Keys of all objects whose key begins with the prefix of ``uri``; folder markers are left out."""
    bucket, prefix = split_uri(uri)
    for page in clients["s3"].get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            if not entry["Key"].endswith("/"):
                yield entry["Key"]


def download_channel(clients: AwsClients, channel: dict[str, Any], folder: Path, role: str, shard: slice) -> None:
    """Copy what an input channel names into ``folder``.

    Args:
        clients: For S3.
        channel: One entry of InputDataConfig.
        folder: Where it goes.
        role: Execution role, for the words of a failure.
        shard: Which of the objects, for channels that are spread over instances.

    Raises:
        JobFailure: There is nothing at the address, or the bucket lies in another region.
    """
    from botocore.exceptions import ClientError

    source = channel["DataSource"]["S3DataSource"]
    uri = source["S3Uri"]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _check_region(clients, uri)
        keys = list(keys_under(clients, uri))
        if not keys:
            raise JobFailure(refusals.no_objects(uri, role, clients.region))
        if source.get("S3DataDistributionType") == "ShardedByS3Key":
            keys = keys[shard]
        download(clients, uri, keys, folder)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"NoSuchBucket", "404"}:
            raise
        raise JobFailure(refusals.no_objects(uri, role, clients.region)) from error


def download(clients: AwsClients, uri: str, keys: list[str], folder: Path) -> None:
    """Copy objects under a prefix into a folder, named by what follows the prefix's last folder."""
    bucket, prefix = split_uri(uri)
    for key in keys:
        if key.startswith(f"{prefix}/") or prefix.endswith("/") or not prefix:
            name = key[len(prefix) :].lstrip("/")
        else:  # the prefix is the object itself, or the beginning of its name
            name = key[prefix.rfind("/") + 1 :]
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        clients["s3"].download_file(bucket, key, str(path))


def upload_archive(clients: AwsClients, folders: list[Path], uri: str) -> bool:
    """Upload the content of folders as one tar.gz; with nothing in them nothing is uploaded, and False returned."""
    entries = [entry for folder in folders if folder.is_dir() for entry in sorted(folder.iterdir())]
    if not entries:
        return False
    bucket, key = split_uri(uri)
    with tempfile.TemporaryFile() as packed:
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for entry in entries:
                archive.add(entry, arcname=entry.name)
        packed.seek(0)
        clients["s3"].upload_fileobj(packed, bucket, key)
    return True


def _check_region(clients: AwsClients, uri: str) -> None:
    bucket, _ = split_uri(uri)
    region = clients["s3"].get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1"
    if region != clients.region:
        raise JobFailure(refusals.wrong_region(region))
