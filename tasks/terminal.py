"""Progress on a terminal: a bar with ETA for each running job, below the log.

Where stderr is no terminal, nothing: the log says it.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TaskID, TaskProgressColumn, TextColumn
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
    """One of the bars at the bottom of the terminal."""

    def __init__(self, bars: RichProgress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def show(self, progress: Progress) -> None:
        """Move the bar."""
        eta = f"ETA {duration(progress.eta_seconds)}" if progress.eta_seconds is not None else ""
        self._bars.update(self._task, completed=progress.share, doing=progress.doing, eta=eta)


class SharedBars:
    """The bars of all jobs that run now: a terminal can hold one live display, and jobs run in several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bars: RichProgress | None = None
        self._num_shown = 0

    def add(self, name: str) -> tuple[RichProgress, TaskID]:
        """A new bar below the others; the first one opens the display."""
        with self._lock:
            if self._bars is None:
                self._bars = RichProgress(*_columns(), console=_log_console(), transient=True)
                self._bars.start()
            self._num_shown += 1
            return self._bars, self._bars.add_task(name, total=1.0, doing="starting", eta="")

    def remove(self, task: TaskID) -> None:
        """Take a bar away; the last one closes the display."""
        with self._lock:
            assert self._bars is not None
            self._bars.remove_task(task)
            self._num_shown -= 1
            if not self._num_shown:
                self._bars.stop()
                self._bars = None


_shared_bars = SharedBars()


@contextmanager
def progress_view(name: str) -> Iterator[ProgressView]:
    """A bar named ``name`` where stderr is a terminal, gone at the end; otherwise a view that shows nothing.

    May be open in several threads at once: each has its own bar in one display.
    """
    if not _is_terminal():
        yield NoView()
        return
    bars, task = _shared_bars.add(name)
    try:
        yield BarView(bars, task)
    finally:
        _shared_bars.remove(task)


def _is_terminal() -> bool:
    """Whether stderr is a terminal; an open display puts a proxy in its place that says it is none."""
    return bool(getattr(sys.stderr, "rich_proxied_file", sys.stderr).isatty())


def _columns() -> tuple[ProgressColumn, ...]:
    """Styles are said in full: the console Prefect logs to has a theme that knows none of those with names."""
    return (
        TextColumn("{task.description}"),
        BarColumn(style="bright_black", complete_style="cyan", finished_style="green", pulse_style="cyan"),
        TaskProgressColumn("{task.percentage:>3.0f}%", style="cyan"),
        TextColumn("{task.fields[doing]}"),
        TextColumn("{task.fields[eta]}"),
    )


def _log_console() -> Console:
    """The console Prefect logs to: only on the same one do log lines go above the bars instead of through them."""
    logger: logging.Logger | None = logging.getLogger("prefect")
    while logger is not None:  # its handlers are those of the root, unless somebody configured it otherwise
        for handler in logger.handlers:
            console = getattr(handler, "console", None)
            if isinstance(console, Console):
                return console
        logger = logger.parent
    return Console(stderr=True)
