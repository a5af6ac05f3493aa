"""All that the jobs of one launcher share at AWS, opened once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.jobs.provenance import git_state
from tasks.aws.prices import API_REGION, Rate, on_demand_rate
from tasks.aws.sending import Sending
from tasks.aws.session import AwsPlace, AwsSession, open_session, place_of
from tasks.aws.settings import SageMakerSettings
from tasks.aws.training_api import TrainingApi
from tasks.launchers.remote_runs import RemoteRuns


@dataclass(frozen=True)
class Site:
    """Who we are at AWS, where things are kept, and what a machine costs.

    Args:
        session: Clients.
        place: Region, role, store, image.
        runs: Runs in the store.
        sending: Puts things there once.
        api: Training jobs.
        rate: Price of an instance.
        git: Commit of the code, for the record.
    """

    session: AwsSession
    place: AwsPlace
    runs: RemoteRuns
    sending: Sending
    api: TrainingApi
    rate: Rate
    git: dict[str, Any]


def open_site(settings: SageMakerSettings, runs_path: Path, session: AwsSession | None) -> Site:
    """Ask AWS for what is not in settings.

    Args:
        settings: The place.
        runs_path: The run root, for runs that come home and for remembered prices.
        session: Who asks; ``None``: as settings say.

    Raises:
        SettingsInvalid: role or store are not named. Not retried.
        CloudRefused: no credentials. Not retried.
        StoreUnavailable: AWS does not answer. Retried.
    """
    session = session or open_session(settings)
    place = place_of(settings, session)
    store = session.objects(place.store)
    pricing = session.client("pricing", region=API_REGION, num_attempts=2)  # there is a table too
    return Site(
        session=session,
        place=place,
        runs=RemoteRuns(store, runs_path),
        sending=Sending(store, session.client("s3")),
        api=TrainingApi(session.client("sagemaker"), session.client("sagemaker", num_attempts=1)),
        rate=on_demand_rate(settings.instance_type, session.region, pricing, runs_path=runs_path),
        git=git_state(),
    )
