"""How far a job has come, from its events: a share, an ETA and one line for people. Pure; no Prefect, no terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasks.launchers.contract import Event

HIDDEN_IN_EPOCH_LINES = {"event", "time", "epoch", "num_epochs", "step"}


@dataclass(frozen=True)
class Progress:
    """How far a job has come.

    Args:
        share: Done of all, in [0, 1].
        eta_seconds: Expected time to the end [s]; ``None`` when there is nothing to judge from.
        doing: One phrase: phase, epoch, step.
    """

    share: float = 0.0
    eta_seconds: float | None = None
    doing: str = "starting"

    def __str__(self) -> str:
        eta = f", ETA {duration(self.eta_seconds)}" if self.eta_seconds is not None else ""
        return f"{self.doing}, {self.share:.0%}{eta}"


class ProgressMeter:
    """Turns events into ``Progress``.

    The ETA is the time per share seen in this attempt, times what is left: a resumed run is not credited with work that
    another attempt did. With early stopping it is the longest it can take.
    """

    def __init__(self) -> None:
        self.progress = Progress()
        self._phase = "starting"
        self._first: tuple[float, float] | None = None
        self._steps = False

    def hear(self, event: Event) -> Progress:
        """Take in one event; gives the progress after it."""
        name = event["event"]
        if name == "phase":
            self._phase = str(event["phase"])
            self.progress = Progress(self.progress.share, self.progress.eta_seconds, self._phase)
        elif name == "step":
            epoch = f"epoch {event['epoch'] + 1}, " if event.get("epoch") is not None else ""
            doing = f"{self._phase}: {epoch}step {event['step']}/{event.get('num_steps', '?')}"
            self._steps = True
            self._move(event["step"], event.get("num_steps"), event["time"], doing)
        elif name == "progress":
            total = f"{event['total']:,}" if event["total"] else "?"
            doing = f"{self._phase}: {event['done']:,}/{total} {event['unit']}"
            if self._steps:  # a count inside a job that steps, such as an evaluation, is not how far the job has come
                self.progress = Progress(self.progress.share, self.progress.eta_seconds, doing)
            else:
                self._move(event["done"], event["total"], event["time"], doing)
        return self.progress

    def _move(self, done: float, total: float | None, time_seconds: float, doing: str) -> None:
        if not total:
            self.progress = Progress(0.0, None, doing)
            return
        share = min(1.0, done / total)
        if self._first is None or share < self.progress.share:  # a new count begins, or one that was resumed
            self._first = (time_seconds, share)
        first_seconds, first_share = self._first
        gained = share - first_share
        eta_seconds = (time_seconds - first_seconds) / gained * (1.0 - share) if gained > 0 else None
        self.progress = Progress(share, eta_seconds, doing)


def log_line(event: Event) -> str | None:
    """What the log says of an event: a line an epoch (people count from 1) and a notice; nothing of steps."""
    if event["event"] == "epoch":
        values = [f"{key} {_short(value)}" for key, value in event.items() if key not in HIDDEN_IN_EPOCH_LINES]
        total = f"/{event['num_epochs']}" if event.get("num_epochs") else ""
        return f"epoch {event['epoch'] + 1}{total}: {', '.join(values)}"
    if event["event"] == "notice":
        return str(event["message"])
    return None


def duration(seconds: float) -> str:
    """``1 h 02 min``, ``3 min 20 s``, ``12 s``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
