"""How long functions are read, and how tokens are pooled: ``python -m benchmarks.variants --data RAW_FOLDER``.

Trains a small transformer from nothing once per variant and seed, by the real jobs (preprocess, train, predict), and
prints two tables: what each way to trim keeps and what the model then reads of it, and the three poolings on the
default trimming, with F1, AUROC and loss on validation. Everything else is the same in all of them, and none stops
early, so that a row's difference is the variant's. The test split stays closed. Runs that are finished are found again
under ``--runs``: a comparison that was stopped goes on, and one with more seeds trains only those.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Literal, NamedTuple

from models.errors import EXIT_DONE, CodewardenError
from models.evaluation.metrics import auroc, ranking_of, steps_of
from models.evaluation.records import read_probabilities, read_split
from models.jobs.contract import RECORD_FILE
from models.jobs.execution import Execution, execute
from models.jobs.layout import plan_run, read_result
from models.jobs.stopping import StopSignal
from models.settings.fields import Settings
from models.settings.predict import PredictSettings
from models.settings.preprocess import PreprocessSettings, TrimmingStrategy
from models.settings.text_encoder import SmallEncoder
from models.settings.train import ComputeSettings, TrainSettings
from models.settings.transformer import TransformerSettings

HEADS = ("kept", "read", "F1", "AUROC", "loss", "s/training", "steps")
NAME_WIDTH = 14
WIDTHS = (8, 8, 15, 15, 15, 11, 7)


class Variant(NamedTuple):
    """What a row of the tables differs in.

    Args:
        trimming: What preprocessing keeps of a long function.
        pooling: How the states of all tokens become one.
        max_windows: Windows in which the model reads a long record.
    """

    trimming: TrimmingStrategy = "window"
    pooling: Literal["cls", "attention", "mean"] = "cls"
    max_windows: int = 1


POOLING = {"cls": Variant(), "attention": Variant(pooling="attention"), "mean": Variant(pooling="mean")}


class Measured(NamedTuple):
    """One training.

    Args:
        share_kept: Of the training split's tokens, what preprocessing kept.
        share_read: Of the same, what the model reads.
        f1: Of label 1 on validation, after the best epoch, as are AUROC and loss.
        auroc: Area under the ROC curve.
        loss: Cross entropy [nats].
        seconds: Of training, its evaluations included; of the last attempt where it was resumed.
        num_steps: Optimiser steps.
    """

    share_kept: float
    share_read: float
    f1: float
    auroc: float
    loss: float
    seconds: float
    num_steps: int


@dataclass(frozen=True)
class Comparison:
    """What all variants share.

    Args:
        preprocess: The data; its trimming is the variant's.
        model: The transformer; pooling and windows are the variant's.
        compute: Device and threads.
        runs_path: The run root.
    """

    preprocess: PreprocessSettings
    model: TransformerSettings
    compute: ComputeSettings
    runs_path: Path

    def preprocess_job(self, variant: Variant) -> PreprocessSettings:
        """The records of a variant."""
        return self.preprocess.model_copy(update={"trimming": variant.trimming})

    def train_job(self, variant: Variant, records_path: Path, seed: int) -> TrainSettings:
        """One training of a variant."""
        return TrainSettings(
            train_data=records_path / "train.jsonl",
            val_data=records_path / "valid.jsonl",
            model=self.model.model_copy(update={"pooling": variant.pooling, "max_windows": variant.max_windows}),
            seed=seed,
            compute=self.compute,
        )

    def predict_job(self, records_path: Path, model_path: Path) -> PredictSettings:
        """Validation scores of a training."""
        return PredictSettings(model_run=model_path, data=records_path, splits=("valid",), compute=self.compute)


def reading_variants(max_windows: int) -> dict[str, Variant]:
    """Ways to deal with long functions, by name."""
    cut: tuple[TrimmingStrategy, ...] = ("window", "head", "head_tail")
    sliding = Variant(trimming="whole", max_windows=max_windows)
    return {trimming: Variant(trimming=trimming) for trimming in cut} | {"sliding": sliding}


def run_job(settings: Settings, runs_path: Path, stop: StopSignal) -> Path:
    """The run directory of a job that is finished now, or was before.

    Raises:
        SystemExit: the job did not finish; it has said why. With its exit code.
    """
    run_path = plan_run(settings, runs_path).run_path
    code = execute(Execution(settings, run_path, runs_path, stop=stop))
    if code != EXIT_DONE:
        raise SystemExit(code)
    return run_path


def measure(comparison: Comparison, variant: Variant, seed: int, stop: StopSignal) -> Measured:
    """Run the three jobs of one training and read what they left."""
    records_path = run_job(comparison.preprocess_job(variant), comparison.runs_path, stop)
    model_path = run_job(comparison.train_job(variant, records_path, seed), comparison.runs_path, stop)
    scores_path = run_job(comparison.predict_job(records_path, model_path), comparison.runs_path, stop)
    kept = read_result(records_path)["numbers"]["splits"]["train"]["share_of_tokens_kept"]
    trained = read_result(model_path)["numbers"]
    records = read_split(records_path / "valid.jsonl")
    scores = read_probabilities(scores_path / "predictions_valid.jsonl", records)
    return Measured(
        share_kept=kept,
        share_read=kept * trained["backbone"]["share_of_kept_tokens_read"],
        f1=trained["best"]["val_f1_vulnerable"],
        auroc=float(auroc(steps_of(ranking_of(records.labels, scores)))),
        loss=trained["best"]["val_loss"],
        seconds=json.loads((model_path / RECORD_FILE).read_bytes())["attempts"][-1]["seconds_training"],
        num_steps=trained["num_steps"],
    )


def measure_all(
    comparison: Comparison, variants: Sequence[Variant], seeds: Sequence[int], stop: StopSignal
) -> dict[Variant, list[Measured]]:
    """Every variant with every seed; the variants take turns, so that a busy hour hits all of them."""
    found: dict[Variant, list[Measured]] = {variant: [] for variant in variants}
    for seed in seeds:
        for variant in found:
            measured = measure(comparison, variant, seed, stop)
            found[variant].append(measured)
            print(
                f"seed {seed}, {variant.trimming} trimming, {variant.pooling} pooling, at most {variant.max_windows} "
                f"window(s): F1 {measured.f1:.3f}, AUROC {measured.auroc:.3f}, {measured.seconds:.0f} s",
                flush=True,
            )
    return found


def table_text(title: str, rows: dict[str, list[Measured]]) -> str:
    """A table: one row a variant, with mean and standard deviation over its seeds."""
    return "\n".join([title, _line("", HEADS), *(_line(name, _cells(seeds)) for name, seeds in rows.items())])


def _line(name: str, cells: Iterable[str]) -> str:
    padded = (cell.rjust(width) for cell, width in zip(cells, WIDTHS, strict=True))
    return f"  {name:<{NAME_WIDTH}}{''.join(padded)}"


def _cells(seeds: Sequence[Measured]) -> Iterator[str]:
    yield f"{seeds[0].share_kept:.1%}"
    yield f"{seeds[0].share_read:.1%}"
    for values in ([each.f1 for each in seeds], [each.auroc for each in seeds], [each.loss for each in seeds]):
        yield f"{mean(values):.3f} ± {stdev(values) if len(values) > 1 else 0.0:.3f}"
    yield f"{mean(each.seconds for each in seeds):.1f}"
    yield f"{mean(each.num_steps for each in seeds):.0f}"


def baseline_text(comparison: Comparison, stop: StopSignal) -> str:
    """What a model that has learned nothing reaches on validation."""
    valid = read_result(run_job(comparison.preprocess_job(Variant()), comparison.runs_path, stop))["numbers"]["splits"]
    share = valid["valid"]["share_vulnerable"]
    return (
        f"{valid['train']['accepted']} records to learn from; {valid['valid']['accepted']} of validation, {share:.1%} "
        f"vulnerable: calling all vulnerable has F1 {2 * share / (1 + share):.3f} and AUROC 0.500."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is not finished and print both tables; the exit code is that of the job that ended otherwise."""
    options = _options(argv)
    stop = StopSignal()
    stop.install()
    comparison = comparison_of(options)
    reading = reading_variants(options.max_windows)
    variants = tuple(dict.fromkeys([*reading.values(), *POOLING.values()]))
    try:
        found = measure_all(comparison, variants, range(options.seeds), stop)
        baseline = baseline_text(comparison, stop)
    except CodewardenError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    small = comparison.model.small
    print(
        f"\n{baseline}\nA {small.family} encoder of {small.num_layers} layers, {small.hidden_dim} wide, from nothing, "
        f"max_seq_len {comparison.model.max_seq_len}; {comparison.model.epochs} epochs, {options.seeds} seed(s), mean "
        "± standard deviation; validation, best epoch.\n"
        "Of the training split's tokens: kept by preprocessing, read by the model.\n"
    )
    titles = {"Long functions, pooling cls": reading, "Pooling, trimming window": POOLING}
    for title, rows in titles.items():
        print(table_text(title, {name: found[variant] for name, variant in rows.items()}) + "\n")
    return EXIT_DONE


def comparison_of(options: argparse.Namespace) -> Comparison:
    """What the arguments say that all variants share."""
    small = SmallEncoder(
        hidden_dim=options.hidden_dim,
        num_layers=options.num_layers,
        num_heads=options.num_heads,
        feedforward_dim=4 * options.hidden_dim,
    )
    model = TransformerSettings(
        pretrained="off",
        small=small,
        max_seq_len=options.max_seq_len,
        epochs=options.epochs,
        early_stopping_patience=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
    )
    preprocess = PreprocessSettings(
        data=options.data, tokenizer=options.tokenizer, vocab_size=options.vocab_size, max_seq_len=options.max_seq_len
    )
    return Comparison(preprocess, model, ComputeSettings(num_threads=options.threads), options.runs)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.variants",
        description=(__doc__ or "").partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of raw functions")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="run root; finished runs are found there")
    parser.add_argument("--tokenizer", help="folder of a fast tokenizer; without: a BPE trained on the training split")
    parser.add_argument("--vocab-size", type=int, default=6000, help="entries of that BPE")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each variant [seeds]")
    parser.add_argument("--threads", type=int, default=1, help="threads of a training [threads]")
    parser.add_argument("--epochs", type=int, default=3, help="of each training [epochs]")
    parser.add_argument("--batch-size", type=int, default=16, help="records per step [records]")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="peak learning rate")
    parser.add_argument("--hidden-dim", type=int, default=64, help="width of the encoder")
    parser.add_argument("--num-layers", type=int, default=2, help="of the encoder [layers]")
    parser.add_argument("--num-heads", type=int, default=4, help="of each layer [heads]")
    parser.add_argument("--max-seq-len", type=int, default=256, help="of records and of a window [tokens]")
    parser.add_argument("--max-windows", type=int, default=8, help="of a record, where they slide [windows]")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
