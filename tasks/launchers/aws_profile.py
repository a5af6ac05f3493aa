"""AWS credentials for one local child: files in the memory of its supervisor, which die with it; none on the disk.

What is in an environment is seen by every process of this user and is logged by many tools, and what is on a disk
outlives a supervisor that is killed. So the child's AWS configuration is a nameless file of this process, reached by
``/proc``, and names a program that reads the keys from another. Keys that expire are handed on for some minutes at a
time, and renewed for as long as the child is supervised.
"""

from __future__ import annotations

import configparser
import io
import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from models.errors import CloudRefused, SettingsInvalid
from tasks.aws.refusals import ADVICE, aws_errors

if TYPE_CHECKING:
    from tasks.aws.session import AwsSession

PROFILE = "default"
ENDPOINT_PREFIX = "AWS_ENDPOINT_URL"
HANDED_ON = ("AWS_EC2_METADATA_DISABLED", "AWS_CA_BUNDLE", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")
LEASE = timedelta(minutes=20)
"""Keys that expire are told to end then, so that botocore asks again from 15 minutes before; they live longer."""
RENEWAL_SECONDS = 60.0


class PrivateProfile:
    """A profile that only processes of this user find, while this process lives.

    Args:
        session: Whose credentials.

    Raises:
        CloudRefused: it has none, or they cannot be renewed. Not retried.
        SettingsInvalid: this is no Linux. Not retried.
        StoreUnavailable: whoever gives them does not answer. Retried.
    """

    def __init__(self, session: AwsSession) -> None:
        if not hasattr(os, "memfd_create"):
            raise SettingsInvalid("checkpoints of jobs that run here are sent to S3 on Linux only; leave store empty")
        with aws_errors("AWS credentials"):
            self._credentials = session.boto_session.get_credentials()
        if self._credentials is None:
            raise CloudRefused("AWS credentials", "NoCredentialsError", ADVICE["NoCredentialsError"])
        self._region = session.region
        keys = self._keys()
        self._keys_file = _memory_file(keys)
        self._config_file = _memory_file(_config(self._region, f"cat {_path(self._keys_file)}"))
        self._renew_at = time.monotonic() + RENEWAL_SECONDS

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Variables by which a child finds the profile; addresses of other servers are handed on."""
        handed_on = {
            name: value for name, value in inherited.items() if name.startswith(ENDPOINT_PREFIX) or name in HANDED_ON
        }
        return {
            **handed_on,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_CONFIG_FILE": _path(self._config_file),
            "AWS_DEFAULT_REGION": self._region,
        }

    def renew(self) -> None:
        """Hand on the keys of this moment, once a minute; nothing to do for those that do not expire.

        Raises:
            CloudRefused: they can be renewed no longer, such as after a login has expired. Not retried.
            StoreUnavailable: whoever gives them does not answer. Retried.
        """
        if not _expires(self._credentials) or time.monotonic() < self._renew_at:
            return
        self._renew_at = time.monotonic() + RENEWAL_SECONDS
        fresh = _memory_file(self._keys())
        os.dup2(fresh, self._keys_file, inheritable=False)  # in one step: a reader finds the one or the other
        os.close(fresh)

    def remove(self) -> None:
        """Forget it."""
        os.close(self._keys_file)
        os.close(self._config_file)

    def _keys(self) -> bytes:
        """As a ``credential_process`` tells them."""
        with aws_errors("AWS credentials"):
            found = self._credentials.get_frozen_credentials()
        told = {"Version": 1, "AccessKeyId": found.access_key, "SecretAccessKey": found.secret_key}
        if found.token:
            told["SessionToken"] = found.token
        if _expires(self._credentials):
            told["Expiration"] = (datetime.now(UTC) + LEASE).isoformat()
        return json.dumps(told).encode()


def _expires(credentials: Any) -> bool:
    from botocore.credentials import RefreshableCredentials

    return isinstance(credentials, RefreshableCredentials)


def _config(region: str, command: str) -> bytes:
    config, text = configparser.RawConfigParser(), io.StringIO()
    config[PROFILE] = {"region": region, "credential_process": command}
    config.write(text)
    return text.getvalue().encode()


def _memory_file(content: bytes) -> int:
    """A file without a name or a place, closed on exec; gives its descriptor."""
    descriptor = os.memfd_create("aws")
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, content)
    return descriptor


def _path(descriptor: int) -> str:
    """Where other processes of this user find it; children of the child too, who inherit no descriptor."""
    return f"/proc/{os.getpid()}/fd/{descriptor}"
