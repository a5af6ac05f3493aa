"""Is this the place that the run was planned for? Asked before anything of the run is touched."""

from __future__ import annotations

from typing import Any

from models.errors import SettingsInvalid
from models.jobs.build import Build, build_of
from models.jobs.hardware import gpu_class, gpu_device_class, memory_gib, this_machine
from models.jobs.placement import Machine, Placement
from models.settings.fields import Settings

MOST_TOLD = 6
ADVICE = "build the image from deployments/sagemaker/requirements.lock, or give its own lock"


def build_here(settings: Settings, placement: Placement) -> Build:
    """The build of a job in the place where it runs.

    Raises:
        SettingsInvalid: GPU, memory, libraries or code are not those of the plan. Not retried.
    """
    if placement.machine is not None:
        _require_machine(placement.machine)
    build = build_of(settings, placement.machine)
    if placement.build is not None:
        _require_build(build, placement.build)
    if placement.machine is not None and "memory_gib" in build.machine:
        _require_memory(placement.machine)
    return build


def real_device_class(build: Build) -> str:
    """What the device is that we are on, whatever machine the run was planned for; for the record."""
    return this_machine(build.machine.get("device", "cpu")).device_class


def _require_machine(planned: Machine) -> None:
    """A CPU of any make will do: which one a cloud gives cannot be asked for."""
    if planned.device == "cpu":
        return
    gpu = gpu_class()
    found = gpu_device_class(*gpu) if gpu is not None else "no GPU that this build of torch could use"
    if found != planned.device_class:
        raise SettingsInvalid(
            f"the machine is not what the plan assumed: {planned.device_class} planned, {found} here; "
            "choose the instance type that has it, or an image with torch for CUDA"
        )


def _require_memory(planned: Machine) -> None:
    found = memory_gib(planned.device)
    if found != planned.memory_gib:
        raise SettingsInvalid(
            f"auto_batch_size: the plan assumed {planned.memory_gib} GiB of memory, and there are {found} here; "
            "give model.batch_size instead"
        )


def _require_build(build: Build, planned: dict[str, Any]) -> None:
    differences = build.differences(planned, other_is="planned", this_is="here")
    if differences:
        # Versions before files: another Python reads all files differently.
        told = sorted(differences, key=lambda phrase: phrase.endswith(" changed"))
        more = f" and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
        raise SettingsInvalid(f"the image is not what the plan assumed: {'; '.join(told[:MOST_TOLD])}{more}; {ADVICE}")
