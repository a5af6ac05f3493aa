"""Containers of one start of a job, and the one order to leave that they may get."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.sagemaker_twin.container import Container


class Cause(StrEnum):
    """Why containers are told to leave."""

    RECLAIM = "Interrupted"
    STOP = "Stopped"
    MAX_RUNTIME = "MaxRuntimeExceeded"
    MAX_WAIT = "MaxWaitTimeExceeded"
    CRASH = "crash"


@dataclass(frozen=True)
class Eviction:
    """An order to leave.

    Args:
        cause: Why.
        notice_seconds: Time between SIGTERM and SIGKILL [s]; 0: SIGKILL at once.
        final_sync: Whether what is written after SIGTERM is still synced, of a job that leaves within the notice.
    """

    cause: Cause
    notice_seconds: float
    final_sync: bool = True


class Cluster:
    """The containers of all hosts of one start, which end together."""

    def __init__(self) -> None:
        self.eviction: Eviction | None = None
        self.killed = False
        """Whether SIGKILL was needed."""
        self._containers: list[Container] = []
        self._lock = threading.Lock()
        self._kill_at = float("inf")

    @property
    def lets_sync(self) -> bool:
        """Whether the machines still sync checkpoints: not after SIGKILL, after SIGTERM as the order says."""
        return not self.killed and (self.eviction is None or self.eviction.final_sync)

    def add(self, container: Container) -> None:
        """One more host."""
        with self._lock:
            self._containers.append(container)

    def evict(self, eviction: Eviction) -> bool:
        """Tell all to leave; False when they were told already or have ended by themselves."""
        with self._lock:
            if self.eviction is not None:
                return False
            hard = eviction.notice_seconds == 0
            told = [one.kill() if hard else one.terminate() for one in self._containers]
            if not any(told):
                return False
            self.eviction = eviction
            self.killed = hard
            self._kill_at = time.monotonic() + eviction.notice_seconds
            return True

    def running(self) -> bool:
        """Whether any host still runs; one that fails ends the others, and so does a notice that is over."""
        codes = [one.exit_code() for one in self._containers]
        if self.eviction is None and any(code not in (None, 0) for code in codes):
            self._kill()
            return False
        if None not in codes:
            return False
        if time.monotonic() >= self._kill_at:
            self.killed = True
            self._kill()
        return True

    def join(self) -> list[int]:
        """Exit codes of all, after their last lines."""
        return [one.join() for one in self._containers]

    def end(self) -> None:
        """Kill what is left; for a job that cannot be seen through."""
        self._kill()
        self.join()

    def _kill(self) -> None:
        for one in self._containers:
            if one.exit_code() is None:
                one.kill()
