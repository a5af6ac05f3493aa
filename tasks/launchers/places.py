"""The places where jobs run, and which job goes where."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from models.errors import SettingsInvalid
from models.settings.fields import Settings
from tasks.aws.settings import has_store
from tasks.launchers.contract import Launcher
from tasks.launchers.local import LocalProcess
from tasks.run_settings import PLACE_ENVIRONMENT, RunSettings

R = TypeVar("R", bound=RunSettings)


class Places:
    """Where the jobs of a flow run: here or away, and here with checkpoints in S3 too where a store is named.

    Args:
        settings: Of the flow.
        runs_path: The run root.
    """

    def __init__(self, settings: RunSettings, runs_path: Path) -> None:
        sagemaker = settings.sagemaker
        self._here = LocalProcess(runs_path)
        self._long: Launcher = self._here
        self._kinds = sagemaker.kinds
        if settings.where == "sagemaker":
            from tasks.launchers.training_job import SageMakerTraining

            self._long = SageMakerTraining(sagemaker, runs_path)
        elif has_store(sagemaker):
            from tasks.aws.session import open_session, store_uri

            self._long = LocalProcess(runs_path, store=store_uri(sagemaker), session=open_session(sagemaker))

    def of(self, job: Settings) -> Launcher:
        """The place of a job: by its kind. Those that run for long go away, or are mirrored."""
        return self._long if getattr(job, "kind", None) in self._kinds else self._here


def placed_by_environment(settings: R, environment: Mapping[str, str] | None = None) -> R:
    """The settings, with the place that this process' environment names where they leave it at its default.

    So that one flow is deployed twice, here and on Spot, by job variables alone. Programs need it not: their command
    line reads the same variables.

    Raises:
        SettingsInvalid: a variable has a value that the field refuses. Not retried.
    """
    given = os.environ if environment is None else environment
    values = settings.model_dump()
    for variable, path in PLACE_ENVIRONMENT.items():
        if variable in given and _value(settings, path) == _value(type(settings).model_construct(), path):
            _set(values, path, given[variable])
    try:
        placed = type(settings).model_validate(values)
    except ValueError as error:
        raise SettingsInvalid(f"{' or '.join(PLACE_ENVIRONMENT)}: {error}") from None
    # A worker that knows the store for the deployments on Spot must not mirror what runs here.
    return placed if placed.where == "sagemaker" else settings


def _value(settings: Settings, path: str) -> object:
    value: object = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _set(values: dict[str, object], path: str, value: str) -> None:
    *outer, last = path.split(".")
    for name in outer:
        values = values[name]  # type: ignore[assignment]
    values[last] = value
