"""Where pointers of a run root are kept: beside its runs, or in the store that several machines share."""

from __future__ import annotations

from pathlib import Path

from models.store.objects import ObjectStore
from models.store.pointers import POINTERS_FOLDER, local_pointers
from tasks.aws.settings import SageMakerSettings, has_store


def pointers_of(runs_path: Path, sagemaker: SageMakerSettings) -> ObjectStore:
    """The pointers of a run root: in the store where one is named, else under the run root.

    Raises:
        SettingsInvalid: a block is missing, or no region is known. Not retried.
        StoreUnavailable: the disk refuses. Retried.
    """
    if not has_store(sagemaker):
        return local_pointers(runs_path)
    from tasks.aws.session import open_session, store_uri

    return open_session(sagemaker).objects(store_uri(sagemaker)).child(POINTERS_FOLDER)
