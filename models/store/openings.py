"""The log of openings of sealed data: ``openings.jsonl`` in the run root, one line per opening, appended before it.

Who may open what is decided by the job; only the log belongs here.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from models.errors import ObjectCorrupt, ObjectMissing
from models.store.filesystem import Filesystem, LocalFilesystem

OPENINGS_FILE = "openings.jsonl"


@dataclass(frozen=True)
class Opening:
    """One opening of a sealed split.

    Args:
        time_seconds: When [s since 1970].
        model_sha256: Digest of the weights that were about to be tried.
        data_sha256: Digest of the file that was opened.
        split: Its name, such as test.
        purpose: Why, in words.
        run_key: The run that opened it.
        attempt: Its attempt; an opening that is repeated after a kill is logged again.
    """

    time_seconds: float
    model_sha256: str
    data_sha256: str
    split: str
    purpose: str
    run_key: str
    attempt: int


def append_opening(
    runs_path: Path,
    *,
    model_sha256: str,
    data_sha256: str,
    split: str,
    purpose: str,
    run_key: str,
    attempt: int,
    filesystem: Filesystem | None = None,
) -> None:
    """Log an opening durably; the data may be opened once this has returned.

    Raises:
        StoreUnavailable: It could not be written; the data must stay closed. Retried.
    """
    disk = filesystem if filesystem is not None else LocalFilesystem()
    opening = Opening(round(time.time(), 3), model_sha256, data_sha256, split, purpose, run_key, attempt)
    disk.make_folder(runs_path)
    disk.append_line(runs_path / OPENINGS_FILE, json.dumps(asdict(opening), sort_keys=True).encode())
    disk.sync_folder(runs_path)


def read_openings(runs_path: Path, *, filesystem: Filesystem | None = None) -> list[Opening]:
    """All openings so far, in order.

    A last line without its end is left out: whoever wrote it died before the data could be opened.

    Raises:
        ObjectCorrupt: A line is damaged: the log no longer says how often the data were opened. Not retried.
    """
    disk = filesystem if filesystem is not None else LocalFilesystem()
    path = runs_path / OPENINGS_FILE
    try:
        lines = disk.read(path).split(b"\n")[:-1]
    except ObjectMissing:
        return []
    openings = []
    for number, line in enumerate(lines, start=1):
        try:
            openings.append(Opening(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ObjectCorrupt(f"{path}:{number}", "an opening as one JSON line", repr(line[:80])) from error
    return openings
