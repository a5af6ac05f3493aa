"""What a training job is sent off with: code, inputs, its settings and placement, and the request that names them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from models.errors import SettingsInvalid
from models.jobs.keys import sha256_of
from models.jobs.layout import RunPlan
from models.jobs.placement import Placement
from models.settings.fields import Settings
from models.settings.predict import PredictSettings
from models.settings.retrieval import EmbedSettings
from models.settings.train import TrainSettings
from tasks.aws.bundle import CodeBundle
from tasks.aws.channels import Cargo
from tasks.aws.instances import machine_of
from tasks.aws.remote_run import run_uri
from tasks.aws.request import (
    CODE_CHANNEL,
    FAILURE_PATH,
    JOB_CHANNEL,
    JOB_FILE,
    PLACEMENT_FILE,
    JobRequest,
    training_job_request,
)
from tasks.aws.sending import Sending
from tasks.aws.session import AwsPlace
from tasks.aws.settings import SageMakerSettings

JOBS_FOLDER = "jobs"
UNLAUNCHED = "random-token-of-the-launch"
"""What a dry run shows."""


@dataclass(frozen=True)
class Dispatch:
    """A job made ready for SageMaker. Pure but for the two methods that send.

    Args:
        settings: Machine, limits, network.
        place: Region, role, store, image.
        plan: The run.
        cargo: The job with the paths of the container, and the files it needs there.
        bundle: The code.
        git: Commit of the code, for the record.

    Raises:
        SettingsInvalid: sealed records would be opened where that cannot be logged. Not retried.
    """

    settings: SageMakerSettings
    place: AwsPlace
    plan: RunPlan
    cargo: Cargo
    bundle: CodeBundle
    git: dict[str, Any]

    def __post_init__(self) -> None:
        if self.settings.network_isolation and opens_test(self.cargo.settings):
            raise SettingsInvalid(
                "network_isolation: the job opens sealed test records, which is logged in the store, and it has no "
                "network to do so; leave test_data (open_test) empty and predict on the test split elsewhere"
            )

    def job_name(self, attempt: int) -> str:
        """Name of the training job: ``<kind>-<run key>-<build>-<store>-<attempt>``, such as ``train-…-1``.

        The same for the same run, build, store and attempt, wherever it is asked for. Two stores have two jobs: what
        one writes is not found in the other.
        """
        store = hashlib.sha256(str(self.place.store).encode()).hexdigest()[:6]
        return f"{self.plan.kind}-{self.plan.run_key[:12]}-{self.plan.run_path.name}-{store}-{attempt}"

    def request(self, name: str, *, use_spot: bool, flow_run: str | None, launch: str = UNLAUNCHED) -> dict[str, Any]:
        """The ``CreateTrainingJob`` request.

        Args:
            name: As ``job_name`` gives it.
            use_spot: Managed Spot, or on demand.
            flow_run: The flow run that asks for it.
            launch: Token by which we know it again.

        Raises:
            SettingsInvalid: AWS's service model does not accept it. Not retried.
        """
        store = self.place.store
        channels = {CODE_CHANNEL: store / self.bundle.prefix, JOB_CHANNEL: store / self.job_prefix}
        channels |= {parcel.channel: store / parcel.prefix for parcel in self.cargo.parcels}
        job = JobRequest(
            name=name,
            run_key=self.plan.run_key,
            kind=self.plan.kind,
            label=self.plan.label,
            run_uri=run_uri(store, self.plan),
            channels=channels,
            use_spot=use_spot,
            settings=self.cargo.settings,
            launch=launch,
            environment=self.cargo.environment,
            arguments=("--reuse-build",) if self.plan.reused is not None else (),
            flow_run=flow_run,
        )
        return training_job_request(job, self.settings, self.place)

    def placement(self) -> Placement:
        """What the job is told of its place; without a network SageMaker's own sync is its mirror."""
        is_online = not self.settings.network_isolation
        return Placement(
            run_uri=str(run_uri(self.place.store, self.plan)) if is_online else None,
            openings_uri=str(self.place.store) if is_online else None,
            region=self.place.region,
            run_key=self.plan.run_key,
            machine=machine_of(self.settings.instance_type),
            build=self.plan.build.to_json(),
            git=self.git,
            notice_seconds=self.settings.notice_seconds,
            failure_path=FAILURE_PATH,
        )

    def send_inputs(self, sending: Sending) -> None:
        """Put code and inputs into the store, where they are not there yet.

        Raises:
            CloudRefused: no rights, no such bucket. Not retried.
            StoreUnavailable: S3 does not answer. Retried.
        """
        sending.code(self.bundle)
        for parcel in self.cargo.parcels:
            sending.parcel(parcel)

    @property
    def job_prefix(self) -> str:
        """Where settings and placement lie: under their digest, so that no other launch changes them under a job."""
        told = {name: hashlib.sha256(content).hexdigest() for name, content in self._job_files().items()}
        return f"{JOBS_FOLDER}/{sha256_of(told)}"

    def send_job(self, sending: Sending) -> None:
        """Put settings and placement into the store, where they are not there yet. Raises as ``send_inputs`` does."""
        sending.contents(self.job_prefix, self._job_files())

    def _job_files(self) -> dict[str, bytes]:
        return {
            PLACEMENT_FILE: f"{self.placement().model_dump_json(indent=1)}\n".encode(),
            JOB_FILE: f"{self.cargo.settings.model_dump_json(indent=1)}\n".encode(),
        }


def opens_test(job: Settings) -> bool:
    """Whether a job reads sealed test records."""
    return bool(
        (isinstance(job, TrainSettings) and job.test_data is not None)
        or (isinstance(job, PredictSettings | EmbedSettings) and job.open_test)
    )
