"""The Hugging Face hub and its cache on this machine: files of one commit of a model repository.

What the files are for is said in ``backbone_files.py``. Nothing goes over the network but in ``file_names`` and
``fetch``.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from models.errors import SettingsInvalid, StoreUnavailable

_COMMIT = re.compile(r"[0-9a-f]{40}")


class ModelHub:
    """Model repositories, by name and commit.

    Args:
        endpoint: Another server with the hub's interface; ``None``: the public one (or ``HF_ENDPOINT``).
        cache_path: Another folder with the layout of the hub's cache; ``None``: ``HF_HUB_CACHE``.
    """

    def __init__(self, *, endpoint: str | None = None, cache_path: Path | None = None) -> None:
        self._endpoint = endpoint
        self._cache_path = cache_path

    @property
    def cache_path(self) -> Path:
        """The folder of the cache."""
        from huggingface_hub import constants

        return self._cache_path if self._cache_path is not None else Path(constants.HF_HUB_CACHE)

    def cached_path(self, name: str, file_name: str, commit: str | None = None) -> Path | None:
        """A file in the cache.

        Args:
            name: Repository.
            file_name: File in it.
            commit: ``None``: the one that the cache knows as ``main``.
        """
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(name, file_name, cache_dir=self.cache_path, revision=commit)
        if not isinstance(found, str) or not _COMMIT.fullmatch(Path(found).parent.name):
            return None
        return Path(found)

    def file_names(self, name: str, commit: str) -> list[str]:
        """All files of a commit.

        Raises:
            SettingsInvalid: no such repository or commit. Not retried.
            StoreUnavailable: the hub does not answer. Retried.
        """
        from huggingface_hub import HfApi

        with _hub_errors(f"{name} at {commit}"):
            siblings = HfApi(endpoint=self._endpoint, token=False).model_info(name, revision=commit).siblings
        return [sibling.rfilename for sibling in siblings or []]

    def fetch(self, name: str, file_name: str, commit: str) -> Path:
        """Bring a file into the cache, if it is not there, and give its path.

        Raises:
            SettingsInvalid: no such repository, commit or file. Not retried.
            StoreUnavailable: the hub does not answer. Retried.
        """
        from huggingface_hub import hf_hub_download

        with _hub_errors(f"{file_name} of {name} at {commit}"):
            found = hf_hub_download(
                name, file_name, revision=commit, cache_dir=self.cache_path, endpoint=self._endpoint, token=False
            )
        return Path(str(found))


def is_hub_name(name: str) -> bool:
    """Whether a repository could be called so; a path in most cases could not."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


@contextlib.contextmanager
def _hub_errors(what: str) -> Iterator[None]:
    import httpx2  # what the hub's client speaks through; its errors come out as they are
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except (RepositoryNotFoundError, RevisionNotFoundError, RemoteEntryNotFoundError) as error:
        raise SettingsInvalid(
            f"backbone: the hub has no {what}, or not for everyone; check name and revision, or download it yourself "
            "and give the folder"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, httpx2.HTTPError, OSError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise StoreUnavailable(f"the hub does not answer for {what}: {reason}") from error
