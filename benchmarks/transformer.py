"""Our engine beside transformers' Trainer: ``python -m benchmarks.transformer [--data FOLDER]``.

The same encoder and head, records, precision (fp32), threads and records per step. Ours is the trainer's own step:
micro-batches, our attention and dropout, flat gradients, clipping, optimiser, sample log, events. ``Trainer`` runs at
its defaults, and again with its length grouping; it is held between steps, so that all take turns step by step and a
busy moment hits all of them. Timed are as many steps as Trainer sorts by length at once: what it then reads is a random
sample, long records and short ones.

That both are the same network is checked first (copied weights, equal logits), and that a step does the same to it (no
dropout, equal batches, equal logits afterwards). Last, a smaller encoder is trained with several seeds in all ways.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import NamedTuple, cast

from transformers import RobertaConfig

from benchmarks.long_data import SPLITS, write_easy, write_joined, write_some
from benchmarks.plain_trainer import PlainTraining, Sampling, num_sorted_steps, plain_rows
from benchmarks.side_by_side import OurTraining, Training, excess_allowed, held, spread
from benchmarks.tiny_data import write_tiny_data
from models.nn.sequence_classifier import SequenceClassifier
from models.settings.text_encoder import SmallEncoder
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.settings.train import ComputeSettings, TrainSettings
from models.settings.transformer import TransformerSettings
from models.training.objective import Objective
from models.training.transformer import TokenExamples, TransformerObjective

OURS, DEFAULT, GROUPED = "ours", "Trainer", "Trainer, grouped"
SAMPLING: dict[str, Sampling] = {DEFAULT: "random", GROUPED: "group_by_length"}
MIN_SPEEDUP = {DEFAULT: 1.6, GROUPED: 1.15}
NUM_FUNCTIONS = 2600
NUM_RECORDS = 640
MAX_LOGIT_DIFFERENCE = 1e-5
NUM_LOCKSTEPS = 3
MAX_LOCKSTEP_DIFFERENCE = 1e-4
"""Of any logit. Rounding grows with each further step: Adam makes much of gradients near zero."""
MAX_LOSS_EXCESS = 0.02
"""Validation loss that ours may stand above Trainer's where the seeds scatter less than that [nats]."""

TIMED = TransformerSettings(pretrained="off")
"""The small encoder as it is trained by default."""
LEARNT = TransformerSettings(
    pretrained="off",
    small=SmallEncoder(hidden_dim=64, num_layers=2, num_heads=4, feedforward_dim=256),
    max_seq_len=64,
    learning_rate=1e-3,
    epochs=4,
)
"""Small enough that several seeds learn something within a minute."""


class Setting(NamedTuple):
    """What the trainings of a comparison have in common.

    Args:
        data_path: Folder with records and tokenizer.
        model: Sizes and optimisation.
        seed: Of each.
        num_threads: Of each.
    """

    data_path: Path
    model: TransformerSettings
    seed: int = 0
    num_threads: int = 1


@dataclass
class Pace:
    """What a training did while it was timed.

    Args:
        seconds: Of all its steps.
        num_tokens: Tokens of the records it read.
        num_computed: The same with padding.
    """

    seconds: float = 0.0
    num_tokens: int = 0
    num_computed: int = 0

    @property
    def tokens_per_second(self) -> float:
        """Real tokens."""
        return self.num_tokens / self.seconds


def our_training(setting: Setting, run_path: Path) -> OurTraining:
    """The job on one set of records."""
    settings = TrainSettings(
        train_data=setting.data_path / "train.jsonl",
        val_data=setting.data_path / "valid.jsonl",
        model=setting.model,
        seed=setting.seed,
        compute=ComputeSettings(device="cpu", precision="off", num_threads=setting.num_threads),
    )
    return OurTraining(settings, run_path, cast(type[Objective], TransformerObjective))


def plain_training(setting: Setting, ours: OurTraining, sampling: Sampling, order: Sequence[int] = ()) -> PlainTraining:
    """Trainer on the same records (in ``order``, where one is given) with an encoder of the same sizes."""
    train, val = (plain_rows(setting.data_path / f"{split}.jsonl", setting.model.max_seq_len) for split in SPLITS)
    return PlainTraining(
        setting.model,
        RobertaConfig.from_dict(classifier_of(ours).backbone.config.to_dict()),
        [train[record] for record in order] if order else train,
        val,
        tokenizer_path=setting.data_path / TOKENIZER_FOLDER,
        sampling=sampling,
        seed=setting.seed,
    )


def classifier_of(ours: OurTraining) -> SequenceClassifier:
    """The model that is trained."""
    return cast(SequenceClassifier, ours.trainer.objective.model)


def same_network(setting: Setting) -> bool:
    """Print whether equal weights give equal logits, and again after equal steps."""
    quiet = setting._replace(model=setting.model.model_copy(update={"dropout": 0.0, "warmup_ratio": 0.0}))
    with tempfile.TemporaryDirectory(prefix="codewarden-transformer-") as folder:
        ours = our_training(quiet, Path(folder, "run"))
        ours.begin_epoch()
        order = [int(record) for step in range(ours.trainer.num_steps) for record in ours.records(step)]
        plain = plain_training(quiet, ours, "sequential", order)
        plain.model.load_state_dict(classifier_of(ours).state_dict())
        before = logit_difference(ours, plain)
        plain.begin_epoch()
        for _ in range(NUM_LOCKSTEPS):
            ours.step()
            plain.step()
        after = logit_difference(ours, plain)
        plain.leave()
    bounds = (
        ("with the same weights", before, MAX_LOGIT_DIFFERENCE),
        (f"after {NUM_LOCKSTEPS} same steps", after, MAX_LOCKSTEP_DIFFERENCE),
    )
    return held({f"logits {when} differ by {found:.1e} (<= {most:g})": found <= most for when, found, most in bounds})


def logit_difference(ours: OurTraining, plain: PlainTraining) -> float:
    """Largest difference of any logit on the validation records."""
    return float((ours.val_logits() - plain.val_logits()).abs().max())


def compare_speed(setting: Setting) -> bool:
    """Print tokens per second and ratios; whether the bounds held."""
    with tempfile.TemporaryDirectory(prefix="codewarden-transformer-") as folder:
        ours = our_training(setting, Path(folder, "run"))
        plain = {kind: plain_training(setting, ours, sampling) for kind, sampling in SAMPLING.items()}
        num_steps = num_sorted_steps(len(ours.trainer.train), setting.model.batch_size)
        paces = {kind: Pace(seconds) for kind, seconds in lead({OURS: ours, **plain}, num_steps).items()}
        count_ours(ours, num_steps, paces[OURS])
        for kind, training in plain.items():
            training.leave()
            paces[kind].num_tokens, paces[kind].num_computed = training.model.num_tokens, training.model.num_computed
    small, threads = setting.model.small, setting.num_threads
    print(f"{threads} thread(s), {num_steps} steps each, {small.num_layers} layers of {small.hidden_dim}")
    print("                     s/step  real tokens/s  tokens/record  padding  ours is faster")
    ratios = {kind: paces[OURS].tokens_per_second / pace.tokens_per_second for kind, pace in paces.items()}
    for kind, pace in paces.items():
        per_record = pace.num_tokens / num_steps / setting.model.batch_size
        padding = 1 - pace.num_tokens / pace.num_computed
        rates = f"{pace.seconds / num_steps:8.2f} {pace.tokens_per_second:14.0f} {per_record:14.0f} {padding:8.1%}"
        print(f"  {kind:<16} {rates} {ratios[kind]:14.2f}x")
    return held(
        {
            f"speed-up on {kind} {ratios[kind]:.2f}x (>= {least})": ratios[kind] >= least
            for kind, least in MIN_SPEEDUP.items()
        }
    )


def lead(trainings: dict[str, Training], num_steps: int) -> dict[str, float]:
    """Lead all through steps of an epoch, one step each in turn; seconds of each."""
    for training in trainings.values():
        training.begin_epoch()
    spent = dict.fromkeys(trainings, 0.0)
    for _ in range(num_steps):
        for kind, training in trainings.items():
            started = time.perf_counter()
            training.step()
            spent[kind] += time.perf_counter() - started
    return spent


def count_ours(ours: OurTraining, num_steps: int, pace: Pace) -> None:
    """Add what our first steps read."""
    examples, budget = cast(TokenExamples, ours.trainer.train), ours.trainer.position.micro_budget
    for step in range(num_steps):
        records = ours.records(step)
        pace.num_tokens += int(examples.sizes[records].sum())
        pace.num_computed += sum(examples.cost(part) for part in examples.cut(records, budget))


def compare_losses(setting: Setting, num_seeds: int) -> bool:
    """Print validation losses over seeds; whether ours is within their noise."""
    losses: dict[str, list[float]] = {kind: [] for kind in (OURS, *SAMPLING)}
    for seed in range(num_seeds):
        for kind, loss in final_losses(setting._replace(seed=seed)).items():
            losses[kind].append(loss)
    small, model = setting.model.small, setting.model
    print(
        f"{num_seeds} seed(s), {small.num_layers} layers of {small.hidden_dim}, at most {model.max_seq_len} tokens, "
        f"{model.epochs} epochs"
    )
    for kind, found in losses.items():
        print(f"  {kind:<16} validation loss {spread(found)}")
    bounds = {}
    for kind in SAMPLING:
        excess = mean(losses[OURS]) - mean(losses[kind])
        allowed = excess_allowed(losses[kind], losses[OURS], at_least=MAX_LOSS_EXCESS)
        bounds[f"validation loss {excess:+.4f} to {kind}'s (<= {allowed:.4f})"] = excess <= allowed
    return held(bounds)


def final_losses(setting: Setting) -> dict[str, float]:
    """Validation loss of each kind after its last epoch."""
    with tempfile.TemporaryDirectory(prefix="codewarden-transformer-") as folder:
        ours = our_training(setting, Path(folder, "run"))
        plain = {kind: plain_training(setting, ours, sampling) for kind, sampling in SAMPLING.items()}
        trainings: dict[str, Training] = {OURS: ours, **plain}
        for _ in range(setting.model.epochs):
            lead(trainings, ours.trainer.num_steps)
        trainer = ours.trainer
        metrics = {
            kind: trainer.objective.metrics(trainer.val, training.val_logits().numpy())
            for kind, training in trainings.items()
        }
        for training in plain.values():
            training.leave()
    return {kind: found["val_loss"] for kind, found in metrics.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the comparisons; 1 when a bound is missed."""
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transformer", description=description)
    parser.add_argument("--data", type=Path, help="folder of a preprocess run: records and tokenizer")
    parser.add_argument("--records", type=int, default=NUM_RECORDS, help="records to take of it [records]")
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="threads of each training [threads]")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the comparison of losses [seeds]")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="codewarden-transformer-") as folder:
        timed_path, learnt_path = Path(folder, "timed"), Path(folder, "learnt")
        if arguments.data is None:
            short_path, long_path, easy_path = Path(folder, "short"), Path(folder, "long"), Path(folder, "easy")
            write_tiny_data(short_path, NUM_FUNCTIONS)
            write_joined(short_path, long_path)
            write_easy(short_path, easy_path, LEARNT.max_seq_len)
        else:
            long_path = easy_path = arguments.data
        write_some(long_path, timed_path, arguments.records)
        write_some(easy_path, learnt_path, arguments.records)
        verdicts = [same_network(Setting(learnt_path, LEARNT))]
        verdicts += [compare_speed(Setting(timed_path, TIMED, num_threads=threads)) for threads in arguments.threads]
        verdicts.append(compare_losses(Setting(learnt_path, LEARNT), arguments.seeds))
    return int(not all(verdicts))


if __name__ == "__main__":
    sys.exit(main())
