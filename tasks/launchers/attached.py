"""A job that another supervisor on this machine launched."""

from __future__ import annotations

import os
import time
from pathlib import Path

from models.jobs.contract import LOCK_FILE, PROGRESS_FILE
from models.jobs.layout import is_finished
from tasks.launchers.contract import Event, JobEnd, JobState
from tasks.launchers.run_files import LAUNCH_LOCK_FILE, LOG_FILE, is_locked, parse_event, tail

POLL_SECONDS = 0.2
ATTACH_TAIL_BYTES = 64 * 1024


class AttachedJob:
    """A job that another supervisor launched: followed through ``progress.jsonl``, never stopped by us."""

    attached = True

    def __init__(self, run_path: Path) -> None:
        self.run_path = run_path
        self._rest = b""
        path = run_path / PROGRESS_FILE
        self._offset_bytes = max(0, path.stat().st_size - ATTACH_TAIL_BYTES) if path.exists() else 0
        self._cut = self._offset_bytes > 0

    def events(self, wait_seconds: float) -> list[Event]:
        """Events that were appended since the last call; returns early when some were, or the job has ended."""
        deadline = time.monotonic() + wait_seconds
        while True:
            events = self._read()
            if events or time.monotonic() >= deadline or not self._runs():
                return events
            time.sleep(POLL_SECONDS)

    def wait(self, deadline_seconds: float) -> JobEnd:
        """``DONE`` when the other one finished it, ``GONE`` when it left it unfinished."""
        deadline = time.monotonic() + deadline_seconds
        while self._runs():
            if time.monotonic() >= deadline:
                return JobEnd(JobState.RUNNING)
            time.sleep(POLL_SECONDS)
        return JobEnd(JobState.DONE if is_finished(self.run_path) else JobState.GONE)

    def stop(self, grace_seconds: float) -> None:
        """Does nothing: the job belongs to another supervisor."""

    def fetch(self) -> Path:
        """The run directory; it is here already."""
        return self.run_path

    def log_tail(self, num_lines: int) -> str:
        """The last lines of ``log.txt``."""
        return tail(self.run_path / LOG_FILE, num_lines)

    def close(self) -> None:
        """Nothing is held."""

    def _runs(self) -> bool:
        return is_locked(self.run_path / LAUNCH_LOCK_FILE) or is_locked(self.run_path / LOCK_FILE)

    def _read(self) -> list[Event]:
        try:
            with (self.run_path / PROGRESS_FILE).open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset_bytes:  # cut back by a resume: told again from there
                    self._offset_bytes, self._rest = os.fstat(file.fileno()).st_size, b""
                file.seek(self._offset_bytes)
                content = file.read()
        except FileNotFoundError:
            return []
        self._offset_bytes += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        if self._cut and lines:  # the first line began before where we did
            lines, self._cut = lines[1:], False
        return [event for event in map(parse_event, lines) if event is not None]
