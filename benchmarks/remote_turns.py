"""Four trainings of the same steps in one process, each with its own way of saving, taking turns step by step."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from benchmarks.checkpoints import seconds_of_step
from benchmarks.local_aws import LocalAws
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.train import CheckpointSettings, TrainSettings
from models.store.s3 import S3Uri, open_s3
from models.training.gnn import GraphObjective
from models.training.job import assemble, resume
from models.training.objective import Objective
from models.training.process import open_process
from models.training.trainer import Trainer

NEVER_SECONDS = 1e9
SETTLE_SECONDS = 120.0
NUM_SAVES_BEFORE = 3
"""So that older generations are removed by every save that is measured."""
MOST_AHEAD_STEPS = 100
"""Ends the turn of who is always sending, because it saves more often than it can send."""
NO_SAVING, DISK, MIRRORED, IN_STEP = "no saving", "this disk only", "and S3", "and S3, waited for"


@dataclass(eq=False)
class Side:
    """One of the trainings that take turns.

    Args:
        name: What it does about saving.
        trainer: The training; its own clock for intervals is off.
        seconds: It has trained for so long [s].
        saved_at_seconds: ``seconds`` at its last checkpoint [s].
    """

    name: str
    trainer: Trainer
    seconds: float = 0.0
    saved_at_seconds: float = 0.0

    @property
    def step(self) -> int:
        """Steps done."""
        return self.trainer.position.step

    @property
    def stalled_seconds(self) -> float:
        """Its training thread was saving, or waiting for an upload, by its own clock [s]."""
        return self.trainer.checkpointing.seconds_saving + self.trainer.checkpointing.seconds_waiting

    @property
    def is_sending(self) -> bool:
        """Whether an upload of it is on its way."""
        return not self.trainer.checkpointing.settle(0)

    def take_turn(self, interval_seconds: float) -> None:
        """One step, with the evaluation and the checkpoint that are due after it, as ``Trainer.fit`` has them."""
        self.seconds += seconds_of_step(self.trainer)
        started = time.perf_counter()
        if self.trainer.position.step_in_epoch == self.trainer.num_steps:
            self.trainer.finish_epoch()
        elif self.seconds - self.saved_at_seconds >= interval_seconds:
            self.trainer.save()
        else:
            return
        self.seconds += time.perf_counter() - started
        self.saved_at_seconds = self.seconds

    def begin(self) -> None:
        """Set all clocks and counters to 0."""
        self.seconds = self.saved_at_seconds = 0.0
        checkpointing = self.trainer.checkpointing
        checkpointing.seconds_saving = checkpointing.seconds_waiting = 0.0
        checkpointing.num_saved = 0


@dataclass(frozen=True)
class Stall:
    """What saving cost one side.

    Args:
        name: Of the side.
        seconds: It trained for so long [s].
        num_saves: Checkpoints made.
        stalled_seconds: By the clock of its training thread [s].
        extra_seconds: Beyond the side that saved nothing [s].
        last_wait_seconds: From the last step to the end of the last upload [s].
    """

    name: str
    seconds: float
    num_saves: int
    stalled_seconds: float
    extra_seconds: float
    last_wait_seconds: float

    @property
    def save_seconds(self) -> float:
        """That a checkpoint stalls training, by the training thread's own clock [s]."""
        return self.stalled_seconds / self.num_saves

    @property
    def extra_save_seconds(self) -> float:
        """That a checkpoint makes training longer, against the same steps without saving [s]."""
        return self.extra_seconds / self.num_saves


@dataclass(frozen=True)
class Turns:
    """What the four sides did.

    Args:
        stalls: Of the sides that save.
        num_steps: Steps of each side.
        same_steps: Whether all went through the same steps.
        requests: Requests to S3 of one checkpoint, the removal of an older one included, by HTTP method.
        checkpoint_bytes: Size of a checkpoint [bytes].
    """

    stalls: dict[str, Stall]
    num_steps: int
    same_steps: bool
    requests: Counter[str]
    checkpoint_bytes: int


def take_turns(
    aws: LocalAws,
    settings: TrainSettings,
    folder: Path,
    *,
    seconds: float,
    interval_seconds: float,
) -> Turns:
    """Train the same steps four times, each with its own way of saving.

    Whoever's upload is on its way keeps the turn, so that its cost falls on nobody else; the others catch up.

    Args:
        aws: Where S3 is.
        settings: The training.
        folder: For the run directories.
        seconds: How long the side that saves nothing trains [s].
        interval_seconds: Between checkpoints, by each side's own clock [s].
    """
    never = CheckpointSettings(every_seconds=NEVER_SECONDS)
    settings = settings.model_copy(update={"checkpoints": never, "log_every_seconds": NEVER_SECONDS})
    with contextlib.ExitStack() as patches:
        sides = [open_side(name, aws, settings, folder) for name in (NO_SAVING, DISK, MIRRORED, IN_STEP)]
        none, _, mirrored, in_step = sides
        patches.enter_context(patch.object(none.trainer.checkpointing, "save"))
        patches.enter_context(waiting_for_uploads(in_step.trainer))
        requests = [warm_up(side, aws) for side in sides][sides.index(mirrored)]
        num_last = num_steps_within(sides, seconds, interval_seconds)
        waits = {side.name: last_wait(side) for side in sides}
    stalls = {
        side.name: Stall(
            side.name,
            side.seconds,
            side.trainer.checkpointing.num_saved,
            side.stalled_seconds - waits[side.name],
            side.seconds - none.seconds,
            waits[side.name],
        )
        for side in sides
        if side is not none
    }
    digests = {side.trainer.position.sample_digest for side in sides}
    return Turns(stalls, num_last - NUM_SAVES_BEFORE, len(digests) == 1, requests, newest_bytes(folder / DISK))


def open_side(name: str, aws: LocalAws, settings: TrainSettings, folder: Path) -> Side:
    """A training before its first step."""
    run_path = folder / name
    run_path.mkdir(parents=True)
    mirror = None
    if name in (MIRRORED, IN_STEP):
        mirror = open_s3(S3Uri(aws.bucket, "turns") / name.replace(" ", "-"), region=aws.region)
    context = JobContext(run_path, run_path, EventStream(run_path / "progress.jsonl", None), mirror=mirror)
    accelerator = open_process(settings.compute, context)
    trainer = assemble(settings, context, accelerator, cast(type[Objective], GraphObjective))
    resume(trainer, time.monotonic())
    trainer.pace.started = time.monotonic()
    return Side(name, trainer)


@contextlib.contextmanager
def waiting_for_uploads(trainer: Trainer) -> Iterator[None]:
    """Each save returns when its generation is in S3: what uploading on the training thread costs."""
    checkpointing = trainer.checkpointing
    save = checkpointing.save

    def save_and_wait(*arguments: Any, **named: Any) -> None:
        save(*arguments, **named)
        checkpointing.settle(SETTLE_SECONDS)

    with patch.object(checkpointing, "save", save_and_wait):
        yield


def warm_up(side: Side, aws: LocalAws) -> Counter[str]:
    """A few steps, each saved and sent; the requests of the last checkpoint. Clocks begin afterwards."""
    before = aws.s3_requests()
    for _ in range(NUM_SAVES_BEFORE):
        before = aws.s3_requests()
        seconds_of_step(side.trainer)
        side.trainer.save()
        side.trainer.settle()
    side.begin()
    return aws.s3_requests() - before


def num_steps_within(sides: Sequence[Side], seconds: float, interval_seconds: float) -> int:
    """Take turns until the first side has trained for so long and the others have done as many steps."""
    last_step = None
    current = sides[0]
    while True:
        if last_step is None and sides[0].seconds >= seconds:
            last_step = max(side.step for side in sides)
        behind = [side for side in sides if last_step is None or side.step < last_step]
        if last_step is not None and not behind:
            return last_step
        is_far_ahead = current.step - min(side.step for side in behind) >= MOST_AHEAD_STEPS
        if current not in behind or is_far_ahead or not current.is_sending:
            current = next_side(behind, sides)
        current.take_turn(interval_seconds)


def next_side(behind: Sequence[Side], sides: Sequence[Side]) -> Side:
    """Whoever has done least; who goes first changes, so that what one leaves in the caches favours nobody."""
    least = min(side.step for side in behind)
    rotated = itertools.islice(itertools.cycle(sides), least % len(sides), least % len(sides) + len(sides))
    return next(side for side in rotated if side in behind and side.step == least)


def last_wait(side: Side) -> float:
    """Wait for the last upload, as training does once, at its end [s]."""
    waited_seconds = side.trainer.checkpointing.seconds_waiting
    side.trainer.settle()
    return side.trainer.checkpointing.seconds_waiting - waited_seconds


def newest_bytes(run_path: Path) -> int:
    """Size of the newest checkpoint of a run [bytes]."""
    newest = max((run_path / "checkpoints").glob("step-*"))
    return sum(path.stat().st_size for path in newest.iterdir())
