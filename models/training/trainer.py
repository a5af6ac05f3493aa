"""The loop. ``fit`` reads as prose; what a step, an evaluation and a checkpoint are stands below it.

Everything random or ordered is a function of seed, epoch and step, or is in the checkpoint; so a run that is killed
anywhere and started again ends with the same bytes.
"""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from accelerate import Accelerator
from torch import distributed
from torch.optim import Optimizer

from models.errors import Interrupted, MemoryExhausted, NumericsError
from models.jobs.contract import JobContext
from models.settings.optimisation import Optimisation
from models.store.crash_points import EVALUATION, MID_STEP, reached
from models.training import state
from models.training.checkpointing import CLOSE_SECONDS, PROGRESS_KEY, Checkpointing, Stateful
from models.training.gradients import FlatGradients
from models.training.memory import is_out_of_memory, least_budget
from models.training.objective import Examples, Objective
from models.training.order import Floats, Indices, epoch_order, num_steps_in_epoch, rank_share, step_records
from models.training.state import Position

NUM_EXTRA = 4
LOSS, STOP, SAVE, OUT_OF_MEMORY = range(NUM_EXTRA)
"""Numbers that travel with the gradient: all ranks learn of them in the one all-reduce of a step."""
LEAST_SCALE = 1.0
"""Of fp16 losses: below it scaling makes gradients smaller, which cannot be what overflows them."""
SHARE_OF_NOTICE = 0.8
"""Of the time between being told to leave and being killed, for the last upload; the rest is for record and outcome."""
SETTLE_SECONDS = 300.0
"""Longest wait for the last upload after training [s]; the results that follow say more than a checkpoint."""


@dataclass
class Pace:
    """Clocks and counters of this attempt; never in a checkpoint."""

    log_every_seconds: float
    started: float = 0.0
    last_told: float = 0.0
    num_records: int = 0
    num_steps: int = 0
    seconds_evaluating: float = 0.0


@dataclass
class Trainer:
    """One run of training.

    Args:
        objective: The model and how it learns.
        settings: Optimisation, with everything resolved.
        seed: Base seed.
        train: Records to learn from.
        draw_weights: By which an epoch draws them; ``None``: each once.
        val: Records to evaluate on.
        stateful: Model, optimiser, schedule and scaler.
        gradients: The flat buffer behind the parameters' gradients.
        checkpointing: Saves and restores.
        accelerator: Device, precision, ranks.
        context: Events, stop flag, rank.
        pace: Clocks.
        position: Where training is.
        told_of_records: What the result says of the choice of records.
    """

    objective: Objective
    settings: Optimisation
    seed: int
    train: Examples
    draw_weights: Floats | None
    val: Examples
    stateful: Stateful
    gradients: FlatGradients
    checkpointing: Checkpointing
    accelerator: Accelerator
    context: JobContext
    pace: Pace
    position: Position
    told_of_records: dict[str, Any]

    def fit(self) -> Position:
        """Train to the end from wherever the position is.

        Raises:
            Interrupted: asked to stop, be it after the last step; a checkpoint was made. Retried.
            NumericsError: loss or gradient is not finite. Not retried.
        """
        self.pace.started = time.monotonic()
        while not self.position.finished:
            self.context.events.phase("train")
            self.train_epoch()
            self.context.events.phase("eval")
            self.finish_epoch()
            if self._is_told_to_leave():
                self.depart()
        self.settle()
        return self.position

    def train_epoch(self) -> None:
        """The steps of the present epoch that are not done yet."""
        order = epoch_order(len(self.train), seed=self.seed, epoch=self.position.epoch, draw_weights=self.draw_weights)
        while self.position.step_in_epoch < self.num_steps:
            records = step_records(
                order, step_in_epoch=self.position.step_in_epoch, batch_size=self.position.batch_size
            )
            self.keep_close()
            stop, save = self.step(records)
            if stop:
                self.leave()
            if save and self.position.step_in_epoch < self.num_steps:
                self.save()

    def step(self, records: Indices) -> tuple[bool, bool]:
        """One optimiser step over exactly ``records``; gives whether any rank wants to stop, and rank 0 to save."""
        while not self._summed_gradients(records):
            self._halve_micro_batches()
        reached(MID_STEP)
        loss = float(self.gradients.extra[LOSS])
        self._update(loss, records)
        self._advance(loss, records)
        return bool(self.gradients.extra[STOP]), bool(self.gradients.extra[SAVE])

    def finish_epoch(self) -> None:
        """Evaluate, remember, move the learning rate, decide whether to go on, and save all of it at once."""
        started = time.monotonic()
        metrics = self.evaluate()
        score = metrics.pop("selection")
        position = self.position
        train_loss = position.loss_sum / self.num_steps
        learning_rate = self.stateful.optimizer.param_groups[0]["lr"]
        entry = {"epoch": position.epoch, "step": position.step, "train_loss": train_loss, **metrics}
        position.history.append({**entry, "learning_rate": learning_rate})
        position.sample_digests.append(position.sample_digest)
        self.stateful.schedule.after_evaluation(score)
        self._judge(score)
        position.epoch, position.step_in_epoch, position.loss_sum = position.epoch + 1, 0, 0.0
        self.context.events.emit("epoch", num_epochs=self.settings.epochs, **position.history[-1])
        self.pace.seconds_evaluating += time.monotonic() - started
        self.context.events.phase("save")
        self.save()

    def evaluate(self) -> dict[str, float]:
        """Validation metrics, each rank scoring its share of the records."""
        everything = np.arange(len(self.val), dtype=np.int64)
        own = rank_share(everything, rank=self.context.rank, num_ranks=self.context.num_ranks)
        with self.accelerator.autocast():
            own_scores = self.objective.scores(self.val, own, budget=self.position.micro_budget)
        reached(EVALUATION)
        scores = torch.zeros(len(self.val), own_scores.shape[1])
        scores[torch.from_numpy(own)] = own_scores
        if distributed.is_initialized():
            scores = scores.to(self.accelerator.device)
            distributed.all_reduce(scores)  # each row is one rank's score plus zeros: exact
        return self.objective.metrics(self.val, scores.cpu().numpy())

    def save(self) -> None:
        """Make a checkpoint of the present position."""
        told = {PROGRESS_KEY: self.context.events.offset_bytes()}
        self.checkpointing.save(self.stateful, self.position, beside=told)
        if self.checkpointing.problem is not None:
            self.context.events.notice(f"old checkpoints not removed: {self.checkpointing.problem}", "warning")
        self._tell_uploads()

    def leave(self) -> NoReturn:
        """Make a checkpoint, and depart with it.

        Raises:
            Interrupted: always. Retried.
        """
        leaving_since = time.monotonic()
        self.save()
        self.depart(time.monotonic() - leaving_since)

    def depart(self, leaving_seconds: float = 0.0) -> NoReturn:
        """Bring the newest checkpoint to the mirror, as far as the notice allows, and end.

        Args:
            leaving_seconds: Since this rank knows that it must leave; the signal may have come to another one [s].

        Raises:
            Interrupted: always. Retried.
        """
        gone_seconds = max(self.context.seconds_since_stop(), leaving_seconds)
        if not self.checkpointing.settle(max(0.0, SHARE_OF_NOTICE * self.context.notice_seconds - gone_seconds)):
            self.context.events.notice("left before the last checkpoint had reached its mirror", "warning")
        raise Interrupted(self.position.step)

    def keep_close(self) -> None:
        """Before a step: wait for uploads as far as the settings ask, and say where that took too long."""
        if not self.checkpointing.keep_close(self.position.step, self.context.stop_requested):
            self.context.events.notice(
                f"an upload has not ended for {CLOSE_SECONDS:.0f} s: training goes on ahead of it, further than "
                "checkpoints.overlap_steps allows",
                "warning",
            )

    def settle(self) -> None:
        """After the last step: wait for what is on its way to the mirror, and say what did not arrive."""
        if not self.checkpointing.settle(SETTLE_SECONDS, self.context.stop_requested):
            self.context.events.notice("training ended before its last checkpoint had reached its mirror", "warning")
        self._tell_uploads()

    @property
    def num_steps(self) -> int:
        """Optimiser steps of an epoch."""
        return num_steps_in_epoch(len(self.train), self.position.batch_size)

    def _is_told_to_leave(self) -> bool:
        """Whether any rank was asked to leave since the last step. All ranks, together."""
        asked = torch.tensor(float(self.context.stop_requested()), device=self.accelerator.device)
        if distributed.is_initialized():
            distributed.all_reduce(asked)
        return bool(asked)

    def _summed_gradients(self, records: Indices) -> bool:
        """Gradient, loss and flags summed over all ranks; false where memory did not suffice on any of them.

        A rank that runs out of memory meets the others in the all-reduce all the same, or they would wait for it for
        ever; and nothing of the try is left, random states included.
        """
        random_states = state.torch_random_states()
        self.gradients.clear()
        fits = self._fits(records)
        self.gradients.extra[STOP] = float(self.context.stop_requested())
        is_due = self.context.rank == 0 and self.checkpointing.is_due(self.position.step + 1)
        self.gradients.extra[SAVE] = float(is_due)
        self.gradients.extra[OUT_OF_MEMORY] = float(not fits)
        self.gradients.sum_over_ranks()
        all_fit = not self.gradients.extra[OUT_OF_MEMORY]
        if not all_fit:
            state.restore_torch_random_states(random_states)
        return all_fit

    def _fits(self, records: Indices) -> bool:
        """Backward, unless memory does not suffice; what the try had allocated is free when this returns."""
        try:
            self._backward(records)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return False
        return True

    def _halve_micro_batches(self) -> None:
        """Go on with half the budget, on all ranks: state from now on, which only a run that ran out of memory has."""
        position, smallest = self.position, least_budget(self.train)
        if position.micro_budget <= smallest:
            raise MemoryExhausted(step=position.step, budget=position.micro_budget)
        torch.cuda.empty_cache()
        position.micro_budget = max(position.micro_budget // 2, smallest)
        position.halvings.append([position.step, position.micro_budget])
        self.context.events.notice(
            f"out of memory at step {position.step}: micro-batches hold {position.micro_budget} from here on. The step "
            "is the same, but this run's bytes may differ from one with enough memory",
            "warning",
        )

    def _backward(self, records: Indices) -> None:
        """Gradients of this rank's share; the loss is normalised over the weights of the whole step."""
        total_weight = float(self.train.weights[records].sum())
        if not (math.isfinite(total_weight) and total_weight > 0):
            raise self._not_finite(f"mean loss over a total weight of {total_weight:g}", records)
        own = rank_share(records, rank=self.context.rank, num_ranks=self.context.num_ranks)
        parts = self.objective.step_parts(
            self.train, records, own=own, budget=self.position.micro_budget, total_weight=total_weight
        )
        scaler = self.stateful.scaler
        while True:
            with self.accelerator.autocast():
                part = next(parts, None)
            if part is None:
                return
            surrogate = scaler.scale(part.surrogate) if scaler is not None else part.surrogate
            surrogate.backward()  # type: ignore[no-untyped-call]
            self.gradients.extra[LOSS] += part.loss

    def _update(self, loss: float, records: Indices) -> None:
        """Clip and step; a loss that is no number ends training before it can spoil the weights."""
        if not math.isfinite(loss):
            raise self._not_finite("loss", records)
        scaler, optimizer = self.stateful.scaler, self.stateful.optimizer
        if scaler is not None:
            if not self._scaled_update(scaler, optimizer):
                if scaler.get_scale() < LEAST_SCALE:
                    raise self._not_finite("gradient", records)
                return
        else:
            norm = self.gradients.clip(self.settings.max_grad_norm)
            if not math.isfinite(float(norm)):
                raise self._not_finite("gradient", records)
            optimizer.step()
        self.stateful.schedule.after_step()

    def _scaled_update(self, scaler: torch.amp.GradScaler, optimizer: Optimizer) -> bool:
        """Step where the scaled gradient did not overflow; whether it did not.

        A few steps are lost while the scale is found. One that falls below 1 means that the gradient itself is not
        finite, at any scale.
        """
        before = scaler.get_scale()
        scaler.unscale_(optimizer)
        self.gradients.clip(self.settings.max_grad_norm)
        scaler.step(optimizer)
        scaler.update()
        stepped = scaler.get_scale() >= before
        self.position.num_skipped_steps += not stepped
        return stepped

    def _not_finite(self, what: str, records: Indices) -> NumericsError:
        ids = [self.train.ids[record] for record in records]
        return NumericsError(what, step=self.position.step, record_ids=ids, checkpoint=self.checkpointing.newest_name)

    def _advance(self, loss: float, records: Indices) -> None:
        position = self.position
        position.step += 1
        position.step_in_epoch += 1
        position.loss_sum += loss
        chained = position.sample_digest.encode() + records.astype("<i8").tobytes()
        position.sample_digest = hashlib.sha256(chained).hexdigest()
        self.pace.num_records += len(records)
        self.pace.num_steps += 1
        self._tell_step(loss)

    def _tell_uploads(self) -> None:
        news = self.checkpointing.upload_news()
        if news is not None:
            self.context.events.notice(*news)

    def _tell_step(self, loss: float) -> None:
        now = time.monotonic()
        if now - self.pace.last_told < self.pace.log_every_seconds:
            return
        self.pace.last_told = now
        self.context.events.emit(
            "step",
            step=self.position.step,
            num_steps=self.num_steps * self.settings.epochs,
            epoch=self.position.epoch,
            loss=loss,
            samples_per_second=round(self.pace.num_records / max(now - self.pace.started, 1e-9), 2),
        )

    def _judge(self, score: float) -> None:
        """Best so far, patience, and whether training has ended."""
        position = self.position
        if position.best_step is None or score > position.best_score + self.settings.early_stopping_delta:
            position.best_score, position.best_step, position.num_bad_evaluations = score, position.step, 0
        else:
            position.num_bad_evaluations += 1
        if position.num_bad_evaluations >= self.settings.early_stopping_patience:
            position.finished, position.stop_reason = True, "early stopping"
        elif position.epoch + 1 >= self.settings.epochs:
            position.finished, position.stop_reason = True, "all epochs done"
