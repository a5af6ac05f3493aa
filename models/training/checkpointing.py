"""Between the trainer's objects and the checkpoint store: what is written, by which rank, and how it is put back."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import Optimizer

from models.errors import ObjectMissing
from models.settings.train import CheckpointSettings
from models.store.checkpoints import CheckpointStore
from models.store.generations import LoadedGeneration
from models.training import state
from models.training.schedule import Schedule
from models.training.state import Position

PROGRESS_KEY = "progress_bytes"
"""Length of ``progress.jsonl`` when the generation was made [bytes]."""


@dataclass
class Stateful:
    """Everything of a run that has state beside position and random states."""

    model: nn.Module
    optimizer: Optimizer
    schedule: Schedule
    scaler: torch.amp.GradScaler | None


class Checkpointing:
    """Saves and restores a run; times itself.

    Args:
        store: The run's checkpoints.
        settings: When to save.
        accelerator: For barriers between ranks.
        rank: This process; rank 0 writes what all share.
        num_ranks: Processes that train together.
    """

    def __init__(
        self, store: CheckpointStore, settings: CheckpointSettings, accelerator: Accelerator, rank: int, num_ranks: int
    ) -> None:
        self._store = store
        self._settings = settings
        self._accelerator = accelerator
        self._rank = rank
        self._num_ranks = num_ranks
        self._last_save = time.monotonic()
        self._last_step = 0
        self.seconds_saving = 0.0
        self.num_saved = 0
        self.newest_name: str | None = None
        """The newest generation that was published or restored."""
        self.problem: str | None = None
        """What went wrong when the last save removed old generations, if anything."""

    def is_due(self, step: int) -> bool:
        """Whether the interval in seconds or steps has passed since the last save."""
        by_steps = self._settings.every_steps is not None and step - self._last_step >= self._settings.every_steps
        return by_steps or time.monotonic() - self._last_save >= self._settings.every_seconds

    def save(self, stateful: Stateful, position: Position, *, beside: dict[str, int]) -> None:
        """Write a generation; returns when it is durable.

        Args:
            stateful: What has state.
            position: Where training is.
            beside: Facts of this attempt that come back with the generation but are no state of the run.

        Raises:
            HeadConflict: another writer owns the run. Not retried.
            StoreUnavailable: the store is away. Retried by the supervisor.
        """
        started = time.monotonic()
        parts = self._rank_parts()
        if self._rank == 0:
            parts |= _shared_parts(stateful, position)
        for name, content in parts.items():
            self._store.write_part(position.step, name, content)
        self._accelerator.wait_for_everyone()
        if self._rank == 0:
            names = {*parts, *(name for rank in range(self._num_ranks) for name in state.rng_file_names(rank))}
            published = self._store.publish(
                position.step, best_step=position.best_step, metadata=dict(beside), parts=names
            )
            self.problem = published.problem
        self._accelerator.wait_for_everyone()
        self.newest_name = self._store.newest_name()
        self._last_save, self._last_step = time.monotonic(), position.step
        self.seconds_saving += self._last_save - started
        self.num_saved += 1

    def restore(self, stateful: Stateful) -> tuple[Position | None, LoadedGeneration | None]:
        """Take over the run and put back its newest good generation; ``(None, None)`` where there is none."""
        if self._rank == 0:
            self._store.take_over()
        self._accelerator.wait_for_everyone()
        loaded = self._store.newest_good()
        if loaded is None:
            return None, None
        position, schedule, scaler = state.position_from_bytes(loaded.read(state.TRAINER_FILE))
        state.load_model(stateful.model, loaded.read(state.MODEL_FILE))
        tensors, groups = loaded.read(state.OPTIMIZER_TENSORS_FILE), loaded.read(state.OPTIMIZER_FILE)
        state.load_optimizer(stateful.optimizer, tensors, groups)
        stateful.schedule.load_state_dict(schedule)
        if stateful.scaler is not None:
            stateful.scaler.load_state_dict(scaler)
        rng_tensors, rng_plain = (loaded.read(name) for name in state.rng_file_names(self._rank))
        state.load_rng(rng_tensors, rng_plain)
        self._last_step, self.newest_name = position.step, loaded.name
        return position, loaded

    def newest(self) -> LoadedGeneration:
        """The newest generation, verified.

        Raises:
            ObjectMissing: there is none, though one was published. Not retried.
        """
        loaded = self._store.newest_good()
        if loaded is None:
            raise ObjectMissing("checkpoint of a finished training")
        return loaded

    def skipped(self) -> list[str]:
        """What the last ``restore`` could not use, one phrase each."""
        return [str(item) for item in self._store.skipped]

    def _rank_parts(self) -> dict[str, bytes]:
        return dict(zip(state.rng_file_names(self._rank), state.rng_to_bytes(), strict=True))


def _shared_parts(stateful: Stateful, position: Position) -> dict[str, bytes]:
    scaler = stateful.scaler.state_dict() if stateful.scaler is not None else {}
    tensors, groups = state.optimizer_to_bytes(stateful.optimizer)
    return {
        state.MODEL_FILE: state.model_to_bytes(stateful.model),
        state.OPTIMIZER_TENSORS_FILE: tensors,
        state.OPTIMIZER_FILE: groups,
        state.TRAINER_FILE: position.to_bytes(stateful.schedule.state_dict(), scaler),
    }
