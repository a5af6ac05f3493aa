"""Prints the commands that build the training image and push it to ECR.

    python -m deployments.sagemaker.image --account 123456789012 --region eu-west-1

Nothing is run: Docker, the AWS command line and rights to push are needed where the commands are (docs/image.md).
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from typing import Final

from deployments.sagemaker.argument_forms import ACCOUNT, REGION, matching
from tasks.aws.image import IMAGE_FOLDER, REPOSITORY, default_image_uri

PLATFORM: Final = "linux/amd64"
"""What SageMaker's GPU machines run, whatever the machine that builds is."""


def main(argv: Sequence[str] | None = None) -> int:
    """The program; gives its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.sagemaker.image", description=(__doc__ or "").splitlines()[0]
    )
    account = "AWS account that keeps the image, 12 digits"
    parser.add_argument("--account", required=True, type=matching(ACCOUNT), help=account)
    parser.add_argument(
        "--region", required=True, type=matching(REGION), help="region of the repository and of the jobs"
    )
    arguments = parser.parse_args(argv)
    sys.stdout.write("".join(f"{command}\n" for command in commands(arguments.account, arguments.region)))
    return 0


def commands(account: str, region: str) -> list[str]:
    """The repository (once), the login, the build with the Python of this machine, the push; to be typed in order."""
    image_uri = default_image_uri(account, region)
    registry = image_uri.partition("/")[0]
    return [
        f"aws ecr create-repository --region {region} --repository-name {REPOSITORY} --image-tag-mutability IMMUTABLE",
        f"aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin {registry}",
        # SageMaker is reported to refuse an index of manifests, as provenance makes one, and OCI's own manifests
        # (aws/amazon-sagemaker-feedback#180, moby/buildkit#5480).
        f"docker buildx build --platform {PLATFORM} --provenance=false --output type=docker "
        f"--build-arg PYTHON_VERSION={platform.python_version()} --tag {image_uri} {IMAGE_FOLDER}",
        f"docker push {image_uri}",
    ]


if __name__ == "__main__":
    sys.exit(main())
