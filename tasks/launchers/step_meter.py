"""What the steps that a job told say of its attempts: how many were made again, and how long one takes."""

from __future__ import annotations

import re

from tasks.launchers.contract import Event

_RESUMED = re.compile(r"resumed at step (\d+)")


class StepMeter:
    """Heard over all attempts of a run; steps between two events count as told."""

    def __init__(self) -> None:
        self.num_repeated = 0
        """Steps that were made again after a resume [steps]."""
        self._furthest = 0
        self._last: tuple[int, float] | None = None
        self._num_timed, self._seconds = 0, 0.0

    @property
    def seconds_per_step(self) -> float | None:
        """Mean time of a step between two step events [s]; ``None`` where too few were told."""
        return self._seconds / self._num_timed if self._num_timed else None

    def hear(self, event: Event) -> None:
        """Take in one event."""
        if event["event"] == "step":
            step, time_seconds = int(event["step"]), float(event["time"])
            if self._last is not None and step > self._last[0]:
                self._num_timed += step - self._last[0]
                self._seconds += time_seconds - self._last[1]
            self._last = (step, time_seconds)
            self._furthest = max(self._furthest, step)
        elif event["event"] == "notice" and (found := _RESUMED.match(str(event["message"]))):
            self.num_repeated += max(0, self._furthest - int(found[1]))
            self._furthest, self._last = int(found[1]), None
        elif event["event"] in ("epoch", "phase"):
            self._last = None  # what passes until the next step was no step
