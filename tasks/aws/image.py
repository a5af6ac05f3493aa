"""The name of the default training image, which says what is in it: the image's lock and the Python it runs on.

The image is built from ``deployments/sagemaker`` (docs/image.md). A job refuses to run with other libraries than it was
planned with, so an image is asked for by what it must hold: another lock or another Python is another tag.
"""

from __future__ import annotations

import hashlib
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

IMAGE_FOLDER: Final = Path(__file__).resolve().parents[2] / "deployments" / "sagemaker"
LOCK_PATH: Final = IMAGE_FOLDER / "requirements.lock"
REPOSITORY: Final = "codewarden"
"""Name of the image's repository in ECR."""
DIGEST_LENGTH: Final = 12

_PRIVATE_ECR = re.compile(
    r"^(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/"
    r"(?P<repository>[a-z0-9][a-z0-9._/-]*?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?$"
)


@dataclass(frozen=True)
class EcrImage:
    """An image in a private ECR repository.

    Args:
        account: AWS account that owns the repository, 12 digits.
        region: Region of the repository.
        repository: Name of the repository.
        tag: Tag; ``None`` where only the digest is said.
        digest: ``sha256:…``; ``None`` where only the tag is said.
    """

    account: str
    region: str
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, image_uri: str) -> EcrImage | None:
        """The parts of an image's name; ``None`` for an image in another registry."""
        found = _PRIVATE_ECR.match(image_uri)
        return None if found is None else cls(**found.groupdict())

    @property
    def image_id(self) -> dict[str, str]:
        """As ECR's ``describe_images`` wants it; ``latest`` where neither tag nor digest is said, as Docker has it."""
        return {"imageDigest": self.digest} if self.digest else {"imageTag": self.tag or "latest"}


def lock_digest() -> str:
    """The first 12 hex digits of the sha256 of the image's lock."""
    return hashlib.sha256(LOCK_PATH.read_bytes()).hexdigest()[:DIGEST_LENGTH]


def image_tag(python_version: str | None = None) -> str:
    """Tag of the default image for a Python (``3.11.7``; empty: this one), such as ``py3.11.7-0123456789ab``."""
    return f"py{python_version or platform.python_version()}-{lock_digest()}"


def default_image_uri(account: str, region: str) -> str:
    """The default image in the ECR of an account and a region: this checkout's lock on the Python of this machine.

    The name only: whether the image is there is for ``preflight`` to find out.
    """
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{domain}/{REPOSITORY}:{image_tag()}"
