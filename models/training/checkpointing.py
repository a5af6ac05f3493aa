"""Between the trainer's objects and the checkpoint store: what is written, by which rank, and how it is put back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import Optimizer

from models.errors import ObjectMissing
from models.settings.train import CheckpointSettings
from models.store.checkpoints import CheckpointStore
from models.store.generations import LoadedGeneration
from models.store.mirrored import MirroredCheckpointStore
from models.training import state
from models.training.one_disk import loaded_by_first, parts_at_first
from models.training.schedule import Schedule
from models.training.state import Position

CLOSE_SECONDS = 300.0
"""Longest wait for an upload before a step [s]: the other ranks wait too, and give up after ``RANK_TIMEOUT``."""
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
        is_one_disk: Whether all of them see the folder of the checkpoints; otherwise only rank 0 reads and writes it.
    """

    def __init__(
        self,
        store: CheckpointStore,
        settings: CheckpointSettings,
        accelerator: Accelerator,
        rank: int,
        num_ranks: int,
        *,
        is_one_disk: bool = True,
    ) -> None:
        self._store = store
        self._settings = settings
        self._accelerator = accelerator
        self._rank = rank
        self._num_ranks = num_ranks
        self._is_one_disk = is_one_disk
        self._last_save = time.monotonic()
        self._last_step = 0
        self.seconds_saving = 0.0
        self.num_saved = 0
        self.newest_name: str | None = None
        """The newest generation that was published or restored."""
        self.problem: str | None = None
        """What went wrong when the last save removed old generations, if anything."""
        self.seconds_waiting = 0.0
        """That training stood still for uploads [s]; 0 without a mirror."""
        self._mirrored = store if isinstance(store, MirroredCheckpointStore) else None
        self._told_problem: str | None = None
        self._given_up_after: int | None = None

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
        if not self._is_one_disk:
            parts = parts_at_first(parts, self._num_ranks, self._accelerator.device)
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

    def keep_close(self, step: int, is_stopped: Callable[[], bool]) -> bool:
        """Before a step: wait for an upload that training must not leave further behind (``overlap_steps``).

        Args:
            step: Optimiser steps done.
            is_stopped: Ends the wait.

        Returns:
            False where the upload took too long: from now on training goes on ahead of it.

        Raises:
            HeadConflict: another writer owns the run. Not retried.
        """
        if self._mirrored is None or self._settings.overlap_steps is None:
            return True
        uploads = self._mirrored.uploads
        if self._given_up_after == uploads.num_uploads:
            return True  # nothing has arrived since
        started = time.monotonic()
        is_close = uploads.wait_for_older(step - self._settings.overlap_steps, CLOSE_SECONDS, is_stopped)
        self.seconds_waiting += time.monotonic() - started
        self._given_up_after = None if is_close else uploads.num_uploads
        return is_close

    def settle(self, deadline_seconds: float, is_stopped: Callable[[], bool] = lambda: False) -> bool:
        """Wait until all that was saved is in the mirror; whether it is. All ranks, together.

        Args:
            deadline_seconds: Longest wait [s].
            is_stopped: Ends the wait.

        Raises:
            HeadConflict: another writer owns the run. Not retried.
        """
        started = time.monotonic()
        is_settled = self._mirrored is None or self._mirrored.settle(deadline_seconds, is_stopped)
        self.seconds_waiting += time.monotonic() - started
        self._accelerator.wait_for_everyone()  # a rank that left alone would have the others ended
        return is_settled

    def upload_news(self) -> tuple[str, str] | None:
        """What has changed about uploads since the last call: a message and its level; ``None``: nothing."""
        problem = self._mirrored.problem if self._mirrored is not None else None
        if problem == self._told_problem:
            return None
        was_told, self._told_problem = self._told_problem is not None, problem
        if problem is None:
            return "checkpoints reach their mirror again", "info"
        # Each try words it anew; one warning is enough until it is mended.
        return None if was_told else (f"checkpoints are kept on this disk only: {problem}", "warning")

    def upload_record(self) -> dict[str, Any]:
        """What the record says of uploads; empty without a mirror."""
        if self._mirrored is None:
            return {}
        uploads = self._mirrored.uploads
        return {
            "num_uploads": uploads.num_uploads,
            "num_failed_uploads": uploads.num_failed,
            "seconds_uploading": round(uploads.seconds_uploading, 3),
            "seconds_waiting_for_uploads": round(self.seconds_waiting, 3),
            "upload_problem": self._mirrored.problem,
        }

    def restore(self, stateful: Stateful) -> tuple[Position | None, LoadedGeneration | None]:
        """Take over the run and put back its newest good generation; ``(None, None)`` where there is none."""
        if self._rank == 0:
            self._store.take_over()
        self._accelerator.wait_for_everyone()
        loaded = self._store.newest_good() if self._is_one_disk or self._rank == 0 else None
        if not self._is_one_disk:
            loaded = loaded_by_first(loaded, self._accelerator.device)
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
