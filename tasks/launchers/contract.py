"""What a place that runs jobs must offer: a child process here, or a training job on SageMaker.

Launchers start jobs, hear them, wait for them, stop them and bring their run home. They judge nothing: what an end
means for retries is decided in ``tasks.supervision``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from models.jobs.layout import RunPlan
from models.jobs.placement import Machine
from models.settings.fields import Settings

Event = dict[str, Any]
"""One event of a job, as ``models.jobs.events`` describes it."""


class JobState(StrEnum):
    """The closed set of what a job can be; a state that is not here is an error, never "still running"."""

    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"
    """Asked to stop, and left after a clean checkpoint."""
    KILLED = "killed"
    """Ended from outside without a word: SIGKILL, a machine that went away."""
    REFUSED = "refused"
    """Settings or data are wrong."""
    CRASHED = "crashed"
    """Ended by an error of its own."""
    GONE = "gone"
    """The job we were attached to ended unfinished; whoever comes next may launch it."""
    NO_CAPACITY = "no capacity"
    """There was no machine to run it on."""
    WAITED_OUT = "waited out"
    """A Spot job that got no machine, or lost it, until its longest wait was over."""
    STOPPED = "stopped"
    """Someone else stopped it."""


@dataclass(frozen=True)
class JobEnd:
    """How a job stands.

    Args:
        state: One of the closed set.
        message: What the job said of its end; empty while it runs.
        error: Class name of the error it ended with, where it named one.
        retryable: Whether that error says that a later attempt could succeed.
        again_in_seconds: For an end that is nobody's fault: launch it again after so long [s]; ``None``: not now.
    """

    state: JobState
    message: str = ""
    error: str | None = None
    retryable: bool = False
    again_in_seconds: float | None = None


class LaunchedJob(Protocol):
    """A job that was started, or one that already ran and that we attached to."""

    @property
    def attached(self) -> bool:
        """True when another supervisor launched it: we only watch, and never stop it."""
        ...

    def events(self, wait_seconds: float) -> list[Event]:
        """What was told since the last call; waits up to ``wait_seconds`` for the first, less when the job ends."""
        ...

    def wait(self, deadline_seconds: float) -> JobEnd:
        """How it ended; ``RUNNING`` when it has not within ``deadline_seconds``."""
        ...

    def stop(self, grace_seconds: float) -> None:
        """Ask it to leave, wait up to ``grace_seconds``, then end it; returns when it is gone."""
        ...

    def fetch(self) -> Path:
        """The run directory, local to us."""
        ...

    def log_tail(self, num_lines: int) -> str:
        """The last lines it logged, for error messages."""
        ...

    def close(self) -> None:
        """Let go of what watching needed; the job must have ended, or must be attached."""
        ...


class Launcher(Protocol):
    """A place that runs jobs."""

    @property
    def machine(self) -> Machine | None:
        """The machine that runs of this place are named by; ``None``: this one."""
        ...

    @property
    def python(self) -> str | None:
        """Version of Python there; ``None``: that of this process."""
        ...

    @property
    def is_mirroring(self) -> bool:
        """Whether a run that is finished here must be in S3 too."""
        ...

    def resolved(self, settings: Settings) -> Settings:
        """The same job with what depends on the machine settled (device, precision), before it is named."""
        ...

    def newest_step(self, plan: RunPlan) -> int:
        """Step of the newest checkpoint of a run; -1 where there is none."""
        ...

    def launch(self, settings: Settings, plan: RunPlan) -> LaunchedJob:
        """Start the job of ``plan``, or attach to the one that runs under the same run key (idempotent)."""
        ...
