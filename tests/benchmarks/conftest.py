"""The twin for all tests of it in a process, and jobs made of a few lines of Python."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks.local_aws import LocalAws, TwinOptions

LOOKS_UNTIL_SEEN = 200


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process runs all tests of the twin, so that it is started once."""
    for item in items:
        if {"platform", "apart"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("twin"))


@dataclass(frozen=True)
class Platform:
    """Local AWS, and jobs made of a few lines of Python."""

    aws: LocalAws
    sagemaker: Any

    def request(self, name: str, source: str = "", **changes: Any) -> dict[str, Any]:
        """A Spot job that runs ``source``; ``changes`` replace members."""
        if source:
            key = f"code/{name}/start.py"
            self.aws.client("s3").put_object(Bucket=self.aws.bucket, Key=key, Body=textwrap.dedent(source))
        request: dict[str, Any] = {
            "TrainingJobName": name,
            "RoleArn": self.aws.role,
            "AlgorithmSpecification": {
                "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/codewarden:1",
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python", "-u", "/opt/ml/input/data/code/start.py"],
                "MetricDefinitions": [{"Name": "train_loss", "Regex": r"loss=([0-9.]+)"}],
            },
            "InputDataConfig": [self.channel("code", f"s3://{self.aws.bucket}/code/{name}")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.aws.bucket}/output"},
            "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
            "EnableManagedSpotTraining": True,
        }
        return {key: value for key, value in {**request, **changes}.items() if value is not None}

    def run(self, name: str, source: str, **changes: Any) -> dict[str, Any]:
        """Create the job, wait for its end, return its description."""
        self.sagemaker.create_training_job(**self.request(name, source, **changes))
        return self.aws.wait_for(name)

    def wait_for_line(self, name: str, line: str) -> None:
        for _ in range(LOOKS_UNTIL_SEEN):
            if line in self.aws.log(name):
                return
            time.sleep(0.05)
        raise AssertionError(f"{name} never printed {line!r}: {self.aws.log(name)}")

    def client(self, **changes: Any) -> Any:
        """Another client of the training API."""
        import boto3

        settings = {
            "endpoint_url": self.aws.twin_url,
            "region_name": self.aws.region,
            "aws_access_key_id": "testing",
            "aws_secret_access_key": "testing",
        }
        return boto3.session.Session().client("sagemaker", **{**settings, **changes})

    def objects(self, prefix: str) -> dict[str, bytes]:
        """Content by the rest of the key."""
        s3 = self.aws.client("s3")
        found = s3.list_objects_v2(Bucket=self.aws.bucket, Prefix=prefix).get("Contents", [])
        return {
            one["Key"].removeprefix(prefix): s3.get_object(Bucket=self.aws.bucket, Key=one["Key"])["Body"].read()
            for one in found
        }

    def checkpoints(self, name: str) -> dict[str, str]:
        return {"S3Uri": f"s3://{self.aws.bucket}/checkpoints/{name}"}

    @staticmethod
    def channel(name: str, uri: str) -> dict[str, Any]:
        return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}

    @staticmethod
    def statuses(job: dict[str, Any]) -> list[str]:
        return [transition["Status"] for transition in job["SecondaryStatusTransitions"]]


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    options = TwinOptions(sync_seconds=0.05, stop_seconds=1.0, spot_discount=0.5)
    with LocalAws(tmp_path_factory.mktemp("aws"), options=options) as aws:
        yield Platform(aws, aws.client("sagemaker"))


@pytest.fixture
def apart(platform: Platform) -> Platform:
    """For tests that need a job in namespaces of its own."""
    if platform.aws.isolation == "none":
        pytest.skip("this machine allows no namespaces")
    return platform
