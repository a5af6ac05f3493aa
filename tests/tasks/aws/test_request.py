"""The request is one that AWS accepts, whatever the settings, and carries nothing that a shell could read."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import SettingsInvalid
from models.settings.train import ComputeSettings, TrainSettings
from models.store.s3 import S3Uri
from tasks.aws.request import METRICS, JobRequest, training_job_request
from tasks.aws.service_model import request_problems
from tasks.aws.session import AwsPlace
from tasks.aws.settings import SageMakerSettings

ROLE = "arn:aws:iam::123456789012:role/codewarden-training"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/codewarden:py3.11.7-0123456789ab"
STORE = S3Uri("a-bucket", "codewarden")
PLACE = AwsPlace("eu-west-1", ROLE, STORE, IMAGE)
HARM = 'it\'s "quoted" $(touch touched)\n`x`; é'


def job(**changes: Any) -> JobRequest:
    settings = TrainSettings(train_data="t.jsonl", val_data="v.jsonl", compute=ComputeSettings(num_threads=3))
    values: dict[str, Any] = {
        "name": "train-0123456789ab-01234567-1",
        "run_key": "0" * 64,
        "kind": "train",
        "label": "gnn_lr0.001",
        "run_uri": STORE / "runs/train/0123456789ab/01234567",
        "channels": {"code": STORE / "code/ab", "job": STORE / "jobs/x", "train_data": STORE / "inputs/cd"},
        "use_spot": True,
        "settings": settings,
        "launch": "0" * 32,
    }
    return JobRequest(**(values | changes))


def request(settings: SageMakerSettings | None = None, **changes: Any) -> dict[str, Any]:
    return training_job_request(job(**changes), settings or SageMakerSettings(), PLACE)


def test_a_spot_job_is_bounded_and_python_itself_is_process_1():
    made = request()

    assert made["EnableManagedSpotTraining"] is True
    assert made["StoppingCondition"] == {"MaxRuntimeInSeconds": 14400, "MaxWaitTimeInSeconds": 18000}
    assert made["AlgorithmSpecification"]["ContainerEntrypoint"] == ["python", "/opt/ml/input/data/code/start.py"]
    arguments = made["AlgorithmSpecification"]["ContainerArguments"]
    assert arguments == [
        *("/opt/ml/input/data/job/job.json", "--run-dir", "/opt/ml/run", "--runs", "/opt/ml/runs"),
        *("--placement", "/opt/ml/input/data/job/placement.json"),
    ]
    assert made["ResourceConfig"] == {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30}
    assert made["Environment"]["OMP_NUM_THREADS"] == "3"
    assert not {"HyperParameters", "CheckpointConfig", "VpcConfig", "RetryStrategy"} & made.keys()
    sources = [channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in made["InputDataConfig"]]
    assert all(source.endswith("/") for source in sources)  # or jobs/x would bring jobs/x1 along


def test_an_on_demand_job_waits_for_nothing_and_may_keep_its_machines():
    made = request(SageMakerSettings(use_spot=False, keep_alive_seconds=600), use_spot=False)

    assert made["EnableManagedSpotTraining"] is False
    assert made["StoppingCondition"] == {"MaxRuntimeInSeconds": 14400}
    assert made["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600


def test_without_a_network_sagemaker_syncs_the_run_directory_itself():
    made = request(SageMakerSettings(network_isolation=True, subnets=("subnet-1",), security_groups=("sg-1",)))

    assert made["EnableNetworkIsolation"] is True
    uri = "s3://a-bucket/codewarden/runs/train/0123456789ab/01234567"
    assert made["CheckpointConfig"] == {"S3Uri": uri, "LocalPath": "/opt/ml/checkpoints"}
    assert "/opt/ml/checkpoints" in made["AlgorithmSpecification"]["ContainerArguments"]
    assert made["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}


def test_metrics_are_found_in_the_lines_that_jobs_print():
    epoch = {"event": "epoch", "time": 1.0, "num_epochs": 2, "epoch": 0, "step": 8}
    line = json.dumps(epoch | {name: 10.0**-at for at, name in enumerate(METRICS, start=4)})

    for at, definition in enumerate(request()["AlgorithmSpecification"]["MetricDefinitions"], start=4):
        assert definition["Name"] == METRICS[at - 4]
        found = re.search(definition["Regex"], line)
        assert found is not None
        assert float(found[1]) == 10.0**-at
        assert re.search(definition["Regex"], json.dumps({"event": "step", "step": 1, "loss": 0.5})) is None


@given(label=st.text(max_size=300), flow_run=st.none() | st.text(max_size=40))
def test_whatever_a_run_is_called_the_request_is_acceptable(label, flow_run):
    request(label=label, flow_run=flow_run)


def test_our_names_become_harmless_tags_and_a_persons_tags_stay_as_they_are():
    made = request(SageMakerSettings(tags={"purpose": "a/b: Übung"}), label=HARM)

    tags = {tag["Key"]: tag["Value"] for tag in made["Tags"]}
    assert tags["codewarden:run-key"] == "0" * 64
    assert tags["codewarden:launch"] == "0" * 32
    assert tags["purpose"] == "a/b: Übung"
    assert not set("'\"$(`;") & set(tags["codewarden:label"])
    assert HARM not in json.dumps({name: value for name, value in made.items() if name != "Tags"})


@pytest.mark.parametrize("value", [HARM, "x" * 257])
def test_a_persons_tag_that_cannot_be_one_is_refused_by_its_name(value):
    with pytest.raises(SettingsInvalid, match="'purpose'"):
        request(SageMakerSettings(tags={"purpose": value}))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "train_x"}, "TrainingJobName: 'train_x' does not match"),
        ({"name": "x" * 64}, "TrainingJobName: 64 characters where 1 to 63 are allowed"),
        ({"channels": {f"c{n}": STORE for n in range(21)}}, "InputDataConfig: 21 entries where 1 to 20 are allowed"),
        ({"arguments": ("x" * 257,)}, r"ContainerArguments\[7\]: 257 characters"),
        ({"environment": {"no name": "x"}}, "Environment.no name .its name.: 'no name' does not match"),
    ],
)
def test_what_aws_would_not_accept_is_refused_here_by_its_place(changes, told):
    with pytest.raises(SettingsInvalid, match=told):
        request(**changes)


def test_an_instance_type_that_does_not_exist_is_refused_with_those_of_its_family():
    with pytest.raises(SettingsInvalid, match=r"'ml.g4dn.3xlarge' is none of ml.g4dn.xlarge"):
        request(SageMakerSettings(instance_type="ml.g4dn.3xlarge"))


def test_types_are_checked_too():
    (problem,) = request_problems("StopTrainingJob", {"TrainingJobName": 3})
    assert "Invalid type" in problem


def test_every_pattern_of_the_request_can_be_read():
    import botocore.session

    from tasks.aws.service_model import _python_pattern

    model = botocore.session.get_session().get_service_model("sagemaker")
    waiting, seen = [model.operation_model("CreateTrainingJob").input_shape], {}
    while waiting:
        shape = waiting.pop()
        if shape.name not in seen:
            seen[shape.name] = shape.metadata.get("pattern")
            inner = [getattr(shape, name) for name in ("member", "key", "value") if hasattr(shape, name)]
            waiting += [*inner, *getattr(shape, "members", {}).values()]
    patterns = {pattern for pattern in seen.values() if pattern}
    assert len(patterns) > 20
    for pattern in patterns:
        re.compile(_python_pattern(pattern))
