"""Metrics of configurations over files and seeds: values, resamples, and the seed that stands for a configuration.

Seeds are replicates: a configuration's score is the mean over its seeds, and a resample draws files and seeds anew,
the same draw for every configuration, so that differences are paired. F1 of many configurations has a way of its own,
which shares what they have in common; any other metric is resampled seed by seed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from models.evaluation.intervals import METRICS, Resamples, resampled_metrics, resampled_totals
from models.evaluation.metrics import Confusion, Floats, f1

Answers = npt.NDArray[np.bool_] | npt.NDArray[np.integer]

METHOD = (
    "bootstrap over files, and over seeds where a configuration has several (one fewer drawn than there are, Rao and "
    "Wu 1988); one draw for all configurations"
)
MEDIAN_SEED_RULE = (
    "the seed whose F1 is the median of the configuration's seeds, of an even number the lower of the middle two; "
    "of seeds with that F1 the lowest"
)


def mean_f1(labels: npt.ArrayLike, predictions: Sequence[Answers]) -> Floats:
    """``(C,)`` F1 of label 1 of each configuration, the mean over its seeds.

    Args:
        labels: ``(N,)``, 0 or 1.
        predictions: Of each configuration ``(S, N)`` answers, 0 or 1, one row a seed.

    Returns:
        ``(C,)``; NaN where no label is 1.
    """
    truth = np.asarray(labels) == 1
    positives = np.asarray(truth.sum(), dtype=np.float64)
    every = (np.equal(own, 1) for own in predictions)
    return np.array([_f1(positives, _sizes(called & truth), _sizes(called)).mean() for called in every])


def resampled_mean_f1(
    resamples: Resamples, labels: npt.ArrayLike, predictions: Sequence[Answers], *, seed: int
) -> Floats:
    """``(B, C)`` mean F1 of each configuration over the seeds and on the files that a resample drew.

    Args:
        resamples: ``B`` draws of files.
        labels: ``(N,)``, 0 or 1.
        predictions: Of each configuration ``(S, N)`` answers, 0 or 1, one row a seed, in the same order of seeds.
            Configurations with equally many seeds share the draw of seeds.
        seed: Seed of the draw of seeds.

    Returns:
        ``(B, C)``; NaN where a resample has no record of label 1.

    Raises:
        ValueError: There are fewer than two files, so that nothing can be resampled.
    """
    _refuse_one_group(resamples)
    truth = np.asarray(labels) == 1
    positives = resampled_totals(resamples, _per_group(resamples, truth[None]))
    columns = []
    for own in predictions:
        called = np.equal(own, 1)
        counted = resampled_totals(resamples, _per_group(resamples, np.concatenate([called & truth, called])))
        by_seed = _f1(positives, *np.split(counted, 2, axis=1))
        columns.append(resampled_mean_over_seeds(by_seed, seed=seed))
    return np.stack(columns, axis=-1)


def resampled_metrics_by_seed(
    resamples: Resamples,
    labels: npt.ArrayLike,
    probabilities: Floats,
    thresholds: Floats,
    names: Collection[str] = METRICS,
) -> dict[str, Floats]:
    """``(B, S)`` values of metrics, by name: of each seed on the files that a resample drew.

    Args:
        resamples: ``B`` draws of files.
        labels: ``(N,)``, 0 or 1.
        probabilities: ``(S, N)`` of label 1, one row a seed.
        thresholds: ``(S,)`` of each seed.
        names: Which metrics.

    Raises:
        ValueError: There are fewer than two files, so that nothing can be resampled.
    """
    _refuse_one_group(resamples)
    by_seed = [
        resampled_metrics(resamples, labels, scores, threshold, names)
        for scores, threshold in zip(probabilities, thresholds.tolist(), strict=True)
    ]
    return {name: np.stack([values[name] for values in by_seed], axis=-1) for name in by_seed[0]}


def resampled_mean_over_seeds(by_seed: Floats, *, seed: int) -> Floats:
    """``(B,)`` means over the seeds that each resample draws.

    Args:
        by_seed: ``(B, S)`` values of each seed on each resample; with equally many seeds and resamples the draw is the
            same, so that column by column equal ones are paired.
        seed: Seed of the draw of seeds.
    """
    shares = seed_shares(by_seed.shape[1], num_resamples=len(by_seed), seed=seed)
    return np.asarray(np.einsum("bs,bs->b", by_seed, shares))


def seed_shares(num_seeds: int, *, num_resamples: int, seed: int) -> Floats:
    """``(B, S)`` share of each seed in each resample's mean.

    Of ``S`` seeds ``S - 1`` are drawn with replacement. A mean of so many draws varies as the mean of ``S`` seeds
    really does; ``S`` draws would vary by ``(S - 1) / S`` of that, a third too little with three seeds. With two or
    three seeds that differ much more than files do, the spread itself is too uncertain, and intervals are too narrow.

    Source:
        Rao and Wu 1988, resampling inference with small samples.
    """
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(num_seeds,))))
    drawn = random.integers(0, num_seeds, size=(num_resamples, max(1, num_seeds - 1)))
    return np.asarray((drawn[:, :, None] == np.arange(num_seeds)).mean(axis=1))


def median_seed(f1_by_seed: Mapping[int, float]) -> int:
    """The seed that stands for a configuration, by ``MEDIAN_SEED_RULE``.

    Raises:
        ValueError: There is no seed, or an F1 is NaN.
    """
    values = sorted(f1_by_seed.values())
    if not values or any(math.isnan(value) for value in values):
        raise ValueError(f"a median needs the F1 of at least one seed, got {dict(f1_by_seed)}")
    median = values[(len(values) - 1) // 2]
    return min(seed for seed, value in f1_by_seed.items() if value == median)


def _refuse_one_group(resamples: Resamples) -> None:
    if resamples.num_groups < 2:
        raise ValueError(f"resampling needs records of at least two files, got {resamples.num_groups}")


def _sizes(marks: npt.NDArray[np.bool_]) -> Floats:
    return np.asarray(marks.sum(axis=-1), dtype=np.float64)


def _f1(positives: Floats, found: Floats, called: Floats) -> Floats:
    """``metrics.f1`` from other counts: records of label 1, those of them that are called, all that are called."""
    return f1(Confusion(np.zeros_like(found), called - found, positives - found, found))


def _per_group(resamples: Resamples, marks: npt.NDArray[np.bool_]) -> Floats:
    """``(G, C)`` how many of each group's records have each of the marks ``(C, N)``."""
    counted = [np.bincount(resamples.group_of[mark], minlength=resamples.num_groups) for mark in marks]
    return np.stack(counted, axis=-1).astype(np.float64)
