"""Naming a run for the place it will run in."""

from __future__ import annotations

from pathlib import Path

from models.jobs.layout import RunPlan, plan_run
from models.settings.fields import Settings
from tasks.launchers.contract import Launcher


def plan_at(
    place: Launcher, settings: Settings, runs_path: Path, *, reuse_build: bool = False
) -> tuple[Settings, RunPlan]:
    """The job as it will run in a place, device and precision settled, and where its run lies.

    Raises:
        SettingsInvalid: an input does not exist, or the machine lacks what is asked. Not retried.
        BuildDiffers: other code began it. Not retried.
    """
    resolved = place.resolved(settings)
    plan = plan_run(resolved, runs_path, reuse_build=reuse_build, machine=place.machine, python=place.python)
    return resolved, plan
