"""The twin refuses what the API refuses, in its words, and answers what the API answers beside creating jobs."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from benchmarks.local_aws import FaultPlan, Reclaim


def channel(name: str, uri: str) -> dict[str, Any]:
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}


def changed(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(request: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            request = request.setdefault(parent, {})
        if value is None:
            request.pop(last, None)
        else:
            request[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (changed("TrainingJobName", "under_score"), r"'trainingJobName'.*pattern: \[a-zA-Z0-9\]"),
        (changed("TrainingJobName", "-begins"), r"'trainingJobName'.*pattern"),
        (changed("TrainingJobName", "x" * 64), r"'trainingJobName'.*less than or equal to 63"),
        (changed("TrainingJobName", "new\n"), r"'trainingJobName'.*pattern"),
        (changed("RoleArn", "arn:aws:iam::1:role/too-short"), r"'roleArn'.*pattern"),
        (
            changed("ResourceConfig.InstanceType", "ml.g4dn.tiny"),
            r"'resourceConfig.instanceType'.*enum value set: \[ml",
        ),
        (changed("ResourceConfig.InstanceType", None), "InstanceType must be provided"),
        (changed("ResourceConfig.KeepAlivePeriodInSeconds", 21601), "'resourceConfig.keepAlivePeriodInSeconds'.*21600"),
        (changed("OutputDataConfig.S3OutputPath", "bucket/output"), r"'outputDataConfig.s3OutputPath'.*pattern"),
        (changed("CheckpointConfig.S3Uri", "file:///tmp"), r"'checkpointConfig.s3Uri'.*pattern"),
        (changed("CheckpointConfig.S3Uri", "s3://UPPER/x"), "S3 URI 's3://UPPER/x' is not valid"),
        (changed("InputDataConfig", [channel("a b", "s3://bucket/x")]), r"'inputDataConfig.1.member.channelName'"),
        (changed("InputDataConfig", [channel("a", "s3://bucket/x")] * 2), "names must be unique"),
        (changed("HyperParameters", {"long": "x" * 2501}), r"'hyperParameters.long'.*2500"),
        (changed("AlgorithmSpecification.ContainerArguments", ["two\nlines"]), r"'algorithmSpecification.containerArg"),
        (changed("Environment", {"9": "x"}), r"'environment'.*Map keys must satisfy"),
        (changed("StoppingCondition.MaxWaitTimeInSeconds", None), "must be present and be greater"),
        (changed("StoppingCondition.MaxWaitTimeInSeconds", 599), "must be present and be greater"),
        (changed("EnableManagedSpotTraining", None), "only supported when EnableManagedSpotTraining"),
        (changed("ResourceConfig.KeepAlivePeriodInSeconds", 60), "KeepAlivePeriodInSeconds. It is not supported"),
        (changed("AlgorithmSpecification.TrainingImage", None), "exactly one of TrainingImage and AlgorithmName"),
        (changed("AlgorithmSpecification.TrainingInputMode", "Pipe"), "input mode File only"),
        (changed("AlgorithmSpecification.MetricDefinitions", [{"Name": "x", "Regex": "("}]), "regular expression"),
        (changed("RoleArn", "arn:aws:iam::123456789012:role/nobody"), "Could not assume role"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_what_the_api_refuses_is_refused_in_its_words(
    platform: Any, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    request = platform.request("refused")
    change(request)
    num_jobs = len(platform.aws.jobs())
    with pytest.raises(ClientError, match=told) as refused:
        platform.sagemaker.create_training_job(**request)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert len(platform.aws.jobs()) == num_jobs


def test_all_violations_of_a_request_are_counted(platform: Any) -> None:
    from benchmarks.sagemaker_twin.errors import ApiError
    from benchmarks.sagemaker_twin.validation import check_request

    request = platform.request("fine")
    check_request("CreateTrainingJob", deepcopy(request))
    with pytest.raises(ApiError, match="3 validation errors detected") as refused:
        check_request("CreateTrainingJob", {**request, "TrainingJobName": "a_b", "RoleArn": None, "Unknown": 1})
    assert "Value null at 'roleArn'" in refused.value.message
    assert "Unknown parameter 'unknown'" in refused.value.message
    with pytest.raises(ApiError, match=r"'stoppingCondition.maxRuntimeInSeconds'.*greater than or equal to 1"):
        check_request("CreateTrainingJob", {**request, "StoppingCondition": {"MaxRuntimeInSeconds": 0}})
    with pytest.raises(ApiError, match=r"resourceConfig.instanceCount: str where integer"):
        check_request("CreateTrainingJob", {**request, "ResourceConfig": {"InstanceCount": "1"}})


def test_every_pattern_of_the_requests_compiles() -> None:
    """The service's patterns are Java's; those of our operations must mean something here too."""
    from benchmarks.sagemaker_twin.validation import java_pattern, service_model

    seen = set()

    def walk(shape: Any) -> None:
        if shape.name in seen:
            return
        seen.add(shape.name)
        if "pattern" in shape.metadata:
            java_pattern(shape.metadata["pattern"])
        for member in (*getattr(shape, "members", {}).values(), *filter(None, [getattr(shape, "member", None)])):
            walk(member)

    for operation in ("Create", "Describe", "Stop", "Update", "Delete"):
        walk(service_model().operation_model(f"{operation}TrainingJob").input_shape)
    assert "TrainingJobName" in seen


@pytest.mark.parametrize(
    ("refusal", "code", "told"),
    [
        ("role", "ValidationException", "Could not assume role"),
        ("pass role", "AccessDeniedException", "not authorized to perform: iam:PassRole"),
        ("rights", "AccessDeniedException", "not authorized to perform: sagemaker:CreateTrainingJob"),
        ("expired token", "ExpiredTokenException", "expired"),
        ("quota", "ResourceLimitExceeded", "'ml.g4dn.xlarge for spot training job usage' is 0 Instances"),
        ("throttled", "ThrottlingException", "Rate exceeded"),
    ],
)
def test_planned_refusals_of_the_request(platform: Any, refusal: Any, code: str, told: str) -> None:
    # boto3 itself would try again, for seconds, where it is told to slow down.
    once = platform.client(config=Config(retries={"total_max_attempts": 1}))
    name = f"refuse-{refusal.replace(' ', '-')}"
    platform.aws.plan_faults(FaultPlan(name, refusal=refusal))
    with pytest.raises(ClientError, match=told) as refused:
        once.create_training_job(**platform.request(name))
    assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ("image", "ClientError: Cannot pull algorithm container. Either the image"),
        ("bucket region", "ClientError: Data download failed:PermanentRedirect (301)"),
        ("internal error", "InternalServerError: We encountered an internal error"),
    ],
)
def test_planned_refusals_of_the_job(platform: Any, refusal: Any, told: str) -> None:
    name = f"fail-{refusal.replace(' ', '-')}"
    platform.aws.plan_faults(FaultPlan(name, refusal=refusal))
    job = platform.run(name, "pass")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(told)


def test_inputs_that_are_not_there_or_elsewhere_fail_the_job(platform: Any) -> None:
    elsewhere = {"LocationConstraint": "eu-west-1"}
    s3 = platform.aws.client("s3")
    s3.create_bucket(Bucket="elsewhere-bucket", CreateBucketConfiguration=elsewhere)
    for name, uri, told in (
        ("no-object", f"s3://{platform.aws.bucket}/nothing/", "No S3 objects found under S3 URL"),
        ("no-bucket", "s3://no-such-bucket-here/x", "No S3 objects found under S3 URL"),
        ("far-bucket", "s3://elsewhere-bucket/x", "The bucket is in this region: eu-west-1"),
    ):
        job = platform.run(name, "pass", InputDataConfig=[channel("data", uri)])
        assert job["TrainingJobStatus"] == "Failed"
        assert told in job["FailureReason"]


# --- the rest of the API --------------------------------------------------------------------------------------------


def test_a_name_is_taken_once_even_by_many_at_a_time(platform: Any) -> None:
    platform.run("taken", "pass")
    with pytest.raises(ClientError, match="already exists") as refused:
        platform.sagemaker.create_training_job(**platform.request("taken"))
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"


def test_an_unknown_job_is_a_validation_exception_as_in_the_api(platform: Any) -> None:
    for operation in ("describe_training_job", "stop_training_job", "delete_training_job"):
        with pytest.raises(ClientError, match="Requested resource not found") as refused:
            getattr(platform.sagemaker, operation)(TrainingJobName="never-made")
        assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_jobs_are_listed_in_pages_with_tags_and_can_be_deleted(platform: Any) -> None:
    sagemaker = platform.sagemaker
    for number in range(3):
        tags = [{"Key": "number", "Value": str(number)}]
        sagemaker.create_training_job(**platform.request(f"listed-{number}", "pass", Tags=tags))
    for number in range(3):
        platform.aws.wait_for(f"listed-{number}")
    asked = {"NameContains": "listed", "SortBy": "Name", "SortOrder": "Ascending", "StatusEquals": "Completed"}
    pages = sagemaker.get_paginator("list_training_jobs").paginate(**asked, PaginationConfig={"PageSize": 2})
    names = [[job["TrainingJobName"] for job in page["TrainingJobSummaries"]] for page in pages]
    assert names == [["listed-0", "listed-1"], ["listed-2"]]
    arn = sagemaker.describe_training_job(TrainingJobName="listed-1")["TrainingJobArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "more", "Value": "x"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["number"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "more", "Value": "x"}]
    sagemaker.delete_training_job(TrainingJobName="listed-1")
    assert len(sagemaker.list_training_jobs(NameContains="listed")["TrainingJobSummaries"]) == 2


def test_machines_are_kept_warm_for_the_next_job_of_their_shape(platform: Any) -> None:
    on_demand = {"EnableManagedSpotTraining": None, "StoppingCondition": {"MaxRuntimeInSeconds": 60}}
    warm = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1, "KeepAlivePeriodInSeconds": 600}
    describe = platform.sagemaker.describe_training_job
    platform.run("warm-1", "pass", ResourceConfig=warm, **on_demand)
    assert describe(TrainingJobName="warm-1")["WarmPoolStatus"]["Status"] == "Available"
    job = platform.run("warm-2", "pass", ResourceConfig=warm, **on_demand)
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"], "on-demand has no discount"
    assert describe(TrainingJobName="warm-1")["WarmPoolStatus"]["ReusedByJob"] == "warm-2"
    update = {"TrainingJobName": "warm-2", "ResourceConfig": {"KeepAlivePeriodInSeconds": 0}}
    platform.sagemaker.update_training_job(**update)
    assert describe(TrainingJobName="warm-2")["WarmPoolStatus"]["Status"] == "Terminated"


def test_what_is_no_training_job_is_answered_by_moto(platform: Any) -> None:
    made = platform.sagemaker.create_model_package_group(ModelPackageGroupName="group")
    listed = platform.sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert [group["ModelPackageGroupArn"] for group in listed] == [made["ModelPackageGroupArn"]]
    assert platform.aws.calls()["CreateModelPackageGroup"] == 1


def test_a_misspelt_plan_is_refused(platform: Any) -> None:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(f"{platform.aws.twin_url}/twin/faults", b'{"reclaim": []}', method="POST")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)
    with pytest.raises(Exception, match="unterminated"):
        Reclaim("(")
