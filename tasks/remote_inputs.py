"""Inputs that lie in S3, brought here once: a run is named by the content of what it reads."""

from __future__ import annotations

from pathlib import Path

from tasks.run_settings import RunSettings

INPUTS_FOLDER = "inputs"


def at_hand(local_path: Path | None, uri: str | None, settings: RunSettings) -> Path:
    """A path on this machine: the one given, or that of the fetched copy.

    Raises:
        SettingsInvalid: nothing lies at the address. Not retried.
        CloudRefused: no rights, or another region. Not retried.
        StoreUnavailable: S3 does not answer. Retried.
    """
    if local_path is not None:
        return local_path
    assert uri is not None
    from tasks.aws.inputs import fetch_input
    from tasks.aws.session import open_session

    return fetch_input(uri, open_session(settings.sagemaker), settings.runs.resolve() / INPUTS_FOLDER)
