"""Settings of the place ``sagemaker``: the machine that is asked for, where things are kept, what may be spent.

None of them decides a result: device and precision, which do, are resolved from the instance type before a run is
named (``instances.py``).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from models.settings.fields import INCIDENTAL, Settings

S3Location = Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s'\"]*)?$")]
BlockName = Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]


class BudgetSettings(Settings):
    """What may be spent under a run root."""

    total_usd: Annotated[PositiveFloat | None, INCIDENTAL] = None
    """All that may be spent on training jobs and storage of this run root [USD]; empty: no limit."""
    buffer_usd: Annotated[NonNegativeFloat, INCIDENTAL] = 0.0
    """Part of the total that no new launch may touch [USD]."""

    @model_validator(mode="after")
    def _buffer_within_total(self) -> BudgetSettings:
        if self.total_usd is not None and self.buffer_usd >= self.total_usd:
            raise ValueError(f"buffer_usd {self.buffer_usd:g} leaves nothing of total_usd {self.total_usd:g}")
        return self


class SageMakerSettings(Settings):
    """Training jobs on SageMaker: instance, Spot, limits, places, money."""

    instance_type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$"), INCIDENTAL] = "ml.g4dn.xlarge"
    """Instance type; device and precision follow from it."""
    num_instances: Annotated[PositiveInt, INCIDENTAL] = 1
    """Instances of one job; compute.num_ranks is spread evenly over them [instances]."""
    use_spot: Annotated[bool, INCIDENTAL] = True
    """Managed Spot: cheaper, and taken away at any moment; a job goes on from its last checkpoint."""
    max_run_seconds: Annotated[PositiveInt, INCIDENTAL] = 4 * 3600
    """Longest time one training job may run [s]; then the next one goes on from its last checkpoint."""
    max_wait_seconds: Annotated[PositiveInt, INCIDENTAL] = 5 * 3600
    """Longest time of a Spot job, waiting for machines included [s]; at least max_run_seconds."""
    volume_gb: Annotated[PositiveInt, INCIDENTAL] = 30
    """Size of the job's disk [GB]."""
    custom_image: Annotated[str | None, Field(max_length=255, pattern=r"^[^\s'\"]+$"), INCIDENTAL] = None
    """Another training image; empty: the one built from deployments/sagemaker/Dockerfile, named after its lock."""
    image_python: Annotated[str | None, Field(pattern=r"^3\.\d+\.\d+$"), INCIDENTAL] = None
    """Python of a custom image, such as 3.11.7; empty: that of this machine."""
    store: Annotated[S3Location | None, INCIDENTAL] = None
    """Where runs, inputs, code, pointers and openings are kept, such as s3://bucket/codewarden; empty: bucket_block.
    Jobs that run here keep their checkpoints there too."""
    region: Annotated[str | None, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$"), INCIDENTAL] = None
    """AWS region; empty: that of the block or of the standard chain."""
    role: Annotated[
        str | None, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$"), INCIDENTAL
    ] = None
    """Execution role of the jobs; empty: role_block, then SAGEMAKER_EXECUTION_ROLE."""
    role_block: Annotated[BlockName | None, INCIDENTAL] = None
    """Prefect block (sagemaker-role) that names the execution role."""
    credentials_block: Annotated[BlockName | None, INCIDENTAL] = None
    """Prefect block (aws-credentials) to speak to AWS with; empty: the standard chain."""
    bucket_block: Annotated[BlockName | None, INCIDENTAL] = None
    """Prefect block (s3-bucket) whose bucket and folder are the store."""
    kinds: Annotated[tuple[Literal["train", "predict"], ...], Field(min_length=1), INCIDENTAL] = ("train",)
    """Kinds of jobs that are sent there, or are mirrored to the store; the others run here, on this disk."""
    network_isolation: Annotated[bool, INCIDENTAL] = False
    """No network and no credentials inside the job; checkpoints then travel by SageMaker's own sync, which promises
    less (docs/sagemaker.md)."""
    subnets: Annotated[tuple[str, ...], INCIDENTAL] = ()
    """Subnets of a VPC for the job; with security_groups, or none."""
    security_groups: Annotated[tuple[str, ...], INCIDENTAL] = ()
    """Security groups of the job in the VPC."""
    tags: Annotated[dict[str, str], INCIDENTAL] = Field(default={})
    """Tags of every training job, beside codewarden:* ones."""
    keep_alive_seconds: Annotated[NonNegativeInt, Field(le=21600), INCIDENTAL] = 0
    """Keep the machines warm for the next job [s]; on-demand only."""
    on_demand_after_failures: Annotated[PositiveInt | None, INCIDENTAL] = None
    """Take an on-demand machine after so many times without Spot capacity [attempts]; empty: never."""
    on_demand_after_seconds: Annotated[PositiveFloat | None, INCIDENTAL] = None
    """Take an on-demand machine once a job has been without one for so long [s]; empty: never."""
    capacity_attempts: Annotated[PositiveInt, INCIDENTAL] = 5
    """Attempts without capacity in a row before the job is given up for now [attempts]."""
    capacity_pause_seconds: Annotated[NonNegativeFloat, INCIDENTAL] = 60.0
    """Wait before the next attempt after a lack of capacity, doubled each time [s]."""
    poll_seconds: Annotated[PositiveFloat, INCIDENTAL] = 5.0
    """Least time between two looks at a job [s]; grows while nothing changes."""
    notice_seconds: Annotated[PositiveFloat, INCIDENTAL] = 120.0
    """Time between being told to leave and being killed, as Spot gives it [s]."""
    interruptions_per_hour: Annotated[NonNegativeFloat, INCIDENTAL] = 0.05
    """Expected reclaims of a Spot machine per hour; an assumption that estimates use."""
    spot_saving: Annotated[float, Field(ge=0, lt=1), INCIDENTAL] = 0.6
    """Expected share saved by Spot; an assumption that estimates use, never the ledger."""
    budget: BudgetSettings = BudgetSettings()
    """What may be spent; launches stop before it is."""

    @model_validator(mode="after")
    def _fits_together(self) -> SageMakerSettings:
        if self.use_spot and self.max_wait_seconds < self.max_run_seconds:
            raise ValueError(
                f"max_wait_seconds {self.max_wait_seconds} is below max_run_seconds {self.max_run_seconds}: a Spot job "
                "waits and runs within it; raise it"
            )
        if self.use_spot and self.keep_alive_seconds:
            raise ValueError("keep_alive_seconds keeps on-demand machines warm, and use_spot is on; turn one off")
        if bool(self.subnets) != bool(self.security_groups):
            raise ValueError("subnets and security_groups are given together, or neither")
        reserved = [key for key in self.tags if key.startswith(("aws:", "codewarden:"))]
        if reserved:
            raise ValueError(f"tag {reserved[0]!r}: names that begin with aws: or codewarden: are taken")
        return self


def has_store(settings: SageMakerSettings) -> bool:
    """Whether a place in S3 is named."""
    return settings.store is not None or settings.bucket_block is not None
