"""Fetches CodeXGLUE defect detection (Devign) from the Hugging Face hub and lays it out as JSON lines.

    python -m models.data.download_codexglue --output-dir data/raw/codexglue --allow-network

The revision asked for (``main`` unless told) is resolved to a commit when fetching, and ``source.json`` beside the
files keeps it with their sha256. A later fetch into the same folder uses that commit, so it gives the same bytes;
to move on, give ``--revision`` or delete ``source.json``. Without the network the message says which file to put
where.

Zhou et al., "Devign", NeurIPS 2019; Lu et al., "CodeXGLUE", 2021 (21,854 / 2,732 / 2,732 functions).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from models.errors import CodewardenError, DataInvalid, SettingsInvalid, StoreUnavailable
from models.jobs.events import EventStream

REPOSITORY = "google/code_x_glue_cc_defect_detection"
SOURCE_FILE = "source.json"
DEFAULT_REVISION = "main"
_FIELDS = ("id", "func", "target", "project", "commit_id")
_BLOCK_ROWS = 1000


class SplitFile(NamedTuple):
    """A split here and on the hub."""

    split: str
    hub_name: str
    num_rows: int
    megabytes: int

    @property
    def name(self) -> str:
        """File name here."""
        return f"{self.split}.jsonl"


SPLITS = (
    SplitFile("train", "data/train-00000-of-00001.parquet", 21_854, 46),
    SplitFile("valid", "data/validation-00000-of-00001.parquet", 2_732, 6),
    SplitFile("test", "data/test-00000-of-00001.parquet", 2_732, 6),
)


class Hub(Protocol):
    """What is needed of a dataset hub."""

    def resolve(self, revision: str) -> str:
        """The commit a branch, tag or commit stands for."""

    def fetch(self, name: str, commit: str, folder: Path) -> Path:
        """Bring one file of that commit into the folder."""


class HuggingFaceHub:
    """The Hugging Face hub, through its own client.

    Args:
        endpoint: Another server with the same interface; ``None`` is the public one.
    """

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint

    def resolve(self, revision: str) -> str:
        """Ask the hub for the commit.

        Raises:
            SettingsInvalid: No such repository or revision. Not retried.
            StoreUnavailable: The hub does not answer. Retried.
        """
        import httpx2  # what the hub's client speaks through; its errors come out as they are
        from huggingface_hub import HfApi
        from huggingface_hub.errors import (
            HfHubHTTPError,
            OfflineModeIsEnabled,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        try:
            commit = HfApi(endpoint=self._endpoint, token=False).dataset_info(REPOSITORY, revision=revision).sha
        except (RepositoryNotFoundError, RevisionNotFoundError) as error:
            raise SettingsInvalid(f"{REPOSITORY} has no revision {revision!r} on the hub") from error
        except (HfHubHTTPError, OfflineModeIsEnabled, httpx2.HTTPError, OSError) as error:
            raise StoreUnavailable(f"the hub does not answer for {REPOSITORY}: {error}") from error
        if not commit:
            raise StoreUnavailable(f"the hub named no commit for {REPOSITORY} at {revision!r}")
        return commit

    def fetch(self, name: str, commit: str, folder: Path) -> Path:
        """Download one file.

        Raises:
            SettingsInvalid: The commit has no such file. Not retried.
            StoreUnavailable: The hub does not answer. Retried.
        """
        import httpx2
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RemoteEntryNotFoundError

        try:
            local = hf_hub_download(
                REPOSITORY,
                name,
                repo_type="dataset",
                revision=commit,
                local_dir=folder,
                endpoint=self._endpoint,
                token=False,
            )
        except RemoteEntryNotFoundError as error:
            raise SettingsInvalid(f"{REPOSITORY} at {commit} has no file {name}") from error
        except (HfHubHTTPError, LocalEntryNotFoundError, httpx2.HTTPError, OSError) as error:
            raise StoreUnavailable(f"{name} of {REPOSITORY} could not be fetched: {error}") from error
        return Path(str(local))


def download(
    output_path: Path, hub: Hub, events: EventStream, *, revision: str | None = None, allow_network: bool = False
) -> dict[str, Any]:
    """Make sure that the three splits are in ``output_path``; nothing is fetched when they are there and whole.

    Files appear by renaming, ``source.json`` last: an interrupted fetch leaves no half file under its final name.

    Args:
        output_path: Folder for ``train.jsonl``, ``valid.jsonl``, ``test.jsonl`` and ``source.json``.
        hub: Where to fetch from.
        events: Where progress is told.
        revision: Branch, tag or commit; ``None``: the commit in ``source.json``, else ``main``.
        allow_network: Fetch what is missing.

    Returns:
        What ``source.json`` holds: ``repository``, ``revision``, ``commit``, and ``files`` with rows and sha256.

    Raises:
        DataInvalid: Files are missing and the network is not allowed, or the hub's files are not what was expected.
        SettingsInvalid: No such revision.
        StoreUnavailable: The hub does not answer. Retried.
    """
    known = _read_source(output_path)
    wanted = revision or (known["commit"] if known else DEFAULT_REVISION)
    if known and wanted in (known["commit"], known["revision"]) and _is_whole(output_path, known):
        events.notice(f"{output_path} is complete (commit {known['commit']})")
        return known
    if not allow_network:
        raise DataInvalid(output_path, _how_to_place(output_path))
    foreign = [split.name for split in SPLITS if (output_path / split.name).exists()]
    if foreign and not known:
        raise DataInvalid(
            output_path, f"{', '.join(foreign)} came from elsewhere (no {SOURCE_FILE}): name another folder"
        )
    commit = hub.resolve(wanted)
    output_path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=output_path) as folder:
        files = {}
        for done, split in enumerate(SPLITS):
            events.progress(done, len(SPLITS), "files")
            parquet_path = hub.fetch(split.hub_name, commit, Path(folder))
            files[split.name] = _convert(parquet_path, Path(folder) / split.name, split)
        # A branch that was resolved keeps its name only for people; the commit is what counts.
        name = known["revision"] if known and revision is None else wanted
        source = {"repository": REPOSITORY, "revision": name, "commit": commit, "files": files}
        (Path(folder) / SOURCE_FILE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
        for file_name in (*files, SOURCE_FILE):
            (Path(folder) / file_name).replace(output_path / file_name)
    events.notice(f"{output_path} holds {REPOSITORY} at commit {commit}")
    return source


def _read_source(output_path: Path) -> dict[str, Any] | None:
    path = output_path / SOURCE_FILE
    if not path.exists():
        return None
    try:
        source = json.loads(path.read_text(encoding="utf-8"))
        return {key: source[key] for key in ("repository", "revision", "commit", "files")}
    except (ValueError, KeyError, TypeError) as error:
        raise DataInvalid(path, f"is not what a fetch leaves ({error!r}); delete it to fetch anew") from error


def _is_whole(output_path: Path, source: dict[str, Any]) -> bool:
    paths = {output_path / name: entry["sha256"] for name, entry in source["files"].items()}
    return len(paths) == len(SPLITS) and all(path.exists() and _sha256(path) == sha for path, sha in paths.items())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _convert(parquet_path: Path, jsonl_path: Path, split: SplitFile) -> dict[str, Any]:
    """Parquet to the field names of the original CodeXGLUE files, in the hub's order."""
    import pyarrow
    import pyarrow.parquet

    try:
        parquet = pyarrow.parquet.ParquetFile(parquet_path)
    except pyarrow.ArrowInvalid as error:
        raise DataInvalid(parquet_path, f"the hub's {split.hub_name} is not a Parquet file ({error})") from error
    found = parquet.schema_arrow.names
    if not set(_FIELDS) <= set(found) or parquet.metadata.num_rows != split.num_rows:
        raise DataInvalid(
            split.hub_name,
            f"expected {split.num_rows:,} rows with {', '.join(_FIELDS)}, found {parquet.metadata.num_rows:,} rows "
            f"with {', '.join(found)}; the hub's dataset has changed, name an older --revision",
        )
    with jsonl_path.open("w", encoding="utf-8", newline="\n") as file:
        for batch in parquet.iter_batches(batch_size=_BLOCK_ROWS, columns=list(_FIELDS)):
            file.writelines(json.dumps(_row(row)) + "\n" for row in batch.to_pylist())
    return {"num_rows": split.num_rows, "sha256": _sha256(jsonl_path)}


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "project": row["project"],
        "commit_id": row["commit_id"],
        "target": int(row["target"]),
        "func": row["func"],
        "idx": row["id"],
    }


def _how_to_place(output_path: Path) -> str:
    files = "; ".join(f"{split.name} ({split.num_rows:,} lines, about {split.megabytes} MB)" for split in SPLITS)
    return (
        "CodeXGLUE defect detection is not here, and the network is not allowed. Add --allow-network, or put these "
        f"files into {output_path}: {files}. One JSON object a line with project, commit_id, target (0 or 1), func, "
        f"idx; plain or gzipped (.jsonl.gz). They are the splits of {REPOSITORY} on huggingface.co. Files placed by "
        f"hand need no {SOURCE_FILE}: give their folder to preprocessing."
    )


def main(arguments: list[str] | None = None, hub: Hub | None = None) -> int:
    """Run from the command line.

    Returns:
        Exit code: 0 done, 2 a person must act, 1 the hub does not answer.
    """
    parser = argparse.ArgumentParser(
        prog="python -m models.data.download_codexglue", description=f"Fetch {REPOSITORY} from the hub."
    )
    parser.add_argument("--output-dir", type=Path, default=Path("data/raw/codexglue"), help="where the files go")
    parser.add_argument(
        "--revision", help="branch, tag or commit (default: the commit in source.json of an earlier fetch, else main)"
    )
    parser.add_argument("--allow-network", action="store_true", help="fetch what is missing")
    given = parser.parse_args(arguments)
    try:
        download(
            given.output_dir,
            hub if hub is not None else HuggingFaceHub(),
            EventStream(),
            revision=given.revision,
            allow_network=given.allow_network,
        )
    except CodewardenError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
