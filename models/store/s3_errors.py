"""What an error of S3 means: to be tried again, a missing object, another version, or a refusal that stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.errors import CloudRefused, ObjectMissing

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_TRANSIENT_CODES = frozenset(
    {
        "ConditionalRequestConflict",  # 409: another conditional write of this key was on its way
        "OperationAborted",
        "InternalError",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "RequestThrottled",
        "TooManyRequests",
        "RequestTimeout",
        "BadDigest",  # the bytes changed on their way
        "XAmzContentSHA256Mismatch",
        "XAmzContentChecksumMismatch",
        "IncompleteBody",
        "NoSuchUpload",  # a large upload that was swept away meanwhile begins anew
    }
)
_TRANSIENT_CLASSES = (
    "HTTPClientError",  # timeouts, closed connections, no route
    "ConnectionError",
    "IncompleteReadError",
    "ChecksumError",
    "FlexibleChecksumError",
    "CredentialRetrievalError",  # the endpoint that gives a container its credentials did not answer
    "MetadataRetrievalError",
)
_CREDENTIAL_CODES = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
    | {"TokenRefreshRequired", "UnrecognizedClientException", "InvalidClientTokenId"}
)
_CREDENTIAL_CLASSES = (
    *("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "NoAuthTokenError", "TokenRetrievalError"),
    *("SSOError", "LoginError", "UnknownTokenProviderError", "RefreshWithMFAUnsupportedError"),
)
_HOW_TO_GIVE_CREDENTIALS = (
    "give valid credentials: aws configure, AWS_PROFILE, aws sso login, or the block named by "
    "--sagemaker.credentials-block; in a training job they come from its execution role"
)
_REGION_CODES = frozenset(
    {
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
        "301",
        "TemporaryRedirect",
        "IllegalLocationConstraintException",
    }
)


def is_transient(error: Exception) -> bool:
    """Whether the same call may succeed later without anybody doing anything."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    if isinstance(error, exceptions.ClientError):
        return _status(error) >= 500 or _status(error) == 429 or _code(error) in _TRANSIENT_CODES
    classes = tuple(getattr(exceptions, name) for name in _TRANSIENT_CLASSES)
    return isinstance(error, (*classes, ResponseParserError))


def is_precondition(error: Exception) -> bool:
    """Whether the object does not have the version that a conditional write asked for; also where it is gone."""
    from botocore.exceptions import ClientError

    return isinstance(error, ClientError) and (
        _status(error) == 412 or _code(error) in ("PreconditionFailed", "NoSuchKey")
    )


def refusal_or_missing(error: Exception, *, right: str, bucket: str, key: str) -> CloudRefused | ObjectMissing:
    """The store's error for one that is not transient: one line that says what to do.

    Args:
        error: Of botocore.
        right: The right that the call needs.
        bucket: The bucket it was made on.
        key: The bucket's key it was made on.
    """
    from botocore import exceptions

    where = f"s3://{bucket}/{key}"
    if not isinstance(error, exceptions.ClientError):
        credential_classes = tuple(getattr(exceptions, name) for name in _CREDENTIAL_CLASSES)
        advice = _HOW_TO_GIVE_CREDENTIALS if isinstance(error, credential_classes) else "mend the AWS configuration"
        return CloudRefused(where, type(error).__name__, f"{_one_line(error)}: {advice}")
    code = _code(error)
    region = _region(error)
    if code in _REGION_CODES:
        named = region or "REGION (see the bucket's properties)"
        advice = (
            f"the bucket {bucket} is in another region; give --sagemaker.region {named}, so that jobs run beside it"
        )
    elif code == "NoSuchBucket":
        advice = f"there is no bucket {bucket}; make it, or correct --sagemaker.store"
    elif code in _CREDENTIAL_CODES:
        advice = _HOW_TO_GIVE_CREDENTIALS
    elif code == "RequestTimeTooSkewed":
        advice = "the clock of this machine is wrong; set it (NTP), then start the job again"
    elif code in ("NoSuchKey", "404"):
        return ObjectMissing(where)
    elif _status(error) == 403:
        advice = (
            f"give this role or user {right} on arn:aws:s3:::{bucket}/* and s3:ListBucket on arn:aws:s3:::{bucket} "
            "(docs/aws-setup.md has the policy)"
        )
    else:
        advice = f"{_one_line(error)}; mend what it says and start again"
    return CloudRefused(where, code, advice)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: ClientError) -> int:
    metadata: Any = error.response.get("ResponseMetadata", {})
    return int(metadata.get("HTTPStatusCode", 0))


def _region(error: ClientError) -> str | None:
    metadata: Any = error.response.get("ResponseMetadata", {})
    told: Any = error.response.get("Error", {})
    found = metadata.get("HTTPHeaders", {}).get("x-amz-bucket-region") or told.get("Region")
    return str(found) if found else None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
