"""Learning rate over time. What a schedule remembers is in the checkpoint. Those that warm up are in ``warmup.py``."""

from __future__ import annotations

from typing import Any, Protocol

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau


class Schedule(Protocol):
    """Sets the learning rate of an optimiser.

    Attributes:
        facts: What the result says of it; small JSON values.
        notices: What a person must be told of it before training begins.
    """

    facts: dict[str, Any]
    notices: tuple[str, ...]

    def after_step(self) -> None:
        """One optimiser step was done."""
        ...

    def after_evaluation(self, score: float) -> None:
        """The validation score was measured."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What it remembers, as JSON."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember it again."""
        ...


class Plateau:
    """Multiplies the learning rate by ``factor`` after ``patience`` evaluations without a better score."""

    def __init__(self, optimizer: Optimizer, *, factor: float, patience: int) -> None:
        self._schedule = ReduceLROnPlateau(optimizer, mode="max", factor=factor, patience=patience)
        self.facts: dict[str, Any] = {"shape": "plateau"}
        self.notices: tuple[str, ...] = ()

    def after_step(self) -> None:
        """Nothing: it moves at evaluations only."""

    def after_evaluation(self, score: float) -> None:
        """Lower the learning rate where the score stands still."""
        self._schedule.step(score)

    def state_dict(self) -> dict[str, Any]:
        """Best score, patience so far, last rates."""
        return dict(self._schedule.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember them again; the optimiser's own rates come with its state."""
        self._schedule.load_state_dict(state)


class Stepwise:
    """A torch schedule that moves with every optimiser step, whatever the score.

    Args:
        schedule: Warm-up, decay …; its state must be JSON.
        facts: What the result says of it.
        notices: What a person must be told of it.
    """

    def __init__(self, schedule: LRScheduler, *, facts: dict[str, Any], notices: tuple[str, ...]) -> None:
        self._schedule = schedule
        self.facts = facts
        self.notices = notices

    def after_step(self) -> None:
        """Set the rate of the next step."""
        self._schedule.step()

    def after_evaluation(self, score: float) -> None:
        """Nothing: it moves at steps only."""

    def state_dict(self) -> dict[str, Any]:
        """Steps so far and last rates."""
        return dict(self._schedule.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember them again; the optimiser's own rates come with its state."""
        self._schedule.load_state_dict(state)
