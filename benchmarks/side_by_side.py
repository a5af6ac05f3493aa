"""What comparisons of trainings share: ours, led step by step, and how numbers are judged and printed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.train import TrainSettings
from models.training.job import assemble, resume
from models.training.objective import Objective
from models.training.order import Indices, epoch_order, step_records
from models.training.process import open_process
from models.training.trainer import Trainer


class Training(Protocol):
    """A training that is led step by step."""

    def begin_epoch(self) -> None:
        """Get ready for the first step of an epoch."""
        ...

    def step(self) -> None:
        """The next step of the epoch."""
        ...

    def val_logits(self) -> Tensor:
        """``(records, 2)`` on the validation records."""
        ...


class OurTraining:
    """The trainer of a ``train`` job, put together as the job does.

    Args:
        settings: The job.
        run_path: Where its run directory would be; made here.
        objective_class: Of the model kind.
    """

    def __init__(self, settings: TrainSettings, run_path: Path, objective_class: type[Objective]) -> None:
        run_path.mkdir(parents=True)
        context = JobContext(run_path, run_path, EventStream(run_path / "progress.jsonl", None))
        accelerator = open_process(settings.compute, context)
        self.trainer: Trainer = assemble(settings, context, accelerator, objective_class)
        resume(self.trainer, time.monotonic())
        self._order = np.zeros(0, dtype=np.int64)

    def begin_epoch(self) -> None:
        """The order of the next epoch."""
        position = self.trainer.position
        position.epoch, position.step_in_epoch = position.epoch + bool(position.step), 0
        self._order = epoch_order(len(self.trainer.train), seed=self.trainer.seed, epoch=position.epoch)

    def records(self, step_in_epoch: int) -> Indices:
        """Which records a step of this epoch takes."""
        return step_records(self._order, step_in_epoch=step_in_epoch, batch_size=self.trainer.position.batch_size)

    def step(self) -> None:
        """The trainer's step."""
        torch.set_deterministic_debug_mode("error")  # as in a job; the other goes without
        self.trainer.step(self.records(self.trainer.position.step_in_epoch))
        torch.set_deterministic_debug_mode("default")

    def val_logits(self) -> Tensor:
        """As the trainer's evaluation has them."""
        everything = np.arange(len(self.trainer.val), dtype=np.int64)
        return self.trainer.objective.scores(self.trainer.val, everything, budget=self.trainer.position.micro_budget)


def held(bounds: dict[str, bool]) -> bool:
    """Print each bound with its verdict; whether all held."""
    for phrase, holds in bounds.items():
        print(f"  {phrase}  {'ok' if holds else 'MISSED'}", flush=True)
    return all(bounds.values())


def excess_allowed(plain: Sequence[float], ours: Sequence[float], *, at_least: float) -> float:
    """Two standard errors of the difference of the means over seeds, and at least ``at_least``."""
    if len(ours) < 2:
        return at_least
    variance = (stdev(plain) ** 2 + stdev(ours) ** 2) / len(ours)
    return max(at_least, 2.0 * float(variance**0.5))


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation over seeds."""
    return f"{mean(values):.3f} ± {stdev(values) if len(values) > 1 else 0.0:.3f}"
