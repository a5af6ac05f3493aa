"""What saving costs: ``python -m benchmarks.checkpoints [--data FOLDER]``.

The seed's model on the generated sample, checkpoints at the default interval and after each evaluation. The share is
taken twice: from ``record.json`` of a job that ran on its own, and from outside, by two trainings of the same steps in
one process, one of which saves nothing; they take turns step by step, so that a busy moment hits both. Bound: < 5 %.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from benchmarks.tiny_data import write_tiny_data
from models.jobs.contract import RECORD_FILE, JobContext
from models.jobs.events import EventStream
from models.settings.gnn import GnnSettings
from models.settings.train import ComputeSettings, TrainSettings
from models.training.gnn import GraphObjective
from models.training.job import assemble, resume
from models.training.objective import Objective
from models.training.order import epoch_order, step_records
from models.training.process import open_process
from models.training.trainer import Trainer

NUM_FUNCTIONS = 1800
MAX_SHARE = 0.05


@dataclass
class Share:
    """Seconds that went into saving, of those that training took.

    Args:
        saving: In all saves [s].
        training: From the first step to the last checkpoint [s].
        num_saves: Checkpoints made.
    """

    saving: float
    training: float
    num_saves: int

    @property
    def value(self) -> float:
        """The share."""
        return self.saving / self.training


def recorded_share(settings: TrainSettings, folder: Path) -> Share:
    """By the clocks of a job of its own."""
    job_path, run_path = folder / "job.json", folder / "recorded"
    job_path.write_text(settings.model_dump_json())
    command = [sys.executable, "-m", "models", str(job_path), f"--run-dir={run_path}", f"--runs={folder}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    record: dict[str, Any] = json.loads((run_path / RECORD_FILE).read_bytes())["attempts"][-1]
    return Share(record["seconds_saving"], record["seconds_training"], record["num_checkpoints"])


def measured_share(settings: TrainSettings, folder: Path) -> tuple[Share, bool]:
    """By wall time against the same steps without saving, and whether both went through the same steps."""
    saving, idle = (open_trainer(settings, folder / name) for name in ("saving", "idle"))
    seconds = {id(saving): 0.0, id(idle): 0.0}
    with patch.object(idle.checkpointing, "save"):
        for epoch in range(settings.model.epochs):
            # Who goes first changes, so that what one leaves in the caches or the disk's queue favours neither.
            both = (saving, idle) if epoch % 2 == 0 else (idle, saving)
            for _ in range(saving.num_steps):
                for trainer in both:
                    seconds[id(trainer)] += seconds_of_step(trainer)
            for trainer in both:
                started = time.perf_counter()
                trainer.finish_epoch()
                seconds[id(trainer)] += time.perf_counter() - started
    with_saving, without = seconds[id(saving)], seconds[id(idle)]
    share = Share(with_saving - without, with_saving, saving.checkpointing.num_saved)
    return share, saving.position.sample_digest == idle.position.sample_digest


def seconds_of_step(trainer: Trainer) -> float:
    """One turn of ``Trainer.train_epoch``."""
    started = time.perf_counter()
    position = trainer.position
    order = epoch_order(len(trainer.train), seed=trainer.seed, epoch=position.epoch)
    records = step_records(order, step_in_epoch=position.step_in_epoch, batch_size=position.batch_size)
    _, save = trainer.step(records)
    if save and position.step_in_epoch < trainer.num_steps:
        trainer.save()
    return time.perf_counter() - started


def open_trainer(settings: TrainSettings, run_path: Path) -> Trainer:
    """The trainer of a job, before its first step."""
    run_path.mkdir()
    context = JobContext(run_path, run_path, EventStream(run_path / "progress.jsonl", None))
    accelerator = open_process(settings.compute, context)
    trainer = assemble(settings, context, accelerator, cast(type[Objective], GraphObjective))
    resume(trainer, time.monotonic())
    trainer.pace.started = time.monotonic()
    return trainer


def report(shares: dict[str, Share], folder: Path) -> bool:
    """Print the table; whether both shares are below the bound."""
    print("                        training   saves  ms/save  share of training time")
    for name, share in shares.items():
        verdict = "ok" if share.value < MAX_SHARE else "MISSED"
        print(
            f"  {name:<20} {share.training:8.1f} s {share.num_saves:6d} {1000 * share.saving / share.num_saves:8.1f}"
            f"  {100 * share.value:5.1f} %  (< {100 * MAX_SHARE:g} %)  {verdict}"
        )
    newest = max((folder / "saving" / "checkpoints").glob("step-*"))
    num_bytes = sum(path.stat().st_size for path in newest.iterdir())
    print(f"  a checkpoint holds {num_bytes / 1e6:.1f} MB")
    return all(share.value < MAX_SHARE for share in shares.values())


def main(argv: Sequence[str] | None = None) -> int:
    """Print both shares; 1 when one misses the bound."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.checkpoints", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--data", type=Path, help="folder with train.jsonl and valid.jsonl of a preprocess run")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of each training [epochs]")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="codewarden-checkpoints-") as name:
        folder = Path(name)
        data_path = arguments.data
        if data_path is None:
            data_path = folder / "data"
            write_tiny_data(data_path, NUM_FUNCTIONS)
        settings = TrainSettings(
            train_data=data_path / "train.jsonl",
            val_data=data_path / "valid.jsonl",
            model=GnnSettings(epochs=arguments.epochs, early_stopping_patience=arguments.epochs),
            compute=ComputeSettings(device="cpu", precision="off"),
        )
        recorded = recorded_share(settings, folder)
        measured, same_steps = measured_share(settings, folder)
        print(
            f"{arguments.epochs} epochs, a checkpoint every {settings.checkpoints.every_seconds:g} s "
            "and after each evaluation"
        )
        held = report({"record.json": recorded, "against no saving": measured}, folder)
    if not same_steps:
        print("  the two trainings did not take the same steps  MISSED")
    return int(not (held and same_steps))


if __name__ == "__main__":
    sys.exit(main())
