"""What a bootstrap over seeds and groups costs beside a plain loop: ``python -m benchmarks.seed_bootstrap``.

10,000 resamples of five seeds on 3,000 records in 2,000 groups, F1 and AUROC, one thread. The loop is the one that one
would write: for each resample draw groups and seeds, take their rows, call scikit-learn, average. It is timed on some
resamples and scaled. Both are given the same draws, and must give the same values (bound: 20×, with drawing in ours
only).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score, roc_auc_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.side_by_side import held
from benchmarks.thresholds import Timed, timed
from models.evaluation.intervals import Resamples, draw_resamples
from models.evaluation.metrics import Floats
from models.evaluation.seed_resamples import (
    resampled_mean_f1,
    resampled_mean_over_seeds,
    resampled_metrics_by_seed,
    seed_shares,
)

MIN_RATIO = 20.0
NUM_RESAMPLES = 10_000
NUM_SEEDS = 5
NUM_RECORDS = 3_000
NUM_GROUPS = 2_000
THRESHOLD = 0.5
SEED = 0


class Sample:
    """Labels, groups, and scores ``(S, N)`` that follow the label weakly."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        # Every group holds a record, most one or two, some more, as commits do.
        of_record = np.concatenate([np.arange(NUM_GROUPS), random.integers(0, NUM_GROUPS, NUM_RECORDS - NUM_GROUPS)])
        self.groups = [f"{number:05d}" for number in of_record]
        self.rows = [np.flatnonzero(of_record == number) for number in range(NUM_GROUPS)]
        self.labels = (random.random(NUM_RECORDS) < 0.45).astype(np.int8)
        noise = 0.25 * random.standard_normal((NUM_SEEDS, NUM_RECORDS))
        self.scores = np.clip(0.4 + 0.2 * self.labels + noise, 0.0, 1.0)

    def draw(self) -> Resamples:
        """The groups of every resample."""
        return draw_resamples(self.groups, num_resamples=NUM_RESAMPLES, seed=SEED)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the ratios; 1 when a bound is missed or a value differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seed_bootstrap", description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=3, help="calls of each fast case [calls]")
    parser.add_argument("--num-looped", type=int, default=100, help="resamples of the loop, then scaled [resamples]")
    options = parser.parse_args(argv)
    sample = Sample()
    answers = sample.scores >= THRESHOLD
    draws = sample.draw().counts[: options.num_looped]
    print(f"{NUM_RESAMPLES:,} resamples, {NUM_SEEDS} seeds, {NUM_RECORDS:,} records in {NUM_GROUPS:,} groups")
    with threadpool_limits(1):
        bounds = compare(
            "F1",
            timed(lambda: ours_of_f1(sample, answers), options.turns),
            timed(lambda: by_loop(sample, draws, answers, f1_score)),
        )
        bounds |= compare(
            "AUROC",
            timed(lambda: ours_of_auroc(sample), options.turns),
            timed(lambda: by_loop(sample, draws, sample.scores, roc_auc_score)),
        )
    return 0 if held(bounds) else 1


def ours_of_f1(sample: Sample, answers: npt.NDArray[np.bool_]) -> Floats:
    """``(B,)``, drawing included."""
    return resampled_mean_f1(sample.draw(), sample.labels, [answers], seed=SEED)[:, 0]


def ours_of_auroc(sample: Sample) -> Floats:
    """``(B,)``, drawing included."""
    thresholds = np.full(NUM_SEEDS, THRESHOLD)
    by_seed = resampled_metrics_by_seed(sample.draw(), sample.labels, sample.scores, thresholds, ("auroc",))
    return resampled_mean_over_seeds(by_seed["auroc"], seed=SEED)


def by_loop(
    sample: Sample, draws: npt.NDArray[np.uint16], values: npt.NDArray[Any], metric: Callable[..., float]
) -> Floats:
    """One value for each row of draws ``(L, G)``; drawing is not counted here."""
    shares = seed_shares(NUM_SEEDS, num_resamples=NUM_RESAMPLES, seed=SEED)[: len(draws)]
    means = []
    for drawn, of_seed in zip(draws, shares, strict=True):
        rows = np.concatenate([sample.rows[group] for group in np.repeat(np.arange(NUM_GROUPS), drawn)])
        seeds = np.repeat(np.arange(NUM_SEEDS), np.rint(of_seed * (NUM_SEEDS - 1)).astype(int))
        means.append(np.mean([metric(sample.labels[rows], values[seed][rows]) for seed in seeds]))
    return np.array(means)


def compare(name: str, ours: Timed, loop: Timed) -> dict[str, bool]:
    """Print both; the bounds."""
    num_looped = len(loop.answer)
    seconds = loop.seconds * NUM_RESAMPLES / num_looped
    ratio = seconds / ours.seconds
    print(f"  {name:<6} counts times a matrix {ours.seconds:8.2f} s   loop over scikit-learn {seconds:8.1f} s")
    same = bool(np.allclose(ours.answer[:num_looped], loop.answer, rtol=0.0, atol=1e-12))
    return {f"{name}: {ratio:.0f}x (>= {MIN_RATIO:.0f}x)": ratio >= MIN_RATIO, f"{name}: same values": same}


if __name__ == "__main__":
    sys.exit(main())
