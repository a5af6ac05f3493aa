"""Our engine beside a plain PyTorch Geometric loop: ``python -m benchmarks.gnn [--data FOLDER]``.

The same model, records, batch size, threads and precision (fp32). Ours is the trainer's own step: node budget, flat
gradients, clipping, optimiser, sample log, events. The loops take turns step by step, so that a busy moment hits all of
them, and the ratios are taken within an epoch. That both are the same network is checked first (copied weights, equal
logits), and that a step does the same to it (no dropout, equal batches, equal losses step after step). Then both train
with several seeds of their own, the typed architecture beside them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import cast

import numpy as np
from torch import Tensor

from benchmarks.plain_pyg import PlainTraining, plain_graphs
from benchmarks.side_by_side import OurTraining, Training, excess_allowed, held, spread
from benchmarks.tiny_data import write_tiny_data
from models.evaluation.metrics import auroc, ranking_of, steps_of
from models.settings.gnn import GnnSettings
from models.settings.train import ComputeSettings, TrainSettings
from models.training.gnn import GraphObjective
from models.training.objective import Objective
from models.training.trainer import Trainer

NUM_FUNCTIONS = 1800
MIN_SPEEDUP = 1.2
MAX_LOGIT_DIFFERENCE = 1e-5
NUM_LOCKSTEPS = 6
MAX_LOCKSTEP_DIFFERENCE = 1e-5
"""Of any step's loss [nats]. Rounding doubles with each further step: Adam makes much of gradients near zero."""
MAX_LOSS_EXCESS = 0.02
"""Validation loss that ours may stand above the plain loop's where the seeds scatter less than that [nats]."""


@dataclass
class Outcome:
    """What is known of one kind of training after all seeds.

    Args:
        seconds: Of each epoch, all seeds; the first of each seed is left out, it warms up.
        losses: Validation loss after the last epoch, one a seed.
        f1s: F1 of label 1, likewise.
        aurocs: Area under the ROC curve, likewise.
    """

    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    f1s: list[float] = field(default_factory=list)
    aurocs: list[float] = field(default_factory=list)


def train_side_by_side(trainings: dict[str, Training], epochs: int, num_steps: int) -> dict[str, list[float]]:
    """Lead all through the same number of steps, one step each in turn; seconds of every epoch."""
    seconds: dict[str, list[float]] = {name: [] for name in trainings}
    for _ in range(epochs):
        spent = dict.fromkeys(trainings, 0.0)
        for step in range(num_steps):
            for name, training in trainings.items():
                started = time.perf_counter()
                if step == 0:
                    training.begin_epoch()
                training.step()
                spent[name] += time.perf_counter() - started
        for name, took in spent.items():
            seconds[name].append(took)
    return seconds


def our_training(data_path: Path, run_path: Path, model: GnnSettings, *, seed: int, num_threads: int) -> OurTraining:
    """The job on one set of records."""
    settings = TrainSettings(
        train_data=data_path / "train.jsonl",
        val_data=data_path / "valid.jsonl",
        model=model,
        seed=seed,
        compute=ComputeSettings(device="cpu", precision="off", num_threads=num_threads),
    )
    return OurTraining(settings, run_path, cast(type[Objective], GraphObjective))


def logit_difference(ours: OurTraining, plain: PlainTraining) -> float:
    """Largest difference of any logit on the validation records when both have the same weights."""
    kept = {name: tensor.clone() for name, tensor in plain.model.state_dict().items()}
    plain.model.take_weights(ours.trainer.stateful.model)
    difference = float((ours.val_logits() - plain.val_logits()).abs().max())
    plain.model.load_state_dict(kept)
    return difference


def lockstep_difference(ours: OurTraining, plain: PlainTraining) -> float:
    """Largest difference of the loss in any of the first steps from the same weights over the same batches."""
    plain.model.take_weights(ours.trainer.stateful.model)
    ours.begin_epoch()
    plain.begin_epoch()
    num_steps = min(NUM_LOCKSTEPS, ours.trainer.num_steps)
    plain.follow([ours.records(step) for step in range(num_steps)])
    sums = []
    for _ in range(num_steps):
        ours.step()
        plain.step()
        sums.append((ours.trainer.position.loss_sum, plain.loss_sum))
    steps = np.diff(np.array(sums), axis=0, prepend=0.0)
    return float(np.abs(steps[:, 0] - steps[:, 1]).max())


def compare(data_path: Path, *, num_threads: int, seeds: Sequence[int], epochs: int) -> bool:
    """Train all kinds with every seed, print the table; whether the bounds held."""
    outcomes = {name: Outcome() for name in ("plain PyG", "ours", "ours, typed")}
    train, val = (plain_graphs(data_path / f"{split}.jsonl") for split in ("train", "valid"))
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="codewarden-gnn-") as folder:
            ours, typed = (
                our_training(data_path, Path(folder, model.architecture), model, seed=seed, num_threads=num_threads)
                for model in (GnnSettings(), GnnSettings(architecture="typed"))
            )
            plain = PlainTraining(GnnSettings(), train, val, seed)
            trainings: dict[str, Training] = {"plain PyG": plain, "ours": ours, "ours, typed": typed}
            seconds = train_side_by_side(trainings, epochs, ours.trainer.num_steps)
            for name, training in trainings.items():
                book(outcomes[name], seconds[name][1:], training.val_logits(), ours.trainer)
    print(f"{num_threads} thread(s), {len(train)} graphs, {len(seeds)} seed(s), {epochs} epochs each")
    return report(outcomes, len(train))


def same_network(data_path: Path) -> bool:
    """Print whether equal weights give equal logits, and equal steps equal losses."""
    model = GnnSettings(dropout=0.0, weight_decay=0.0)
    train, val = (plain_graphs(data_path / f"{split}.jsonl") for split in ("train", "valid"))
    with tempfile.TemporaryDirectory(prefix="codewarden-gnn-") as folder:
        ours = our_training(data_path, Path(folder, "run"), model, seed=0, num_threads=1)
        plain = PlainTraining(model, train, val, seed=0)
        logits = logit_difference(ours, plain)
        losses = lockstep_difference(ours, plain)
    return held(
        {
            f"logits with the same weights differ by {logits:.1e} (<= {MAX_LOGIT_DIFFERENCE:g})": (
                logits <= MAX_LOGIT_DIFFERENCE
            ),
            f"losses of {NUM_LOCKSTEPS} same steps differ by {losses:.1e} (<= {MAX_LOCKSTEP_DIFFERENCE:g})": (
                losses <= MAX_LOCKSTEP_DIFFERENCE
            ),
        }
    )


def book(outcome: Outcome, seconds: list[float], logits: Tensor, trainer: Trainer) -> None:
    """Add one seed."""
    metrics = trainer.objective.metrics(trainer.val, logits.detach().numpy())
    outcome.seconds += seconds
    outcome.losses.append(metrics["val_loss"])
    outcome.f1s.append(metrics["val_f1_vulnerable"])
    ranking = ranking_of(trainer.val.labels, (logits[:, 1] - logits[:, 0]).detach().numpy())
    outcome.aurocs.append(float(auroc(steps_of(ranking))))


def report(outcomes: dict[str, Outcome], num_graphs: int) -> bool:
    """Print the table and the verdicts."""
    plain, ours = outcomes["plain PyG"], outcomes["ours"]
    print("                 s/epoch  records/s  speed-up  validation loss    F1             AUROC")
    for name, outcome in outcomes.items():
        ratio = speedup(plain, outcome)
        print(
            f"  {name:<12} {median(outcome.seconds):9.2f} {num_graphs / median(outcome.seconds):10.0f} {ratio:8.2f}x"
            f"  {spread(outcome.losses)}  {spread(outcome.f1s)}  {spread(outcome.aurocs)}"
        )
    faster, excess = speedup(plain, ours), mean(ours.losses) - mean(plain.losses)
    allowed = excess_allowed(plain.losses, ours.losses, at_least=MAX_LOSS_EXCESS)
    return held(
        {
            f"speed-up {faster:.2f}x (>= {MIN_SPEEDUP})": faster >= MIN_SPEEDUP,
            f"validation loss {excess:+.4f} to the plain loop's (<= {allowed:.4f})": excess <= allowed,
        }
    )


def speedup(plain: Outcome, other: Outcome) -> float:
    """Median over epochs of the plain loop's seconds to the other's."""
    return median(base / took for base, took in zip(plain.seconds, other.seconds, strict=True))


def main(argv: Sequence[str] | None = None) -> int:
    """Print the comparison at each number of threads; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gnn", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with train.jsonl and valid.jsonl of a preprocess run")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="threads of each training [threads]")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the first number of threads [seeds]")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of each training, at least 2 [epochs]")
    arguments = parser.parse_args(argv)
    if arguments.epochs < 2:
        parser.error("--epochs must be at least 2: the first one warms up and is not timed")
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="codewarden-gnn-") as folder:
        data_path = arguments.data
        if data_path is None:
            data_path = Path(folder, "data")
            write_tiny_data(data_path, NUM_FUNCTIONS)
        verdicts.append(same_network(data_path))
        for turn, num_threads in enumerate(arguments.threads):
            # Quality does not depend on the threads: the seeds are needed once.
            seeds = range(arguments.seeds if turn == 0 else 1)
            verdicts.append(compare(data_path, num_threads=num_threads, seeds=seeds, epochs=arguments.epochs))
    return int(not all(verdicts))


if __name__ == "__main__":
    sys.exit(main())
