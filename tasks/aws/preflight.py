"""What is looked at before money is spent: settings, role, bucket, image.

Each check gives one line. ``preflight(…).raise_refusals()`` raises all that forbids a launch as one error; warnings are
for the log, and a dry run without credentials says of each what it did not ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from models.errors import CloudRefused, SettingsInvalid
from models.settings.fields import Settings
from tasks.aws.cloud_checks import check_bucket, check_image, check_role
from tasks.aws.findings import Finding, Findings, Level
from tasks.aws.image import default_image_uri
from tasks.aws.session import execution_role, store_uri
from tasks.aws.settings import SageMakerSettings
from tasks.aws.settings_checks import check_quota, check_settings

if TYPE_CHECKING:
    from tasks.aws.session import AwsSession

ASKED_OF_AWS = ("credentials", "role", "bucket", "image")


def preflight(settings: SageMakerSettings, jobs: Sequence[Settings], session: AwsSession | None) -> Findings:
    """Everything that is known to go wrong, or to be worth a thought, before ``jobs`` are launched.

    Args:
        settings: The place.
        jobs: The jobs that would be sent there; equal findings are told once.
        session: How AWS is asked; ``None`` asks nothing (a dry run), and says so.

    Raises:
        StoreUnavailable: AWS does not answer. Retried.
    """
    found = [finding for job in jobs for finding in check_settings(settings, job)]
    found.append(check_quota(settings))
    found += _unasked() if session is None else _asked(settings, session)
    return Findings(tuple(dict.fromkeys(found)))


def _unasked() -> list[Finding]:
    return [Finding(check, Level.UNCHECKED, "nobody was asked: this is a dry run") for check in ASKED_OF_AWS]


def _asked(settings: SageMakerSettings, session: AwsSession) -> Iterator[Finding]:
    try:
        account = session.account
    except CloudRefused as error:  # whoever is not known to AWS is refused everything else too
        yield Finding("credentials", Level.REFUSED, error.advice, error.code)
        return
    except SettingsInvalid as error:
        yield Finding("credentials", Level.REFUSED, str(error))
        return
    yield Finding("credentials", Level.OK, f"account {account}, region {session.region}")
    yield from _with("role", lambda: [check_role(session, execution_role(settings))])
    yield from _with("bucket", lambda: list(check_bucket(session, store_uri(settings))))
    image_uri = settings.custom_image or default_image_uri(account, session.region)
    yield from check_image(session, image_uri)


def _with(check: str, find: Callable[[], list[Finding]]) -> list[Finding]:
    """The findings, or that what they need is not said in settings, blocks or environment."""
    try:
        return find()
    except SettingsInvalid as error:
        return [Finding(check, Level.REFUSED, str(error))]
