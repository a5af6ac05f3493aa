"""Prefect blocks that say who we are at AWS and where things are kept; loaded by name, only where one is named.

``_sync=True``: in a running event loop Prefect would otherwise give a coroutine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.errors import SettingsInvalid

ROLE_BLOCK_SLUG = "sagemaker-role"


@dataclass(frozen=True)
class BlockBucket:
    """What an ``s3-bucket`` block says.

    Args:
        bucket: Name of the bucket.
        folder: Folder in it, without slashes at its ends; may be empty.
        credentials: The block's own credentials (``AwsCredentials`` or ``MinIOCredentials``).
    """

    bucket: str
    folder: str
    credentials: Any


def load_credentials(name: str) -> Any:
    """The ``AwsCredentials`` block of this name.

    Raises:
        SettingsInvalid: there is none, or no Prefect server that knows. Not retried.
    """
    from prefect_aws import AwsCredentials

    return _load(AwsCredentials, name, "credentials_block")


def load_bucket(name: str) -> BlockBucket:
    """What the ``S3Bucket`` block of this name says.

    Raises:
        SettingsInvalid: there is none, or no Prefect server that knows. Not retried.
    """
    from prefect_aws import S3Bucket

    block = _load(S3Bucket, name, "bucket_block")
    return BlockBucket(block.bucket_name, block.bucket_folder.strip("/"), block.credentials)


def load_role(name: str) -> str:
    """The execution role that the ``sagemaker-role`` block of this name says.

    Raises:
        SettingsInvalid: there is none, or no Prefect server that knows. Not retried.
    """
    return str(_load(role_block_class(), name, "role_block").role_arn)


def role_block_class() -> Any:
    """The class of ``sagemaker-role`` blocks: the execution role of training jobs, which is no secret."""
    from tasks.aws.role_block import SageMakerRole

    return SageMakerRole


def _load(block_class: Any, name: str, field: str) -> Any:
    import httpx

    slug = block_class.get_block_type_slug()
    try:
        return block_class.load(name, _sync=True)
    except ValueError as error:
        raise SettingsInvalid(
            f"sagemaker.{field}: Prefect knows no block {slug}/{name} ({error}); make it "
            f"(prefect block create {slug}), or leave the field empty"
        ) from error
    except (httpx.HTTPError, RuntimeError) as error:
        raise SettingsInvalid(
            f"sagemaker.{field}: block {slug}/{name} cannot be had, as the Prefect server does not answer ({error})"
        ) from error
