"""What AWS answers becomes one line for a person, or a later attempt."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    InvalidConfigError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    ReadTimeoutError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from models.errors import CloudRefused, StoreUnavailable
from tasks.aws.refusals import aws_errors


def answer(code: str, message: str = "no", status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "CreateTrainingJob")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (answer("AccessDeniedException"), "may not do it"),
        (answer("ResourceLimitExceeded", "limit is 0 Instances"), "ask for more in Service Quotas"),
        (answer("ValidationException", "Could not assume role arn:…"), "check sagemaker.role and its trust policy"),
        (answer("ValidationException", "Cannot find Requested image"), "build and push it"),
        (answer("ValidationException", "No S3 objects in region"), "take one of the jobs' own region"),
        (answer("ExpiredTokenException"), "have expired"),
        (answer("UnrecognizedClientException"), "does not know these credentials"),
        (answer("NoSuchBucket"), "there is no such bucket"),
        (answer("SomethingNew"), "look the code up"),
        (NoCredentialsError(), "there are no AWS credentials"),
        (NoRegionError(), "give sagemaker.region"),
        (ParamValidationError(report="bad"), "correct what it names"),
        (InvalidConfigError(error_msg="source_profile missing"), "mend the AWS configuration"),
        (SSOTokenLoadError(profile_name="p", error_msg="none"), "aws sso login"),
        (UnauthorizedSSOTokenError(), "aws sso login"),
        (TokenRetrievalError(provider="sso", error_msg="Token has expired"), "aws sso login"),
    ],
)
def test_what_stays_is_refused_in_one_line_with_advice(error, told):
    with pytest.raises(CloudRefused, match=told) as raised, aws_errors("a job"):
        raise error

    assert not raised.value.retryable
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("a job: AWS refuses")


@pytest.mark.parametrize(
    "error",
    [
        answer("ThrottlingException"),
        answer("InternalFailure", status=500),
        answer("Whatever", status=503),
        EndpointConnectionError(endpoint_url="http://x"),
        ConnectTimeoutError(endpoint_url="http://x"),
        ReadTimeoutError(endpoint_url="http://x"),
    ],
)
def test_what_passes_is_retried(error):
    with pytest.raises(StoreUnavailable) as raised, aws_errors("a job"):
        raise error

    assert raised.value.retryable
