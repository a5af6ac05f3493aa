"""The ``CreateTrainingJob`` request: all that SageMaker is told of a job. Pure; checked against AWS's service model.

No hyperparameters (the SDK's scripts expand them in a shell), no shell, nothing secret: settings travel as a file in a
channel, and Python itself is the entry point, so that process 1 of the container is the job.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from models.errors import SettingsInvalid
from models.settings.fields import Settings
from models.store.s3 import S3Uri
from tasks.aws.bundle import START_FILE
from tasks.aws.channels import DATA_FOLDER
from tasks.aws.service_model import check_request
from tasks.aws.session import AwsPlace
from tasks.aws.settings import SageMakerSettings
from tasks.launchers.environment import THREAD_VARIABLES, thread_budget

CODE_CHANNEL = "code"
JOB_CHANNEL = "job"
JOB_FILE = "job.json"
PLACEMENT_FILE = "placement.json"
RUN_FOLDER = "/opt/ml/run"
CHECKPOINT_FOLDER = "/opt/ml/checkpoints"
"""Where SageMaker's own sync looks; the run directory of a job without a network."""
RUNS_FOLDER = "/opt/ml/runs"
FAILURE_PATH = "/opt/ml/output/failure"
OUTPUT_FOLDER = "output"
METRICS = ("train_loss", "val_loss", "val_accuracy", "val_f1_vulnerable")
"""Told in each ``epoch`` event, and in no other."""
LAUNCH_TAG = "codewarden:launch"
"""Tells our job from that of another supervisor, where the answer to the request was lost."""
_NO_TAG = re.compile(r"[^\w\s.:/=+\-@]")
LONGEST_TAG = 256


@dataclass(frozen=True)
class JobRequest:
    """One training job, as far as it differs from others of the same settings.

    Args:
        name: Its name at SageMaker.
        run_key: The question it answers.
        kind: Kind of job.
        label: What people call the run.
        run_uri: Mirror of its run directory.
        channels: Prefix of each channel.
        use_spot: Managed Spot, or on demand.
        settings: Settings of the job: they say how many threads it may use.
        launch: Token of the launch that asks for it.
        environment: Variables beside the usual ones.
        arguments: Further arguments of the job's program.
        flow_run: The flow run that asks for it.
    """

    name: str
    run_key: str
    kind: str
    label: str
    run_uri: S3Uri
    channels: dict[str, S3Uri]
    use_spot: bool
    settings: Settings
    launch: str
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    flow_run: str | None = None


def training_job_request(job: JobRequest, settings: SageMakerSettings, place: AwsPlace) -> dict[str, Any]:
    """The request, as boto3's ``create_training_job`` takes it.

    Args:
        job: What is to run.
        settings: Machine, limits, network.
        place: Region, role, store and image.

    Raises:
        SettingsInvalid: AWS's service model does not accept it, or a tag of the settings. Not retried.
    """
    stopping = {"MaxRuntimeInSeconds": settings.max_run_seconds}
    resources: dict[str, Any] = {
        "InstanceType": settings.instance_type,
        "InstanceCount": settings.num_instances,
        "VolumeSizeInGB": settings.volume_gb,
    }
    if job.use_spot:
        stopping["MaxWaitTimeInSeconds"] = settings.max_wait_seconds
    elif settings.keep_alive_seconds:
        resources["KeepAlivePeriodInSeconds"] = settings.keep_alive_seconds
    request: dict[str, Any] = {
        "TrainingJobName": job.name,
        "AlgorithmSpecification": {
            "TrainingImage": place.image,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python", str(DATA_FOLDER / CODE_CHANNEL / START_FILE)],
            "ContainerArguments": [*_arguments(settings), *job.arguments],
            "MetricDefinitions": metric_definitions(),
        },
        "RoleArn": place.role,
        "InputDataConfig": [_channel(name, uri) for name, uri in job.channels.items()],
        "OutputDataConfig": {"S3OutputPath": str(place.store / OUTPUT_FOLDER)},
        "ResourceConfig": resources,
        "StoppingCondition": stopping,
        "EnableManagedSpotTraining": job.use_spot,
        "EnableNetworkIsolation": settings.network_isolation,
        "Environment": container_environment(job.settings) | job.environment,
        "Tags": _tags(job, settings),
    }
    if settings.network_isolation:
        request["CheckpointConfig"] = {"S3Uri": str(job.run_uri), "LocalPath": CHECKPOINT_FOLDER}
    if settings.subnets:
        request["VpcConfig"] = {"Subnets": [*settings.subnets], "SecurityGroupIds": [*settings.security_groups]}
    check_request("CreateTrainingJob", request)
    return request


def metric_definitions() -> list[dict[str, str]]:
    """How SageMaker finds the metrics of an epoch in the lines a job prints."""
    return [{"Name": name, "Regex": rf'"event": "epoch".*"{name}": ([0-9.eE+-]+)'} for name in METRICS]


def container_environment(settings: Settings) -> dict[str, str]:
    """Variables of a job's container: threads, and that nothing is fetched; never a secret."""
    return {
        **dict.fromkeys(THREAD_VARIABLES, str(thread_budget(settings))),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "HF_HUB_OFFLINE": "1",  # what a job reads from the hub was fetched before and travels with it
    }


def _arguments(settings: SageMakerSettings) -> list[str]:
    job_folder = DATA_FOLDER / JOB_CHANNEL
    return [
        str(job_folder / JOB_FILE),
        "--run-dir",
        CHECKPOINT_FOLDER if settings.network_isolation else RUN_FOLDER,
        "--runs",
        RUNS_FOLDER,
        "--placement",
        str(job_folder / PLACEMENT_FILE),
    ]


def _channel(name: str, uri: S3Uri) -> dict[str, Any]:
    """A channel; the prefix ends with a slash, or its neighbours that begin alike would come too."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"{uri}/", "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


def _tags(job: JobRequest, settings: SageMakerSettings) -> list[dict[str, str]]:
    own = {"run-key": job.run_key, "kind": job.kind, "label": job.label, "flow-run": job.flow_run}
    tags = {f"codewarden:{name}": _as_tag(value) for name, value in own.items() if value is not None}
    for key, value in settings.tags.items():
        _check_tag(key, value)
    return [{"Key": key, "Value": value} for key, value in ({**tags, LAUNCH_TAG: job.launch} | settings.tags).items()]


def _as_tag(value: str) -> str:
    """What we call a run, in the characters that tags may have."""
    return _NO_TAG.sub("_", value)[:LONGEST_TAG]


def _check_tag(key: str, value: str) -> None:
    """What a person chose is never changed in silence: bills are split by it."""
    if _NO_TAG.search(key) or _NO_TAG.search(value) or len(value) > LONGEST_TAG:
        raise SettingsInvalid(
            f"sagemaker.tags: {key!r} = {value!r} cannot be a tag; AWS takes letters, digits, spaces and _.:/=+-@ in "
            f"names and values, up to {LONGEST_TAG} in a value; change it"
        )
