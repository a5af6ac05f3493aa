"""Jobs as child processes on this machine.

The child stays in the process group of its supervisor: Prefect cancels a run by signalling its group. It is tied to the
supervising thread (``tied_child``), so a supervisor that is killed leaves no orphan. Two locks keep a run to one child:

- ``launch.lock`` is held by the supervisor from before the start until after the end. Who finds it held attaches.
- ``lock`` is held by the child itself for its life. A child may outlive its supervisor by the seconds it needs to save,
  so who finds it held attaches too, and launches when it is free.

The kernel frees both at any death. Neither is ever deleted.
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
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from models.errors import EXIT_BUSY, EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED
from models.jobs.contract import LOCK_FILE, OUTCOME_FILE
from models.jobs.layout import RunPlan, make_run_folder
from models.settings.fields import Settings
from models.store.filesystem import disk_errors
from tasks.launchers import tied_child
from tasks.launchers.attached import AttachedJob
from tasks.launchers.contract import Event, JobEnd, JobState, LaunchedJob
from tasks.launchers.environment import job_environment
from tasks.launchers.run_files import LAUNCH_LOCK_FILE, LOG_FILE, is_locked, parse_event, tail, try_lock

JOB_FILE = "job.json"

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


class LocalProcess:
    """Runs jobs as children of this process.

    Args:
        runs_path: The run root, told to the job.
        command: What runs a job file.
    """

    def __init__(self, runs_path: Path, command: Sequence[str] = (sys.executable, "-m", "models")) -> None:
        self.runs_path = runs_path
        self.command = tuple(command)

    def launch(self, settings: Settings, plan: RunPlan) -> LaunchedJob:
        """Start the job in ``plan.run_path``, or attach to the supervisor or child that holds it.

        Raises:
            SettingsInvalid: no run can lie in the run directory. Not retried.
            StoreUnavailable: the disk refuses. Retried.
        """
        make_run_folder(plan.run_path)
        launch_lock = try_lock(plan.run_path / LAUNCH_LOCK_FILE)
        if launch_lock is None:
            return AttachedJob(plan.run_path)
        if is_locked(plan.run_path / LOCK_FILE):
            launch_lock.close()
            return AttachedJob(plan.run_path)
        try:
            job_path = plan.run_path / JOB_FILE
            with disk_errors(job_path):
                _write_atomically(job_path, settings.model_dump_json(indent=2) + "\n")
            command = [*self.command, str(job_path), "--run-dir", str(plan.run_path), "--runs", str(self.runs_path)]
            if plan.reused is not None:
                command.append("--reuse-build")
            return ChildJob(plan.run_path, command, job_environment(settings, os.environ), launch_lock)
        except BaseException:  # or a retry in this process would attach to nobody
            launch_lock.close()
            raise


class ChildJob:
    """A child of this process.

    Args:
        run_path: Its run directory.
        command: What to run, tied to the calling thread.
        environment: All it gets to see.
        launch_lock: Held until ``close``.
    """

    attached = False

    def __init__(self, run_path: Path, command: list[str], environment: dict[str, str], launch_lock: IO[bytes]) -> None:
        self.run_path = run_path
        self._launch_lock = launch_lock
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
        """Close pipe and log and let others launch."""
        self._stdout.close()
        self._log.close()
        self._launch_lock.close()

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


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)
