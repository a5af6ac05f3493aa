"""A training job while it runs: heard through its log, looked at with growing pauses, stopped only by its launcher."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from models.errors import CloudRefused, JobCrashed, StoreUnavailable
from models.jobs.contract import PROGRESS_FILE
from tasks.aws.endings import WITHOUT_MACHINE, WORKING, is_ended, transitions_of
from tasks.aws.log_stream import FIRST_HOST, LogStream
from tasks.aws.training_api import TrainingApi
from tasks.launchers.contract import Event, JobEnd, JobState
from tasks.launchers.pace import Pace
from tasks.launchers.run_files import LOG_FILE, parse_event, tail

TICK_SECONDS = 0.2
AWAY_SECONDS = 900.0
"""AWS may be away for so long before watching is given up; the job trains on meanwhile."""

logger = logging.getLogger(__name__)


@dataclass
class Hooks:
    """What the launcher wants to know.

    Args:
        heard: Told each event of the job.
        has_machine: Called when the job was given a machine.
        gives_up: Asked while it has none: whether to stop waiting and take another kind of machine.
        ended: Told the last description; gives how the job ended.
        fetch: Brings the run home.
    """

    heard: Callable[[Event], None]
    has_machine: Callable[[], None]
    gives_up: Callable[[], bool]
    ended: Callable[[dict[str, Any]], JobEnd]
    fetch: Callable[[], Path]


@dataclass
class RemoteJob:
    """A training job at SageMaker.

    Args:
        name: Its name.
        run_path: The run directory here: ``log.txt`` and ``progress.jsonl`` are written into it.
        attached: Whether a supervisor elsewhere launched it: it is watched, and never stopped.
        api: Training jobs.
        log: What it prints.
        hooks: What the launcher wants to know.
        least_pause_seconds: Least time between two looks [s].
        longest_wait_seconds: Time after which a job that still has not begun, or ended, counts as silent [s].
        announcements: Notices to be told first.
        lock: Held until ``close``.
    """

    name: str
    run_path: Path
    attached: bool
    api: TrainingApi
    log: LogStream
    hooks: Hooks
    least_pause_seconds: float
    longest_wait_seconds: float
    announcements: list[Event]
    lock: IO[bytes]
    _end: JobEnd | None = None
    _num_transitions: int = 0
    _given_up: bool = False
    _away_since: dict[str, float] = field(default_factory=dict)
    _pending: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._pending = list(self.announcements)
        self._status_pace, self._log_pace = Pace(self.least_pause_seconds), Pace(self.least_pause_seconds)
        self._patient_until = time.monotonic() + self.longest_wait_seconds
        self._progress = (self.run_path / PROGRESS_FILE).open("wb")  # the job's own comes home with the run
        self._log_file = _log_from(self.run_path / LOG_FILE, self.name)

    def events(self, wait_seconds: float) -> list[Event]:
        """Events since the last call; returns early when the first arrives or the job has ended.

        While the job waits for a machine or for its inputs it cannot speak: ``waiting`` events tell of that.

        Raises:
            JobCrashed: SageMaker gives it a status that is not known. Not retried.
            CloudRefused: watching it is refused. Not retried.
            StoreUnavailable: AWS has not answered for long. Retried.
        """
        deadline = time.monotonic() + wait_seconds
        while True:
            self._look()
            remaining = deadline - time.monotonic()
            if self._pending or self._end is not None or remaining <= 0:
                events, self._pending = self._pending, []
                return events
            time.sleep(min(TICK_SECONDS, remaining))

    def wait(self, deadline_seconds: float) -> JobEnd:
        """How the job ended; ``RUNNING`` when it has not within the deadline. Raises as ``events`` does."""
        deadline = time.monotonic() + deadline_seconds
        while self._end is None:
            if time.monotonic() >= deadline:
                return JobEnd(JobState.RUNNING)
            self._look()
            time.sleep(min(TICK_SECONDS, max(0.0, deadline - time.monotonic())))
        return self._end

    def stop(self, grace_seconds: float) -> None:
        """Ask SageMaker to stop it: the job gets SIGTERM and the platform's own notice, then it is killed.

        Waits up to ``grace_seconds`` to see it end; it ends all the same when that is too short.
        """
        if self.attached or self._end is not None:
            return
        try:
            self.api.stop(self.name)
            deadline = time.monotonic() + grace_seconds
            while self._end is None and time.monotonic() < deadline:
                self._describe()
                time.sleep(min(1.0, self.least_pause_seconds))
        except (CloudRefused, StoreUnavailable, JobCrashed) as error:
            logger.warning(
                "training job %s could not be stopped, and goes on costing money (%s). Stop it by hand: "
                "aws sagemaker stop-training-job --training-job-name %s",
                *(self.name, error, self.name),
            )

    def fetch(self) -> Path:
        """Bring the finished run home, each file by its sha256; gives its directory.

        Raises:
            ObjectMissing, ObjectCorrupt: what lies in S3 is not what the run left. Not retried.
            StoreUnavailable: S3 does not answer. Retried.
        """
        self._progress.close()
        return self.hooks.fetch()

    def log_tail(self, num_lines: int) -> str:
        """The last lines it logged."""
        return tail(self.run_path / LOG_FILE, num_lines)

    def close(self) -> None:
        """Close what was written to and let others launch."""
        self._progress.close()
        self._log_file.close()
        self.lock.close()

    def _look(self) -> None:
        """See what is due."""
        looks = (("status", self._status_pace, self._describe), ("log", self._log_pace, self._read_log))
        for what, pace, look in looks:
            if self._end is None and pace.is_due():
                self._look_at(what, pace, look)

    def _look_at(self, what: str, pace: Pace, look: Callable[[], bool]) -> None:
        """Look at one thing; AWS being away for a while ends nothing, and is told once."""
        try:
            pace.looked(changed=look())
            self._away_since.pop(what, None)
        except StoreUnavailable as error:
            pace.looked(changed=False)
            now = time.monotonic()
            if what not in self._away_since:
                self._tell("notice", level="warning", message=f"{error}; {self.name} goes on, and is looked at again")
            if now - self._away_since.setdefault(what, now) > AWAY_SECONDS:
                raise
            self._tell("waiting", status="AWS does not answer")

    def _describe(self) -> bool:
        """Take in what SageMaker says of the job; whether it says something new."""
        description = self.api.describe(self.name)
        ended = is_ended(description)
        new = transitions_of(description)[self._num_transitions :]
        for status, message in new:
            self._changed(status, message)
        self._num_transitions += len(new)
        status = str(description.get("SecondaryStatus", "Pending"))
        if status not in WORKING and not ended and time.monotonic() < self._patient_until:
            self._tell("waiting", status=status)
        if not ended and status in WITHOUT_MACHINE and not (self.attached or self._given_up) and self.hooks.gives_up():
            self._given_up = True
            self._tell("notice", level="warning", message=f"{self.name} is not waited for any longer")
            self.api.stop(self.name)
        if ended:
            self._read_log()
            end = self.hooks.ended(description)
            self._end = (
                JobEnd(JobState.NO_CAPACITY, end.message, again_in_seconds=0.0) if self._is_given_up(end) else end
            )
        return bool(new)

    def _is_given_up(self, end: JobEnd) -> bool:
        return self._given_up and end.state is JobState.STOPPED

    def _changed(self, status: str, message: str) -> None:
        """Tell of a status that was entered; a machine that begins to work has a log of its own."""
        self._tell("notice", level="info", message=f"{self.name} is {status}{f': {message}' if message else ''}")
        if status in WORKING:
            self.hooks.has_machine()
            self.log.expect_new_stream()
            self._log_pace.hurry()

    def _read_log(self) -> bool:
        """Take what was printed; whether there was anything. Only the first host tells events."""
        lines = self.log.read()
        for line in lines:
            event = parse_event(line.text.encode()) if line.host == FIRST_HOST else None
            if event is None:
                whose = "" if line.host == FIRST_HOST else f"[{line.host}] "
                self._log_file.write(f"{whose}{line.text}\n".encode())
            else:
                self._progress.write(line.text.encode().rstrip(b"\n") + b"\n")
                self.hooks.heard(event)
                self._pending.append(event)
        self._log_file.flush()
        self._progress.flush()
        return bool(lines)

    def _tell(self, event: str, **values: Any) -> None:
        told = {"event": event, "time": round(time.time(), 3), **values}
        self._progress.write(json.dumps(told).encode() + b"\n")  # who follows us here hears it too
        self._pending.append(told)


def _log_from(path: Path, name: str) -> IO[bytes]:
    """``log.txt`` from where this job's lines begin: its log is read from its start by whoever watches it."""
    header = f"--- training job {name}\n".encode()
    file = path.open("a+b")
    file.seek(0)
    found = file.read().find(header)
    file.truncate(found) if found >= 0 else None
    file.seek(0, 2)
    file.write(header)
    file.flush()
    return file
