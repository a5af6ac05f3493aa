"""What every flow is told beside its work: where its jobs run, with what patience, under which run root."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from models.settings.fields import INCIDENTAL, Settings
from tasks.aws.settings import SageMakerSettings
from tasks.supervision import SupervisionSettings

Where = Literal["local", "sagemaker"]


class RunSettings(Settings):
    """Where the jobs of a flow run, and where everything they write is kept."""

    patience: Annotated[SupervisionSettings, INCIDENTAL] = SupervisionSettings()
    """How long a job may be silent, and how long it gets to save when it is stopped."""
    runs: Annotated[Path, INCIDENTAL] = Path("runs")
    """The run root: everything that is written lies under it."""
    reuse_build: Annotated[bool, INCIDENTAL] = False
    """Go on with unfinished runs that other code began, instead of refusing (recorded)."""
    where: Annotated[Where, INCIDENTAL] = "local"
    """Where jobs run: as child processes of the flow, or on SageMaker (sagemaker.kinds; the others stay here)."""
    sagemaker: Annotated[SageMakerSettings, INCIDENTAL] = SageMakerSettings()
    """Training jobs on SageMaker: instance, Spot, limits, places, money."""


def ignored_place(settings: RunSettings) -> str | None:
    """What to tell a person who described a machine on SageMaker and runs everything here; ``None``: nothing."""
    described = sorted(settings.sagemaker.model_fields_set.intersection(OF_MACHINES))
    if settings.where != "local" or not described:
        return None
    names = ", ".join(f"sagemaker.{name}" for name in described)
    return f"{names}: ignored, since jobs run here; say --where sagemaker to send them away"


OF_MACHINES = ("instance_type", "num_instances", "use_spot", "custom_image", "max_run_seconds", "max_wait_seconds")
"""Settings that mean nothing to jobs that run here."""
SAGEMAKER_ALIASES = {
    "instance-type": "sagemaker.instance_type",
    "num-instances": "sagemaker.num_instances",
    "use-spot": "sagemaker.use_spot",
    "custom-image": "sagemaker.custom_image",
    "store": "sagemaker.store",
    "region": "sagemaker.region",
}
"""Flat flags of every program that can send jobs to SageMaker."""
PLACE_ENVIRONMENT = {
    "CODEWARDEN_RUNS": "runs",
    "CODEWARDEN_WHERE": "where",
    "CODEWARDEN_STORE": "sagemaker.store",
}
"""The only variables that are read; deployments set them as job variables (tasks.launchers.places)."""
