"""Rules of CreateTrainingJob that the service model does not hold: Spot, warm pools, names, roles."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from benchmarks.sagemaker_twin import refusals
from benchmarks.sagemaker_twin.aws_clients import AwsClients
from benchmarks.sagemaker_twin.errors import ApiError
from benchmarks.sagemaker_twin.layout import DEFAULT_CHECKPOINT_PATH, ML


def check_rules(request: Mapping[str, Any]) -> None:
    """Check what members of a request mean together.

    Raises:
        ApiError: ``ValidationException`` with the first rule that is broken.
    """
    for problem in (*_spot(request), *_required_together(request), *_names(request), *_beyond_the_twin(request)):
        raise ApiError("ValidationException", problem)


def check_role(clients: AwsClients, role: str) -> None:
    """The execution role must exist and let SageMaker take it.

    Raises:
        ApiError: ``ValidationException`` as the service words it.
    """
    iam = clients["iam"]
    try:
        found = iam.get_role(RoleName=role.rsplit("/", 1)[-1])["Role"]
    except iam.exceptions.NoSuchEntityException:
        raise refusals.could_not_assume(role) from None
    if found["Arn"] != role or "sagemaker.amazonaws.com" not in json.dumps(found["AssumeRolePolicyDocument"]):
        raise refusals.could_not_assume(role)


def _spot(request: Mapping[str, Any]) -> Iterator[str]:
    stopping = request.get("StoppingCondition", {})
    wait = stopping.get("MaxWaitTimeInSeconds")
    if request.get("EnableManagedSpotTraining"):
        if wait is None or wait < stopping.get("MaxRuntimeInSeconds", 86400):
            yield (
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds "
                "when EnableManagedSpotTraining is set to true"
            )
        if request["ResourceConfig"].get("KeepAlivePeriodInSeconds"):
            yield "Invalid KeepAlivePeriodInSeconds. It is not supported when EnableManagedSpotTraining is set to true"
    elif wait is not None:
        yield "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true"


def _required_together(request: Mapping[str, Any]) -> Iterator[str]:
    algorithm = request["AlgorithmSpecification"]
    if bool(algorithm.get("TrainingImage")) == bool(algorithm.get("AlgorithmName")):
        yield "You must provide exactly one of TrainingImage and AlgorithmName in AlgorithmSpecification"
    for name in ("InstanceType", "InstanceCount", "VolumeSizeInGB"):
        if not request["ResourceConfig"].get(name):
            yield f"{name} must be provided in ResourceConfig, and be at least 1"
    if not request.get("StoppingCondition"):
        yield "StoppingCondition must be provided"
    for uri in _uris(request):
        if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", uri):
            yield f"The S3 URI {uri!r} is not valid: it must begin with s3:// and the name of a bucket"


def _uris(request: Mapping[str, Any]) -> Iterator[str]:
    yield request["OutputDataConfig"]["S3OutputPath"]
    if "CheckpointConfig" in request:
        yield request["CheckpointConfig"]["S3Uri"]
    for channel in request.get("InputDataConfig", []):
        if "S3DataSource" in channel["DataSource"]:
            yield channel["DataSource"]["S3DataSource"]["S3Uri"]


def _names(request: Mapping[str, Any]) -> Iterator[str]:
    channels = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    if len(set(channels)) < len(channels):
        yield f"Channel names must be unique, found {', '.join(channels)}"
    for definition in request["AlgorithmSpecification"].get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            yield f"Invalid regular expression {definition['Regex']!r} of metric {definition['Name']!r}: {error}"


def _beyond_the_twin(request: Mapping[str, Any]) -> Iterator[str]:
    algorithm = request["AlgorithmSpecification"]
    if not algorithm.get("ContainerEntrypoint"):
        yield "The local twin runs no images: ContainerEntrypoint must be given"
    modes = [algorithm["TrainingInputMode"], *(one.get("InputMode") for one in request.get("InputDataConfig", []))]
    if any(mode not in (None, "File") for mode in modes):
        yield "The local twin knows input mode File only"
    for channel in request.get("InputDataConfig", []):
        source = channel["DataSource"].get("S3DataSource", {})
        if source.get("S3DataType") != "S3Prefix" or channel.get("CompressionType", "None") != "None":
            yield f"The local twin reads S3Prefix without compression only; channel {channel['ChannelName']} is not"
    local = request.get("CheckpointConfig", {}).get("LocalPath", DEFAULT_CHECKPOINT_PATH)
    if not PurePosixPath(local).is_relative_to(ML):
        yield f"The local twin syncs checkpoints under {ML} only, not {local}"
