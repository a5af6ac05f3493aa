"""Our request beside the one that the SDK's ``ModelTrainer`` would send for the same choices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from models.settings.train import ComputeSettings, TrainSettings
from models.store.s3 import S3Uri
from tasks.aws.request import JobRequest, metric_definitions, training_job_request
from tasks.aws.session import AwsPlace
from tasks.aws.settings import SageMakerSettings

PEER = """
import json, sys
from sagemaker.core.training.configs import (
    Channel, CheckpointConfig, Compute, DataSource, MetricDefinition, Networking, OutputDataConfig, S3DataSource,
    SourceCode, StoppingCondition, Tag,
)
from sagemaker.core.helper.session_helper import Session
from sagemaker.train import ModelTrainer

ours = json.loads(sys.stdin.read())
resources, stopping, vpc = ours["ResourceConfig"], ours["StoppingCondition"], ours["VpcConfig"]
trainer = ModelTrainer(
    training_image=ours["AlgorithmSpecification"]["TrainingImage"],
    source_code=SourceCode(command="exec python start.py"),
    compute=Compute(
        instance_type=resources["InstanceType"],
        instance_count=resources["InstanceCount"],
        volume_size_in_gb=resources["VolumeSizeInGB"],
        enable_managed_spot_training=ours["EnableManagedSpotTraining"],
    ),
    stopping_condition=StoppingCondition(
        max_runtime_in_seconds=stopping["MaxRuntimeInSeconds"],
        max_wait_time_in_seconds=stopping["MaxWaitTimeInSeconds"],
    ),
    networking=Networking(
        subnets=vpc["Subnets"],
        security_group_ids=vpc["SecurityGroupIds"],
        enable_network_isolation=ours["EnableNetworkIsolation"],
    ),
    checkpoint_config=CheckpointConfig(
        s3_uri=ours["CheckpointConfig"]["S3Uri"], local_path=ours["CheckpointConfig"]["LocalPath"]
    ),
    output_data_config=OutputDataConfig(s3_output_path=ours["OutputDataConfig"]["S3OutputPath"]),
    environment=ours["Environment"],
    tags=[Tag(key=tag["Key"], value=tag["Value"]) for tag in ours["Tags"]],
    role=ours["RoleArn"],
    sagemaker_session=Session(default_bucket=ours["OutputDataConfig"]["S3OutputPath"].split("/")[2]),
    base_job_name="peer",
).with_metric_definitions(
    [MetricDefinition(name=each["Name"], regex=each["Regex"])
     for each in ours["AlgorithmSpecification"]["MetricDefinitions"]]
)
channels = [
    Channel(
        channel_name=each["ChannelName"],
        input_mode=each["InputMode"],
        data_source=DataSource(s3_data_source=S3DataSource(
            s3_data_type=each["DataSource"]["S3DataSource"]["S3DataType"],
            s3_uri=each["DataSource"]["S3DataSource"]["S3Uri"],
            s3_data_distribution_type=each["DataSource"]["S3DataSource"]["S3DataDistributionType"],
        )),
    )
    for each in ours["InputDataConfig"] if each["ChannelName"] not in ("code", "job")
]
print("REQUEST" + json.dumps(trainer._create_training_job_args(input_data_config=channels, boto3=True), default=str))
"""
SHARED = (
    "RoleArn", "ResourceConfig", "StoppingCondition", "VpcConfig", "EnableManagedSpotTraining",
    "EnableNetworkIsolation", "CheckpointConfig",
)  # fmt: skip
MEANT_TO_DIFFER = {
    "TrainingJobName": "by the clock there, so a retry is a second paid job; by run, build and attempt here",
    "AlgorithmSpecification": "a shell there, which SIGTERM does not pass; Python itself here",
    "InputDataConfig": "code and drivers per launch there; code and job once here",
    "OutputDataConfig": "compression is named there; nothing of ours goes there",
    "Tags": "the SDK's own are added there",
    "Environment": "the SDK's own are added there",
}
ONLY_THERE = {"HyperParameters": "our settings travel as a file"}


def ours(role: str, bucket: str) -> dict[str, Any]:
    store = S3Uri(bucket, "parity")
    settings = SageMakerSettings(network_isolation=True, subnets=("subnet-1",), security_groups=("sg-1",))
    place = AwsPlace("us-east-1", role, store, "123456789012.dkr.ecr.us-east-1.amazonaws.com/codewarden:py3")
    job = JobRequest(
        name="train-0123456789ab-01234567-1",
        run_key="0" * 64,
        kind="train",
        label="label",
        run_uri=store / "runs/x",
        channels={"code": store / "code/x", "job": store / "jobs/x", "train_data": store / "inputs/x"},
        use_spot=True,
        launch="0" * 32,
        settings=TrainSettings(train_data="t.jsonl", val_data="v.jsonl", compute=ComputeSettings(num_threads=1)),
    )
    return training_job_request(job, settings, place)


def test_what_both_say_is_the_same_and_what_differs_is_meant(aws, tmp_path):
    mine = ours(aws.role, aws.bucket)
    opt_out = tmp_path / "sagemaker.yaml"
    opt_out.write_text('SchemaVersion: "1.0"\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n')
    environment = {**os.environ, "SAGEMAKER_VALIDATE_ROLE": "false", "SAGEMAKER_USER_CONFIG_OVERRIDE": str(opt_out)}
    done = subprocess.run(
        [sys.executable, "-c", PEER],
        input=json.dumps(mine),
        env={**environment, "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    theirs = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("REQUEST"))[7:])

    for name in SHARED:
        assert mine[name] == theirs[name], name
    differing = {name for name in mine.keys() & theirs.keys() if mine[name] != theirs[name]}
    assert differing <= MEANT_TO_DIFFER.keys()
    assert mine.keys() - theirs.keys() == set()
    assert theirs.keys() - mine.keys() <= ONLY_THERE.keys()
    specification = theirs["AlgorithmSpecification"]
    assert specification["MetricDefinitions"] == metric_definitions()
    assert specification["TrainingInputMode"] == mine["AlgorithmSpecification"]["TrainingInputMode"]
    assert mine["InputDataConfig"][-1] in theirs["InputDataConfig"]
    assert theirs["OutputDataConfig"].items() >= mine["OutputDataConfig"].items()
    assert theirs["Environment"].items() >= mine["Environment"].items()
    assert all(tag in theirs["Tags"] for tag in mine["Tags"])
