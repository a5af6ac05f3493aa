"""Ranking configurations by their scores on validation: trials in, an order with intervals and ties out.

A configuration's score is the mean F1 over its seeds. What goes on and who comes first is decided here too; reading
runs and writing files is ``ranking_job``'s. Every rule for a tie is fixed before anything is seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.evaluation.best_set import best_set, probability_better
from models.evaluation.intervals import Interval, Resamples, percentile_interval
from models.evaluation.metrics import Floats, confusion_of, f1, predictions_at
from models.evaluation.seed_resamples import median_seed, resampled_mean_f1
from models.settings.rank import Keep

RANK_RULE = "mean F1 on validation over the seeds; ties by cost, then by name"
CHEAPEST_RULE = (
    "fewer parameters, then fewer records that its training may take (epochs times training records: a seed that gave "
    "up early is not cheap), then the higher F1, then the name"
)


class Cost(NamedTuple):
    """What a configuration costs, without a clock; compared in this order.

    Args:
        num_parameters: Paid whenever it is used.
        max_records_trained: Epochs times training records, paid once; what early stopping saved is luck of the seed.
    """

    num_parameters: int
    max_records_trained: int


@dataclass(frozen=True)
class Entry:
    """One trial as it is ranked.

    Args:
        label: Name of the trial.
        configuration: What it is a seed of.
        family: Of its model.
        model: Its model.
        seed: Its seed.
        probabilities: ``(N,)`` of label 1 on validation.
        threshold: At which it is ranked.
        cost: Of this trial.
    """

    label: str
    configuration: str
    family: str
    model: str
    seed: int
    probabilities: Floats
    threshold: float
    cost: Cost


@dataclass(frozen=True)
class Ranked:
    """A configuration with its score.

    Args:
        entries: Its trials, by seed.
        f1_by_seed: On validation.
        f1: Their mean.
        interval: Of the mean, over files and seeds.
        resampled_f1: ``(B,)`` the mean on each resample, the same resamples for all.
        median_seed: The seed that stands for it.
        cost: The mean over its seeds.
        in_best_set: Whether it cannot be told apart from the best.
    """

    entries: tuple[Entry, ...]
    f1_by_seed: dict[int, float]
    f1: float
    interval: Interval
    resampled_f1: Floats
    median_seed: int
    cost: Cost
    in_best_set: bool

    @property
    def name(self) -> str:
        """The configuration."""
        return self.entries[0].configuration

    @property
    def model(self) -> str:
        """Its model."""
        return self.entries[0].model

    @property
    def family(self) -> str:
        """Its model's family."""
        return self.entries[0].family

    @property
    def median(self) -> Entry:
        """The trial of its median seed."""
        return next(entry for entry in self.entries if entry.seed == self.median_seed)


@dataclass(frozen=True)
class Winner:
    """Who comes first.

    Args:
        first: The configuration; ``None``: nobody, as several cannot be told apart and that is not to be overridden.
        because: Why, in words.
        runner_up: The best of the others; ``None`` where there is none.
        probability: That the first beats the runner-up: the share of resamples in which it does.
    """

    first: Ranked | None
    because: str
    runner_up: Ranked | None
    probability: float | None


def rank(
    entries: Sequence[Entry], labels: npt.ArrayLike, resamples: Resamples, *, confidence: float, seed: int
) -> list[Ranked]:
    """Configurations, best first; the order of ``entries`` plays no part.

    Args:
        entries: At least one trial; of a configuration each seed once.
        labels: ``(N,)`` of validation, both present.
        resamples: Draws of files.
        confidence: Coverage of the intervals and of the set that cannot be told apart from the best.
        seed: Of the draw of seeds.
    """
    of_configuration: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.configuration, entry.seed)):
        of_configuration.setdefault(entry.configuration, []).append(entry)
    names = list(of_configuration)
    answers = {
        name: np.stack([predictions_at(entry.probabilities, entry.threshold) for entry in own])
        for name, own in of_configuration.items()
    }
    scores = {
        name: {entry.seed: float(f1(confusion_of(labels, row))) for entry, row in zip(own, answers[name], strict=True)}
        for name, own in of_configuration.items()
    }
    points = np.array([_mean(list(scores[name].values())) for name in names])
    resampled = resampled_mean_f1(resamples, labels, [answers[name] for name in names], seed=seed)
    members = best_set(points, resampled, confidence=confidence).members
    ranked = [
        Ranked(
            entries=tuple(of_configuration[name]),
            f1_by_seed=scores[name],
            f1=float(points[at]),
            interval=percentile_interval(resampled[:, at], confidence),
            resampled_f1=resampled[:, at],
            median_seed=median_seed(scores[name]),
            cost=_mean_cost([entry.cost for entry in of_configuration[name]]),
            in_best_set=bool(members[at]),
        )
        for at, name in enumerate(names)
    ]
    return sorted(ranked, key=lambda each: (-each.f1, each.cost, each.name))


def choose_winner(ranked: Sequence[Ranked], no_clear_winner: str) -> Winner:
    """Who comes first: the best, or what ``no_clear_winner`` says where others cannot be told apart from it.

    Args:
        ranked: Best first.
        no_clear_winner: ``best``, ``cheapest`` or ``stop`` (then nobody does).
    """
    alike = [each for each in ranked if each.in_best_set]
    first, because = ranked[0], "the best F1, and every other is told apart from it"
    if len(ranked) == 1:
        because = "the only one"
    elif len(alike) > 1:
        if no_clear_winner == "stop":
            return Winner(None, f"nobody: {len(alike)} cannot be told apart from the best", None, None)
        because = f"the best F1 of {len(alike)} that cannot be told apart"
        if no_clear_winner == "cheapest":
            first = min(alike, key=lambda each: (each.cost, -each.f1, each.name))
            because = f"the cheapest of {len(alike)} that cannot be told apart from the best"
    runner_up = next((each for each in ranked if each is not first), None)
    better = None if runner_up is None else probability_better(first.resampled_f1, runner_up.resampled_f1)
    return Winner(first, because, runner_up, better)


def select(ranked: Sequence[Ranked], first: Ranked | None, keep: Keep) -> list[Ranked]:
    """Those that go on: the first one, then by rank; of each family or model the best only, where so counted.

    Args:
        ranked: Best first.
        first: Who comes first, which need not be the best (``choose_winner``); nobody: nobody goes on.
        keep: How many, and what is counted.
    """
    if first is None:
        return []
    kept: dict[str, Ranked] = {}
    for each in [first, *(each for each in ranked if each is not first)]:
        counted = {"family": each.family, "model": each.model, "configuration": each.name}[keep.by]
        kept.setdefault(counted, each)
    return list(kept.values())[: keep.num]


def _mean(values: Sequence[float]) -> float:
    """Exact before it is rounded, so that the same values in another order tie."""
    return math.fsum(values) / len(values)


def _mean_cost(costs: Sequence[Cost]) -> Cost:
    return Cost(*(round(sum(values) / len(values)) for values in zip(*costs, strict=True)))
