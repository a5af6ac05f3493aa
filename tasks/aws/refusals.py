"""What AWS answers when it does not do as asked, as errors of ours: a line for a person, or a later attempt."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from models.errors import CloudRefused, CodewardenError, StoreUnavailable
from models.store.s3_errors import is_transient, refusal_or_missing

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})
"""Codes of what these credentials may not do."""
POLICY = "give them the rights that python -m deployments.sagemaker.policies prints (docs/aws-setup.md)"
ADVICE = {
    "AccessDenied": f"these credentials may not do it; {POLICY}",
    "AccessDeniedException": f"these credentials may not do it; {POLICY}",
    "UnauthorizedOperation": f"these credentials may not do it; {POLICY}",
    "403": f"these credentials may not read it; {POLICY}",
    "ExpiredToken": "the credentials have expired; log in again",
    "ExpiredTokenException": "the credentials have expired; log in again",
    "RequestExpired": "the credentials have expired, or the clock of this machine is wrong",
    "UnrecognizedClientException": "AWS does not know these credentials; check access key and region",
    "InvalidClientTokenId": "AWS does not know these credentials; check access key and region",
    "InvalidAccessKeyId": "AWS does not know these credentials; check access key and region",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key; check the credentials",
    "ResourceLimitExceeded": "the quota of this instance type does not allow it; ask for more in Service Quotas "
    "(Amazon SageMaker, training job usage, Spot and on-demand apart), or take another sagemaker.instance_type",
    "NoSuchBucket": "there is no such bucket; make it, or give another sagemaker.store",
    "PermanentRedirect": "the bucket is in another region; give sagemaker.region, or a bucket of this one",
    "AuthorizationHeaderMalformed": "the bucket is in another region; give sagemaker.region, or a bucket of this one",
    "NoCredentialsError": "there are no AWS credentials; give sagemaker.credentials_block, or set up the standard "
    "chain (aws configure, AWS_PROFILE …)",
    "PartialCredentialsError": "the AWS credentials are incomplete; check the profile",
    "ProfileNotFound": "there is no such profile in the AWS configuration; check AWS_PROFILE",
    "NoRegionError": "no AWS region is known; give sagemaker.region, or set AWS_DEFAULT_REGION",
    "SSOTokenLoadError": "nobody is logged in, or no longer; log in again (aws sso login)",
    "UnauthorizedSSOTokenError": "the login has expired; log in again (aws sso login)",
    "TokenRetrievalError": "the login has expired; log in again (aws sso login)",
    "ParamValidationError": "the request is not one of this API; correct what it names",
}
VALIDATION_ADVICE = (
    (r"role|assume", "the execution role cannot be used by SageMaker; check sagemaker.role and its trust policy"),
    (r"image|repositor|ecr", "the training image cannot be used; build and push it (docs/image.md), or give another "
     "sagemaker.custom_image"),
    (r"region|bucket|s3", "the bucket cannot be used from this region; take one of the jobs' own region"),
    (r"instance|capacity", "take another sagemaker.instance_type"),
)  # fmt: skip
PASSING = frozenset(
    {
        "Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException", "RequestLimitExceeded",
        "RequestThrottled", "SlowDown", "InternalFailure", "InternalError", "InternalServerError",
        "InternalServerException", "ServiceUnavailable", "ServiceUnavailableException", "RequestTimeout",
        "RequestTimeoutException",
    }
)  # fmt: skip
"""Codes that a later attempt may not get."""
LONGEST_ANSWER = 300


@contextlib.contextmanager
def aws_errors(what: str) -> Iterator[None]:
    """Turn what boto3 raises into errors of ours.

    Args:
        what: What was asked for, as a person would say it.

    Raises:
        CloudRefused: AWS refuses until someone mends the reason. Not retried.
        StoreUnavailable: AWS does not answer, or not now, after botocore's own attempts. Retried.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise error_of(error.response, what) from error
    except (BotoCoreError, ResponseParserError) as error:
        name, told = type(error).__name__, " ".join(str(error).split())[:LONGEST_ANSWER]
        if is_transient(error):
            raise StoreUnavailable(f"{what}: AWS does not answer ({name}: {told})") from error
        # Nothing was asked of AWS: what is said of such an error has nothing to do with buckets.
        refusal = refusal_or_missing(error, right="", bucket="", key="")
        assert isinstance(refusal, CloudRefused)
        advice = f"{ADVICE[name]} (it says: {told})" if name in ADVICE else refusal.advice
        raise CloudRefused(what, name, advice) from error


def error_of(response: dict[str, Any], what: str) -> CodewardenError:
    """The error for an answer that is one.

    Args:
        response: As in ``ClientError.response``.
        what: What was asked for.
    """
    code, answer = str(response["Error"].get("Code", "")), str(response["Error"].get("Message", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in PASSING or status >= 500 or status == 429:
        return StoreUnavailable(f"{what}: AWS does not do it now ({code or status}: {answer})")
    advice = _advice(code, answer)
    told = " ".join(answer.split())[:LONGEST_ANSWER]
    return CloudRefused(what, code or str(status), f"{advice} (it says: {told})" if told else advice)


def _advice(code: str, answer: str) -> str:
    if code in ("ValidationException", "ValidationError"):
        lower = answer.lower()
        return next((advice for words, advice in VALIDATION_ADVICE if re.search(words, lower)), "change what it names")
    return ADVICE.get(code, "look the code up in the AWS documentation")
