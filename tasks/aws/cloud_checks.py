"""What AWS says of role, bucket and image before a launch; each check is one to four calls, none of them costs money.

An answer "you may not ask" is no answer: it is told as not known, except for the bucket, whose rights are the question.
Where AWS does not answer at all each check raises ``StoreUnavailable``, which is retried: the launch would fare alike.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from models.errors import CloudRefused
from tasks.aws.findings import Finding, Level
from tasks.aws.image import EcrImage, default_image_uri, image_tag, lock_digest
from tasks.aws.refusals import DENIED, aws_errors

if TYPE_CHECKING:
    from models.store.s3 import S3Objects, S3Uri
    from tasks.aws.session import AwsSession

SERVICE: Final = "sagemaker.amazonaws.com"
NO_SUCH_IMAGE: Final = {"ImageNotFoundException", "RepositoryNotFoundException"}
PROBE: Final = b"written and deleted by a preflight\n"


def check_role(session: AwsSession, role: str) -> Finding:
    """Whether the execution role exists, and SageMaker may take it on."""
    check, name = f"role {role}", role.rpartition("/")[2]
    if not re.fullmatch(r"arn:[\w-]+:iam::\d{12}:role/.+", role):
        return Finding(check, Level.REFUSED, "is no ARN of a role (arn:aws:iam::123456789012:role/NAME)")
    if role.split(":")[4] != session.account:
        return Finding(check, Level.REFUSED, f"not a role of account {session.account}, which launches; name one of it")
    try:
        with aws_errors("iam:GetRole"):
            answer = session.client("iam").get_role(RoleName=name)
    except CloudRefused as error:
        if error.code in DENIED:
            return Finding(check, Level.WARNING, f"could not be checked: {error.advice}", error.code)
        advice = "there is none; make it (docs/aws-setup.md), or name another" if error.code == "NoSuchEntity" else ""
        return Finding(check, Level.REFUSED, advice or error.advice, error.code)
    if not _trusts_sagemaker(answer["Role"]["AssumeRolePolicyDocument"]):
        return Finding(check, Level.REFUSED, f"does not trust {SERVICE}; give it the trust policy of docs/aws-setup.md")
    return Finding(check, Level.OK, f"exists and trusts {SERVICE}")


def check_bucket(session: AwsSession, store: S3Uri) -> Iterator[Finding]:
    """Whether the bucket is there, in the region of the jobs, and can be read, written and deleted from."""
    check, client = f"bucket {store.bucket}", session.client("s3")
    try:
        with aws_errors("s3:GetBucketLocation"):
            region = _region_of(client.get_bucket_location(Bucket=store.bucket))
    except CloudRefused as error:
        if error.code not in DENIED:
            yield Finding(check, Level.REFUSED, error.advice, error.code)
            return
        yield Finding(check, Level.WARNING, f"its region could not be checked: {error.advice}", error.code)
    else:
        if region != session.region:
            told = f"is in {region}, and the jobs would run in {session.region}; take a bucket there, or set the region"
            yield Finding(check, Level.REFUSED, told)
            return
    yield _written_and_read(session.objects(store), check)


def check_image(session: AwsSession, image_uri: str) -> Iterator[Finding]:
    """Whether the image is there to be pulled, and is named after this checkout's lock."""
    image, check = EcrImage.parse(image_uri), f"image {image_uri}"
    if image is not None and image.region != session.region:
        told = (
            f"is in {image.region}, the jobs run in {session.region}, and SageMaker pulls from its own region alone; "
            "push it there, or set sagemaker.region"
        )
        yield Finding(check, Level.REFUSED, told)
    elif image is None or image.account != session.account:
        told = "could not be checked: not in this account's ECR; the execution role must be able to pull it"
        yield Finding(check, Level.WARNING, told)
    else:
        yield _in_repository(session, image, check, _how_to_have(image_uri, session))
    yield _of_this_lock(image_uri)


def _how_to_have(image_uri: str, session: AwsSession) -> str:
    """What to do about an image that is missing: the default one is ours to build, another one is not."""
    if image_uri != default_image_uri(session.account, session.region):
        return "push it, or name another sagemaker.custom_image"
    return (
        f"build and push it: python -m deployments.sagemaker.image --account {session.account} "
        f"--region {session.region} prints how (docs/image.md)"
    )


def _in_repository(session: AwsSession, image: EcrImage, check: str, how_to_have: str) -> Finding:
    client = session.client("ecr")
    try:
        with aws_errors("ecr:DescribeImages"):
            client.describe_images(registryId=image.account, repositoryName=image.repository, imageIds=[image.image_id])
    except CloudRefused as error:
        if error.code in DENIED:
            return Finding(check, Level.WARNING, f"could not be checked: {error.advice}", error.code)
        told = f"is not there; {how_to_have}" if error.code in NO_SUCH_IMAGE else error.advice
        return Finding(check, Level.REFUSED, told, error.code)
    return Finding(check, Level.OK, "is there")


def _of_this_lock(image_uri: str) -> Finding:
    check = "image and lock"
    if image_uri.endswith(f":{image_tag()}"):
        return Finding(check, Level.OK, f"its tag names this lock ({lock_digest()}) and this Python")
    if image_uri.endswith(f"-{lock_digest()}"):
        told = (
            f"its tag names this lock on another Python; a job refuses unless image_python says so (here {image_tag()})"
        )
        return Finding(check, Level.WARNING, told)
    told = (
        f"its tag does not name this lock ({lock_digest()}): a job compares libraries before it trains, and refuses "
        "others, minutes into paid time"
    )
    return Finding(check, Level.WARNING, told)


def _written_and_read(objects: S3Objects, check: str) -> Finding:
    key = f"preflight/{uuid.uuid4().hex}"
    try:
        objects.list("preflight/")
        objects.put(key, PROBE)
        was_read = objects.get(key).content == PROBE
        objects.delete(key)
    except CloudRefused as error:
        return Finding(check, Level.REFUSED, error.advice, error.code)
    if not was_read:
        return Finding(check, Level.REFUSED, f"{objects.uri / key} was read back as other bytes; do not use this store")
    return Finding(check, Level.OK, f"{objects.uri} can be listed, read, written and deleted from")


def _trusts_sagemaker(document: dict[str, Any]) -> bool:
    statements = document.get("Statement", [])
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        actions = statement.get("Action", [])
        if (
            statement.get("Effect") == "Allow"
            and SERVICE in ([services] if isinstance(services, str) else services)
            and "sts:AssumeRole" in ([actions] if isinstance(actions, str) else actions)
        ):
            return True
    return False


def _region_of(answer: dict[str, Any]) -> str:
    """S3 has older names for two regions: none, and EU."""
    location = answer.get("LocationConstraint") or "us-east-1"
    return "eu-west-1" if location == "EU" else str(location)
