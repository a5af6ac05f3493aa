"""The words of the API when it says no.

Texts of public reports of real jobs, as far as there are any; where a job is refused only after it was created, it
ends as Failed with the text as its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sagemaker_twin.errors import ApiError
from benchmarks.sagemaker_twin.faults import Refusal

NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)
CALLER = "arn:aws:iam::{account}:user/tester"


def could_not_assume(role: str) -> ApiError:
    """The execution role does not exist, or SageMaker may not take it."""
    return ApiError(
        "ValidationException",
        f"Could not assume role {role}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role.",
    )


def refused_creation(refusal: Refusal, request: Mapping[str, Any], arn: str) -> ApiError | None:
    """What CreateTrainingJob answers; ``None`` when the job is created, and refused later or not at all."""
    account = arn.split(":")[4]
    caller = CALLER.format(account=account)
    resources = request["ResourceConfig"]
    usage = "spot training job usage" if request.get("EnableManagedSpotTraining") else "training job usage"
    num_instances = resources.get("InstanceCount", 1)
    answers = {
        "role": could_not_assume(request["RoleArn"]),
        "pass role": ApiError(
            "AccessDeniedException",
            f"User: {caller} is not authorized to perform: iam:PassRole on resource: {request['RoleArn']} because no "
            "identity-based policy allows the iam:PassRole action",
        ),
        "rights": ApiError(
            "AccessDeniedException",
            f"User: {caller} is not authorized to perform: sagemaker:CreateTrainingJob on resource: {arn} because no "
            "identity-based policy allows the sagemaker:CreateTrainingJob action",
        ),
        "expired token": ApiError(
            "ExpiredTokenException", "The security token included in the request is expired", status=403
        ),
        "quota": ApiError(
            "ResourceLimitExceeded",
            f"The account-level service limit '{resources.get('InstanceType')} for {usage}' is 0 Instances, with "
            f"current utilization of 0 Instances and a request delta of {num_instances} Instances. Please use AWS "
            "Service Quotas to request an increase for this quota. If AWS Service Quotas is not available, contact AWS "
            "support to request an increase for this quota.",
        ),
        "throttled": ApiError("ThrottlingException", "Rate exceeded"),
    }
    return answers.get(refusal)


def failure_reason(refusal: Refusal, request: Mapping[str, Any]) -> str | None:
    """Why a job that was created fails before it starts; ``None`` when it does not."""
    image = request["AlgorithmSpecification"].get("TrainingImage", "")
    reasons = {
        "image": (
            f"ClientError: Cannot pull algorithm container. Either the image {image} does not exist or its permissions "
            "are incorrect."
        ),
        "bucket region": wrong_region("eu-west-1"),
        "internal error": "InternalServerError: We encountered an internal error. Please try again.",
    }
    return reasons.get(refusal)


def wrong_region(region: str) -> str:
    """The bucket of an input lies elsewhere."""
    return (
        "ClientError: Data download failed:PermanentRedirect (301): The bucket is in this region: "
        f"{region}. Please use this region to retry the request"
    )


def no_objects(uri: str, role: str, region: str) -> str:
    """Nothing at an input's address."""
    bucket = uri.removeprefix("s3://").split("/")[0]
    return (
        f'ClientError: No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the '
        f"bucket exists in the selected region ({region}), that objects exist under that S3 prefix, and that the role "
        f'"{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )
