"""A job as a child of this process: heard through a pipe, waited for, stopped.

How a run is kept to one child belongs to ``local``.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import IO

from models.errors import EXIT_BUSY, EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED, CloudRefused, StoreUnavailable
from models.jobs.contract import OUTCOME_FILE
from tasks.launchers import tied_child
from tasks.launchers.aws_profile import PrivateProfile
from tasks.launchers.contract import Event, JobEnd, JobState
from tasks.launchers.run_files import LOG_FILE, parse_event, tail

POLL_SECONDS = 0.2
OWN_FAULT_SIGNALS = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}
OUTCOME_STATES = {
    "done": JobState.DONE,
    "interrupted": JobState.INTERRUPTED,
    "refused": JobState.REFUSED,
    "crashed": JobState.CRASHED,
}
CODE_STATES = {
    EXIT_DONE: JobState.DONE,
    EXIT_INTERRUPTED: JobState.INTERRUPTED,
    EXIT_REFUSED: JobState.REFUSED,
    EXIT_BUSY: JobState.GONE,  # someone started it by hand in between: attach
}


class ChildJob:
    """A child of this process.

    Args:
        run_path: Its run directory.
        command: What to run, tied to the calling thread.
        environment: All it gets to see.
        launch_lock: Held until ``close``.
        profile: AWS credentials of the child, removed by ``close``.
    """

    attached = False

    def __init__(
        self,
        run_path: Path,
        command: list[str],
        environment: dict[str, str],
        launch_lock: IO[bytes],
        profile: PrivateProfile | None = None,
    ) -> None:
        self.run_path = run_path
        self._launch_lock = launch_lock
        self._profile = profile
        self._renewal_failed = False
        self._outcome_before = _stamp(run_path / OUTCOME_FILE)
        self._pending: deque[Event] = deque()
        self._rest = b""
        self._log = (run_path / LOG_FILE).open("ab")
        self._log.write(f"--- {time.strftime('%Y-%m-%dT%H:%M:%S%z')} {' '.join(command)}\n".encode())
        self._log.flush()
        tie = [sys.executable, "-I", "-S", str(Path(tied_child.__file__)), str(os.getpid())]
        self._process = subprocess.Popen(
            [*tie, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            bufsize=0,  # read what is there, keep nothing back from select
        )
        assert self._process.stdout is not None
        self._stdout = self._process.stdout
        os.set_blocking(self._stdout.fileno(), False)

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    def events(self, wait_seconds: float) -> list[Event]:
        """Events since the last call; returns early when the first arrives or the child has ended."""
        self._renew_profile()
        deadline = time.monotonic() + wait_seconds
        while not self._pending:
            remaining = deadline - time.monotonic()
            ended = self._process.poll() is not None
            self._read(0 if ended else max(0.0, min(POLL_SECONDS, remaining)))
            if ended or remaining <= 0:
                break
        events = list(self._pending)
        self._pending.clear()
        return events

    def wait(self, deadline_seconds: float) -> JobEnd:
        """How the child ended; ``RUNNING`` when it has not within the deadline."""
        deadline = time.monotonic() + deadline_seconds
        while self._process.poll() is None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return JobEnd(JobState.RUNNING)
            self._read(min(POLL_SECONDS, remaining))  # a full pipe would keep it from ending
        return self._end(self._process.returncode)

    def stop(self, grace_seconds: float) -> None:
        """SIGTERM, and SIGKILL when it has not left after ``grace_seconds``."""
        if self._process.poll() is None:
            self._process.terminate()
            if self.wait(grace_seconds).state == JobState.RUNNING:
                self._process.kill()
        self._process.wait()

    def fetch(self) -> Path:
        """The run directory; it is here already."""
        return self.run_path

    def log_tail(self, num_lines: int) -> str:
        """The last lines of ``log.txt``."""
        return tail(self.run_path / LOG_FILE, num_lines)

    def close(self) -> None:
        """Close pipe and log, remove the child's credentials, and let others launch."""
        if self._profile is not None:
            self._profile.remove()
            self._profile = None
        self._stdout.close()
        self._log.close()
        self._launch_lock.close()

    def _renew_profile(self) -> None:
        """What S3 refuses in the end is said by the job; what we hear before is told once."""
        if self._profile is None or self._renewal_failed:
            return
        try:
            self._profile.renew()
        except StoreUnavailable:
            return  # asked again a minute later
        except CloudRefused as error:
            self._renewal_failed = True
            message = f"{error}; the job trains on, and its checkpoints reach S3 until its present credentials expire"
            now = round(time.time(), 3)
            self._pending.append({"event": "notice", "time": now, "level": "warning", "message": message})

    def _read(self, wait_seconds: float) -> None:
        """Take from the pipe what is there, waiting at most ``wait_seconds`` for something."""
        if not select.select([self._stdout], [], [], wait_seconds)[0]:
            return
        while chunk := self._stdout.read(65536):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)
        if chunk == b"" and self._process.poll() is None:
            time.sleep(min(wait_seconds, POLL_SECONDS))  # it closed its stdout and lives on: do not spin

    def _take(self, line: bytes) -> None:
        event = parse_event(line)
        if event is not None:
            self._pending.append(event)
        elif line.strip():  # a library that prints: keep it where people look
            self._log.write(line + b"\n")
            self._log.flush()

    def _end(self, code: int) -> JobEnd:
        path = self.run_path / OUTCOME_FILE
        if _stamp(path) != self._outcome_before:  # what an earlier attempt left does not count
            outcome = json.loads(path.read_text())
            state = OUTCOME_STATES.get(outcome["outcome"], JobState.CRASHED)
            return JobEnd(state, outcome["message"], outcome.get("error"), bool(outcome.get("retryable")))
        if code < 0:
            ended_by = signal.Signals(-code)
            state = JobState.CRASHED if ended_by in OWN_FAULT_SIGNALS else JobState.KILLED
            return JobEnd(state, f"ended by {ended_by.name}")
        return JobEnd(CODE_STATES.get(code, JobState.CRASHED), f"exit code {code} and no {OUTCOME_FILE}")


def _stamp(path: Path) -> tuple[int, int] | None:
    """Tells two writings of a file apart."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino
