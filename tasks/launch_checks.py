"""Everything that is looked at before money is spent, asked of AWS: once by a flow, or by itself (``--check``)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from models.errors import SettingsInvalid
from models.settings.fields import Settings
from tasks.aws.settings import SageMakerSettings


def launch_checks(settings: SageMakerSettings, away: Sequence[Settings], runs_path: Path) -> Iterator[tuple[int, str]]:
    """Level of logging and one line for each thing that was looked at; what forbids the launch is raised at the end.

    Args:
        settings: The place.
        away: Jobs that would be sent there.
        runs_path: The run root, where prices are kept for the day.

    Raises:
        SettingsInvalid: something forbids the launch; all of it is named. Not retried.
        CloudRefused: the same, as AWS said it. Not retried.
        StoreUnavailable: AWS does not answer. Retried.
    """
    from tasks.aws.findings import Level
    from tasks.aws.preflight import preflight
    from tasks.aws.prices import on_demand_rate, open_pricing
    from tasks.aws.session import open_session

    refuse_sealed_without_network(settings, away)
    session = open_session(settings)
    found = preflight(settings, away, session)
    for finding, line in zip(found, found.lines(), strict=True):
        yield (logging.WARNING if finding.level is Level.WARNING else logging.INFO), line
    rate = on_demand_rate(
        settings.instance_type, session.region, open_pricing(session.boto_session), runs_path=runs_path
    )
    yield (logging.WARNING if rate.is_fallback else logging.INFO), f"price of {settings.instance_type}: {rate}"
    found.raise_refusals()


def refuse_sealed_without_network(settings: SageMakerSettings, away: Sequence[Settings]) -> None:
    """Before training is paid for: a job without a network cannot log that it opens the test split.

    Raises:
        SettingsInvalid: one would open it. Not retried.
    """
    from tasks.launchers.dispatch import opens_test

    if settings.network_isolation and any(opens_test(job) for job in away):
        raise SettingsInvalid(
            "sagemaker.network_isolation: a job that is sent away opens sealed test records, which is logged in the "
            "store, and it has no network; leave predict out of sagemaker.kinds, or open_test empty"
        )
