"""The log of openings of sealed data: ``openings.jsonl``, one line per opening, appended before it.

It lies in the run root, on this machine or in an object store. Who may open what is decided by the job; only the log
belongs here.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from models.errors import ObjectCorrupt
from models.store.filesystem import Filesystem
from models.store.line_log import line_log
from models.store.objects import ObjectStore

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
        opening_id: Random: after an unclear answer of a store it tells our line from an equal one. Empty in old lines.
    """

    time_seconds: float
    model_sha256: str
    data_sha256: str
    split: str
    purpose: str
    run_key: str
    attempt: int
    opening_id: str = ""


def append_opening(
    place: Path | ObjectStore,
    *,
    model_sha256: str,
    data_sha256: str,
    split: str,
    purpose: str,
    run_key: str,
    attempt: int,
    filesystem: Filesystem | None = None,
) -> None:
    """Log an opening durably, once; the data may be opened once this has returned.

    Args:
        place: The run root on this machine, or the objects that hold the log.
        model_sha256: See ``Opening``, as the following.
        data_sha256: "
        split: "
        purpose: "
        run_key: "
        attempt: "
        filesystem: How files are written.

    Raises:
        CloudRefused: AWS says no; the data must stay closed. Not retried.
        HeadConflict: Others append without pause; the data must stay closed. Not retried.
        StoreUnavailable: It could not be written; the data must stay closed. Retried.
    """
    opening = Opening(
        round(time.time(), 3), model_sha256, data_sha256, split, purpose, run_key, attempt, secrets.token_hex(8)
    )
    line_log(place, OPENINGS_FILE, filesystem).append(_line_of(opening))


def read_openings(place: Path | ObjectStore, *, filesystem: Filesystem | None = None) -> list[Opening]:
    """All openings so far, in order.

    A last line without its end is left out: whoever wrote it died before the data could be opened.

    Args:
        place: The run root on this machine, or the objects that hold the log.
        filesystem: How files are read.

    Raises:
        ObjectCorrupt: A line is damaged: the log no longer says how often the data were opened. Not retried.
        StoreUnavailable: The store does not answer. Retried.
    """
    log = line_log(place, OPENINGS_FILE, filesystem)
    openings = []
    for number, line in enumerate(log.lines(), start=1):
        try:
            openings.append(Opening(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ObjectCorrupt(f"{log}:{number}", "an opening as one JSON line", repr(line[:80])) from error
    return openings


def copy_openings(source: ObjectStore, runs_path: Path, *, run_key: str) -> None:
    """Log the openings of a run that were logged elsewhere here too, each once; again changes nothing.

    Args:
        source: The objects that hold the log.
        runs_path: The run root on this machine.
        run_key: The run that opened.

    Raises:
        ObjectCorrupt: A line is damaged, here or there. Not retried.
        StoreUnavailable: Store or disk does not answer. Retried.
    """
    known = {opening.opening_id for opening in read_openings(runs_path)}
    for opening in read_openings(source):
        if opening.run_key == run_key and opening.opening_id not in known:
            line_log(runs_path, OPENINGS_FILE).append(_line_of(opening))


def _line_of(opening: Opening) -> bytes:
    return json.dumps(asdict(opening), sort_keys=True).encode()
