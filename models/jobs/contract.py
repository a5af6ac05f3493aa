"""What a job gets and gives, and the names of the files it leaves.

A run directory holds, whatever the kind:

- ``settings.json``   the frozen settings, as given;
- ``progress.jsonl``  a copy of the events printed on stdout;
- ``result.json``     small numbers and file names;
- ``record.json``     clocks, hosts, attempts: never hashed;
- ``outcome.json``    how the last attempt ended; the exit code is its echo;
- ``manifest.json``   written last: the deterministic files with size and sha256.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.errors import Interrupted
from models.jobs.events import EventStream
from models.jobs.hosts import Hosts
from models.store.objects import FileObjects, ObjectStore

SETTINGS_FILE = "settings.json"
PROGRESS_FILE = "progress.jsonl"
RESULT_FILE = "result.json"
RECORD_FILE = "record.json"
OUTCOME_FILE = "outcome.json"
MANIFEST_FILE = "manifest.json"
LOCK_FILE = "lock"


@dataclass(frozen=True)
class JobContext:
    """Where a job works and how it is heard.

    Args:
        run_path: The run directory, local to this process.
        runs_path: The run root, where openings of sealed data are logged.
        events: Where progress is told.
        stop_requested: True once the job was asked to leave; it then saves, and raises ``Interrupted``.
        attempt: Attempts at this run so far, counted from 1.
        rank: This process among those that train together.
        num_ranks: Processes that train together.
        rendezvous: File by which they find each other; ``None`` for one rank.
        mirror: Where the run directory is kept beside this disk (checkpoints, progress); ``None``: nowhere.
        openings: Where openings of sealed data are logged; ``None``: in the run root.
        notice_seconds: Time to bring everything to the mirror once the job was asked to leave [s].
        hosts: The machines that train together; ``None``: this one only.
        seconds_since_stop: Time since the job was asked to leave [s]; 0 before.
        record: What the record says of this attempt, filled in as it goes: kept however the attempt ends.
    """

    run_path: Path
    runs_path: Path
    events: EventStream
    stop_requested: Callable[[], bool] = field(default=lambda: False)
    attempt: int = 1
    rank: int = 0
    num_ranks: int = 1
    rendezvous: Path | None = None
    mirror: FileObjects | None = None
    openings: ObjectStore | None = None
    notice_seconds: float = 20.0
    hosts: Hosts | None = None
    seconds_since_stop: Callable[[], float] = field(default=lambda: 0.0)
    record: dict[str, Any] = field(default_factory=dict)

    def enter(self, phase: str) -> None:
        """Begin the next phase of a job that keeps nothing between phases.

        Raises:
            Interrupted: the job was asked to leave; the next attempt begins anew. Retried.
        """
        self.leave_if_asked()
        self.events.phase(phase)

    def leave_if_asked(self, done: int = 0) -> None:
        """Leave where the job was asked to.

        Raises:
            Interrupted: it was, after ``done`` of whatever it counts. Retried.
        """
        if self.stop_requested():
            raise Interrupted(done)

    @property
    def openings_log(self) -> Path | ObjectStore:
        """Where an opening is logged before sealed data are read, as ``append_opening`` takes it."""
        return self.openings if self.openings is not None else self.runs_path


@dataclass(frozen=True)
class JobResult:
    """What a finished job says of itself.

    Args:
        numbers: Small JSON values for people and flows; deterministic (no clocks).
        files: Deterministic files, relative to the run directory; the manifest lists and hashes them.
        record: Values that may differ between equal runs (seconds, rates, memory); never hashed.
    """

    numbers: dict[str, Any]
    files: tuple[str, ...]
    record: dict[str, Any] = field(default_factory=dict)
