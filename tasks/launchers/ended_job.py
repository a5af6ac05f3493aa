"""A job that needs no watching."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tasks.launchers.contract import Event, JobEnd
from tasks.launchers.run_files import LOG_FILE, tail


@dataclass
class EndedJob:
    """A job that needs no watching: its run was found finished, or there was no room to begin it.

    Args:
        run_path: The run directory here, complete where the run is finished.
        end: How it stands.
        lock: Held until ``close``.
        attached: Whether nothing was launched.
    """

    run_path: Path
    end: JobEnd
    lock: IO[bytes]
    attached: bool = True

    def events(self, wait_seconds: float) -> list[Event]:  # noqa: ARG002
        """None."""
        return []

    def wait(self, deadline_seconds: float) -> JobEnd:  # noqa: ARG002
        """How it stands."""
        return self.end

    def stop(self, grace_seconds: float) -> None:
        """Nothing runs."""

    def fetch(self) -> Path:
        """The run directory; it is here already."""
        return self.run_path

    def log_tail(self, num_lines: int) -> str:
        """The last lines of ``log.txt``."""
        return tail(self.run_path / LOG_FILE, num_lines)

    def close(self) -> None:
        """Let others launch."""
        self.lock.close()
