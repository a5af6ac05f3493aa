"""What a job that writes records does while it works and at its end: tell progress, put files in place."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from models.jobs.contract import JobContext

SECONDS_BETWEEN_EVENTS = 0.4


class Progress:
    """Progress events, a few a second at most.

    Args:
        context: Of the job.
        total: How many there are; ``None`` where nobody knows yet.
        unit: Of what.
    """

    def __init__(self, context: JobContext, total: int | None, unit: str) -> None:
        self.done = 0
        self._context = context
        self._total = total
        self._unit = unit
        self._next = 0.0

    def step(self, count: int) -> None:
        """Count ``count`` more."""
        self.done += count
        now = time.monotonic()
        if now >= self._next:
            self._context.events.progress(self.done, self._total, self._unit)
            self._next = now + SECONDS_BETWEEN_EVENTS


def put_in_place(temp_path: Path, run_path: Path, files: Iterable[str]) -> None:
    """Move finished files from the temporary folder into the run directory, and remove the folder."""
    for name in files:
        target = run_path / name
        target.parent.mkdir(exist_ok=True)
        (temp_path / name).replace(target)
    shutil.rmtree(temp_path)
