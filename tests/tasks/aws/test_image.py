"""The name of the default image says what must be in it."""

from __future__ import annotations

import hashlib
import platform

import pytest

from tasks.aws import image
from tasks.aws.image import EcrImage, default_image_uri, image_tag

ACCOUNT = "123456789012"
DIGEST = "sha256:" + 64 * "a"
HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"


def test_its_tag_names_this_python_and_the_lock(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    digest = hashlib.sha256(image.LOCK_PATH.read_bytes()).hexdigest()[:12]
    assert default_image_uri(ACCOUNT, "eu-west-1") == f"{HOST}/codewarden:py{platform.python_version()}-{digest}"

    changed = tmp_path / "requirements.lock"
    changed.write_bytes(image.LOCK_PATH.read_bytes() + b"\n")
    monkeypatch.setattr(image, "LOCK_PATH", changed)
    assert image_tag().partition("-")[2] != digest


def test_china_has_a_domain_of_its_own() -> None:
    assert default_image_uri(ACCOUNT, "cn-north-1").startswith(f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/")


@pytest.mark.parametrize(
    ("uri", "image_id"),
    [
        (default_image_uri(ACCOUNT, "eu-west-1"), {"imageTag": image_tag()}),
        (f"{HOST}/a/b", {"imageTag": "latest"}),
        (f"{HOST}/a/b@{DIGEST}", {"imageDigest": DIGEST}),
        (f"{HOST}/a/b:1.0@{DIGEST}", {"imageDigest": DIGEST}),
    ],
)
def test_an_image_in_ecr_is_taken_apart(uri: str, image_id: dict[str, str]) -> None:
    found = EcrImage.parse(uri)

    assert found is not None
    assert (found.account, found.region, found.image_id) == (ACCOUNT, "eu-west-1", image_id)


@pytest.mark.parametrize("uri", ["python:3.11", "public.ecr.aws/x/y:1", "ghcr.io/a/b@" + DIGEST, f"{HOST}/", HOST])
def test_anything_else_is_none(uri: str) -> None:
    assert EcrImage.parse(uri) is None
