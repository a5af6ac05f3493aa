"""Progress on a terminal: one bar with ETA below the log. Where stderr is no terminal, nothing: the log says it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as RichProgress

from tasks.progress import Progress, duration


class ProgressView(Protocol):
    """Somewhere progress is shown."""

    def show(self, progress: Progress) -> None:
        """Show how far the job has come."""
        ...


class NoView:
    """Shows nothing."""

    def show(self, progress: Progress) -> None:
        """Nothing to do."""


class BarView:
    """A bar at the bottom of the terminal."""

    def __init__(self, bar: RichProgress, name: str) -> None:
        self._bar = bar
        self._task = bar.add_task(name, total=1.0, doing="starting", eta="")

    def show(self, progress: Progress) -> None:
        """Move the bar."""
        eta = f"ETA {duration(progress.eta_seconds)}" if progress.eta_seconds is not None else ""
        self._bar.update(self._task, completed=progress.share, doing=progress.doing, eta=eta)


@contextmanager
def progress_view(name: str) -> Iterator[ProgressView]:
    """A bar named ``name`` where stderr is a terminal, gone at the end; otherwise a view that shows nothing."""
    if not sys.stderr.isatty():
        yield NoView()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[doing]}"),
        TextColumn("{task.fields[eta]}"),
    )
    with RichProgress(*columns, console=_log_console(), transient=True) as bar:
        yield BarView(bar, name)


def _log_console() -> Console:
    """The console Prefect logs to: only on the same one do log lines go above the bar instead of through it."""
    for handler in logging.getLogger("prefect").handlers:
        console = getattr(handler, "console", None)
        if isinstance(console, Console):
            return console
    return Console(stderr=True)
