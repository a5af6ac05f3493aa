"""Who we are at AWS, in which region, and what the jobs may use there: role, store, image.

From Prefect blocks where settings name them, else from the standard AWS chain. A dry run needs neither: what is not
known without asking is a placeholder then, and is said to be one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.errors import SettingsInvalid
from models.store.s3 import CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, S3Objects, S3Uri
from tasks.aws.blocks import load_bucket, load_credentials, load_role
from tasks.aws.image import default_image_uri
from tasks.aws.refusals import aws_errors
from tasks.aws.settings import SageMakerSettings

ROLE_VARIABLE = "SAGEMAKER_EXECUTION_ROLE"
MOST_ATTEMPTS = 5
POOL_CONNECTIONS = 32
PLACEHOLDER_ACCOUNT = "000000000000"
PLACEHOLDER_REGION = "us-east-1"
PLACEHOLDER_ROLE = f"arn:aws:iam::{PLACEHOLDER_ACCOUNT}:role/PLACEHOLDER"
PLACEHOLDER_STORE = "s3://placeholder-bucket/codewarden"


class AwsSession:
    """Clients of one region with one identity; safe to share between threads.

    Args:
        boto_session: A ``boto3.Session``.
        region: AWS region.
        endpoint_url: Another server for all services, where a block names one; variables
            ``AWS_ENDPOINT_URL_<SERVICE>`` come first.
    """

    def __init__(self, boto_session: Any, region: str, endpoint_url: str | None = None) -> None:
        self.boto_session = boto_session
        self.region = region
        self._endpoint_url = endpoint_url
        self._clients: dict[tuple[str, str, int], Any] = {}
        self._account: str | None = None
        self._making = threading.Lock()  # boto3 sessions make one client at a time

    @property
    def account(self) -> str:
        """Number of the AWS account; asked once.

        Raises:
            CloudRefused: no credentials, or bad ones. Not retried.
            StoreUnavailable: AWS does not answer. Retried.
        """
        if self._account is None:
            with aws_errors("who we are at AWS (sts:GetCallerIdentity)"):
                self._account = str(self.client("sts").get_caller_identity()["Account"])
        return self._account

    def client(self, service: str, *, region: str | None = None, num_attempts: int = MOST_ATTEMPTS) -> Any:
        """A boto3 client with finite timeouts and a bounded number of attempts.

        Args:
            service: Such as ``sagemaker``.
            region: Another region than the session's, for services that are not everywhere.
            num_attempts: How often a call is made at most.
        """
        key = (service, region or self.region, num_attempts)
        with self._making:
            if key not in self._clients:
                self._clients[key] = self._made(*key)
            return self._clients[key]

    def objects(self, uri: S3Uri) -> S3Objects:
        """Objects under an address; they try again by themselves, so their client does not."""
        return S3Objects(uri, self.client("s3", num_attempts=1))

    def _made(self, service: str, region: str, num_attempts: int) -> Any:
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": num_attempts},
            max_pool_connections=POOL_CONNECTIONS,
            tcp_keepalive=True,
        )
        own = f"AWS_ENDPOINT_URL_{service.upper().replace('-', '_')}"
        endpoint_url = None if own in os.environ else self._endpoint_url
        with aws_errors(f"a client of {service}"):
            return self.boto_session.client(service, region_name=region, config=config, endpoint_url=endpoint_url)


def open_session(settings: SageMakerSettings) -> AwsSession:
    """The session that settings ask for: credentials_block, else that of bucket_block, else the standard chain.

    Nothing is asked of AWS yet.

    Raises:
        SettingsInvalid: a block is missing, or no region is known. Not retried.
        CloudRefused: the configured profile does not exist. Not retried.
    """
    import boto3

    block = _credentials(settings)
    with aws_errors("AWS credentials"):
        session = boto3.Session() if block is None else block.get_boto3_session()
    region = settings.region or session.region_name
    if region is None:
        raise SettingsInvalid(
            "no AWS region is known; give sagemaker.region, or set AWS_DEFAULT_REGION or a region in the profile"
        )
    return AwsSession(session, region, None if block is None else block.aws_client_parameters.endpoint_url)


def _credentials(settings: SageMakerSettings) -> Any | None:
    if settings.credentials_block is not None:
        return load_credentials(settings.credentials_block)
    return load_bucket(settings.bucket_block).credentials if settings.bucket_block is not None else None


def execution_role(settings: SageMakerSettings, environment: Mapping[str, str] | None = None) -> str:
    """ARN of the role that jobs run as.

    Raises:
        SettingsInvalid: none is named, or the block is missing. Not retried.
    """
    if settings.role is not None:
        return settings.role
    if settings.role_block is not None:
        return load_role(settings.role_block)
    named = (os.environ if environment is None else environment).get(ROLE_VARIABLE)
    if named:
        return named
    raise SettingsInvalid(
        "no execution role for training jobs: give sagemaker.role (its ARN), sagemaker.role_block (a Prefect block "
        f"sagemaker-role), or set {ROLE_VARIABLE}; docs/aws-setup.md says how to make one"
    )


def store_uri(settings: SageMakerSettings) -> S3Uri:
    """Where runs, inputs and code are kept.

    Raises:
        SettingsInvalid: no place is named, or the block is missing. Not retried.
    """
    if settings.store is not None:
        return S3Uri.parse(settings.store)
    if settings.bucket_block is not None:
        found = load_bucket(settings.bucket_block)
        return S3Uri(found.bucket, found.folder)
    raise SettingsInvalid(
        "no store for training jobs: give sagemaker.store, such as s3://bucket/codewarden, or sagemaker.bucket_block "
        "(a Prefect block s3-bucket)"
    )


@dataclass(frozen=True)
class AwsPlace:
    """Where jobs run and keep what they make.

    Args:
        region: AWS region.
        role: Execution role.
        store: Prefix of everything.
        image: Training image.
        placeholders: What of it stands for something that was not asked, one phrase each; empty for a real place.
    """

    region: str
    role: str
    store: S3Uri
    image: str
    placeholders: tuple[str, ...] = ()


def place_of(settings: SageMakerSettings, session: AwsSession) -> AwsPlace:
    """The place that settings and session say; asks for the account where the default image is used.

    Raises:
        SettingsInvalid: role or store are not named. Not retried.
        CloudRefused: no credentials. Not retried.
        StoreUnavailable: AWS does not answer. Retried.
    """
    image = settings.custom_image or default_image_uri(session.account, session.region)
    return AwsPlace(session.region, execution_role(settings), store_uri(settings), image)


def placeholder_place(settings: SageMakerSettings, environment: Mapping[str, str] | None = None) -> AwsPlace:
    """The place as far as it is known without credentials or a Prefect server, and placeholders for the rest."""
    variables = os.environ if environment is None else environment
    region = settings.region or variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION")
    role = settings.role or (None if settings.role_block else variables.get(ROLE_VARIABLE))
    account = role.split(":")[4] if role else PLACEHOLDER_ACCOUNT
    missing = {
        f"region {PLACEHOLDER_REGION}": region,
        f"role {PLACEHOLDER_ROLE}": role,
        f"store {PLACEHOLDER_STORE}": settings.store,
        f"account {account} of the image": settings.custom_image or role,
    }
    region = region or PLACEHOLDER_REGION
    return AwsPlace(
        region,
        role or PLACEHOLDER_ROLE,
        S3Uri.parse(settings.store or PLACEHOLDER_STORE),
        settings.custom_image or default_image_uri(account, region),
        tuple(phrase for phrase, known in missing.items() if not known),
    )
