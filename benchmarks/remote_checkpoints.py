"""What saving to S3 costs: ``python -m benchmarks.remote_checkpoints [--data FOLDER]``.

Each request to S3 takes 100 ms longer; checkpoints at the default interval and after each evaluation. Four trainings
of the same steps in one process take turns step by step: without saving, on this disk only, with a mirror in S3, and
with the same mirror uploaded to on the training thread. Then a small graph network and a small transformer as jobs of
their own, by their records, with starts on empty disks. Bounds: training stands still for < 2 % of its time (the
training thread's own clock, and against no saving), < 5 s from the end of from imports to the first step.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from benchmarks.local_aws import LocalAws
from benchmarks.remote_jobs import JobFigures, run_job
from benchmarks.remote_turns import IN_STEP, MIRRORED, Turns, take_turns
from benchmarks.tiny_data import write_tiny_data
from models.settings.gnn import GnnSettings
from models.settings.train import CheckpointSettings, ComputeSettings, TrainSettings
from models.settings.transformer import TransformerSettings

LATENCY_SECONDS = 0.1
MAX_SHARE = 0.02
MAX_START_SECONDS = 5.0
NUM_FUNCTIONS = 5000
NUM_SHORT_FUNCTIONS = 800
HIDDEN_DIM = 512
"""Twice the default, so that a checkpoint has the size of those that are worth a Spot machine."""
INTERVAL_SECONDS = CheckpointSettings().every_seconds
TURNS_INTERVAL_SECONDS = INTERVAL_SECONDS / 6


def share(save_seconds: float) -> float:
    """Share of training that a checkpoint takes at the default interval."""
    return save_seconds / (INTERVAL_SECONDS + save_seconds)


def report_turns(turns: Turns) -> bool:
    """Print what the four sides did; whether the mirrored one kept the bound."""
    size = f"{turns.checkpoint_bytes / 1e6:.1f} MB"
    print(f"graph network, {turns.num_steps} same steps four times, taking turns; a checkpoint holds {size}")
    print("  saved to             training  saves     own clock          against no saving   last wait")
    for stall in turns.stalls.values():
        own, extra = (
            f"{1000 * each:.0f} ms {100 * share(each):5.2f} %"
            for each in (stall.save_seconds, stall.extra_save_seconds)
        )
        print(
            f"  {stall.name:<19} {stall.seconds:7.1f} s {stall.num_saves:6d} {own:>17} {extra:>23}"
            f" {stall.last_wait_seconds:9.2f} s"
        )
    mirrored, in_step = turns.stalls[MIRRORED], turns.stalls[IN_STEP]
    ratio = in_step.save_seconds / mirrored.save_seconds
    print(f"  waiting for its upload, a checkpoint stalls training {ratio:.1f} times as long")
    print(f"  a checkpoint makes {told(turns.requests)}")
    seconds = {"own clock": mirrored.save_seconds, "against no saving": mirrored.extra_save_seconds}
    held = [
        told_bound(f"{MIRRORED}, {name}", 100 * share(each), 100 * MAX_SHARE, "%") for name, each in seconds.items()
    ]
    if not turns.same_steps:
        print("  the four trainings did not take the same steps  MISSED")
    return all(held) and turns.same_steps


def report_job(name: str, job: JobFigures) -> bool:
    """Print what a job of its own says; whether both bounds were kept."""
    record = job.record
    size = f"{job.checkpoint_bytes / 1e6:.1f} MB"
    print(f"{name}, a job of its own, resumed on an empty disk; a checkpoint holds {size}")
    print(
        f"  training {job.training_seconds:.1f} s, {record['num_checkpoints']} saves, {record['num_uploads']} uploads "
        f"in {record['seconds_uploading']:.1f} s ({record['num_failed_uploads']} failed), "
        f"then {job.last_wait_seconds:.2f} s for the last one ({100 * job.share_with_last_wait:.2f} % with it)"
    )
    held = [told_bound("record.json, stalled", 100 * job.share, 100 * MAX_SHARE, "%")]
    for start in job.starts:
        print(f"  a start makes {told(start.requests)}; its first gradients take {start.step_seconds:.2f} s more")
        held.append(told_bound("from imports to the first step", start.seconds, MAX_START_SECONDS, "s"))
    return all(held)


def told_bound(name: str, value: float, bound: float, unit: str) -> bool:
    """Print a value beside its bound; whether it is below."""
    print(f"  {name:<36} {value:6.2f} {unit}  (< {bound:g} {unit})  {'ok' if value < bound else 'MISSED'}")
    return value < bound


def told(requests: Counter[str]) -> str:
    """Requests in words."""
    methods = ", ".join(f"{method} {number}" for method, number in sorted(requests.items()))
    return f"{requests.total()} requests to S3 ({methods})"


def main(argv: Sequence[str] | None = None) -> int:
    """Print all tables; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.remote_checkpoints", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--data", type=Path, help="folder with train.jsonl and valid.jsonl of a preprocess run")
    parser.add_argument("--seconds", type=float, default=60, help="training of the side that saves nothing [s]")
    parser.add_argument("--epochs", type=int, default=5, help="epochs of the graph network's own job [epochs]")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="codewarden-remote-checkpoints-") as name:
        folder = Path(name)
        data_path = arguments.data
        if data_path is None:
            data_path = folder / "data"
            write_tiny_data(data_path, NUM_FUNCTIONS)
        write_tiny_data(folder / "short", NUM_SHORT_FUNCTIONS)
        with LocalAws(folder / "aws", latency_seconds=LATENCY_SECONDS, twin=False) as aws:
            with patch.dict(os.environ, aws.environment):
                print(f"S3 answers {1000 * LATENCY_SECONDS:g} ms late; the default interval is {INTERVAL_SECONDS:g} s")
                turns = take_turns(
                    aws,
                    graph_network(data_path, 99),
                    folder,
                    seconds=arguments.seconds,
                    interval_seconds=TURNS_INTERVAL_SECONDS,
                )
                held = [report_turns(turns)]
                sys.stdout.flush()
            jobs = {
                "graph network": graph_network(data_path, arguments.epochs),
                "transformer": small_transformer(folder / "short"),
            }
            for job_name, settings in jobs.items():
                held.append(report_job(job_name, run_job(aws, settings, folder / job_name.replace(" ", "-"))))
                sys.stdout.flush()
    return int(not all(held))


def graph_network(data_path: Path, epochs: int) -> TrainSettings:
    """A graph network with checkpoints of 18 MB."""
    model = GnnSettings(hidden_dim=HIDDEN_DIM, epochs=epochs, early_stopping_patience=epochs)
    return _training(data_path, model)


def small_transformer(data_path: Path) -> TrainSettings:
    """The encoder that is trained from nothing, at its defaults, for an epoch."""
    return _training(data_path, TransformerSettings(pretrained="off", epochs=1, learning_rate=1e-4))


def _training(data_path: Path, model: GnnSettings | TransformerSettings) -> TrainSettings:
    return TrainSettings(
        train_data=data_path / "train.jsonl",
        val_data=data_path / "valid.jsonl",
        tokenizer=None if isinstance(model, GnnSettings) else data_path / "tokenizer",
        model=model,
        compute=ComputeSettings(device="cpu", precision="off"),
    )


if __name__ == "__main__":
    sys.exit(main())
