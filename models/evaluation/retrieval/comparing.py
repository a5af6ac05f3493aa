"""Systems measured on the same queries: means with intervals, and paired differences corrected for their number.

Queries of one group share their fate, so groups are drawn, the same draw for every system. A difference is shown where
the bootstrap and the test that takes seeds and groups apart both show it after Holm's correction, as in the comparison
of detectors; "no difference shown" is an answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.comparison.crossed_chance import chance_of, combined_p, minimum_detectable
from models.evaluation.comparisons import Difference, holm, paired_difference
from models.evaluation.intervals import Resamples, draw_resamples, percentile_interval, resampled_mean
from models.evaluation.measuring import Measuring
from models.evaluation.retrieval.rank_metrics import Floats
from models.evaluation.seed_resamples import resampled_mean_over_seeds

POWER = 0.8
"""At which the minimum detectable difference is seen."""
METHODS = {
    "interval": "percentile interval of a bootstrap over groups, and over seeds where a system has several",
    "difference": "mean over queries and seeds, first less second, on the same queries",
    "shown": "p_bootstrap and p_combined are both below 1 - confidence, each after Holm over all comparisons here",
    "p_combined": "test with the chance of seeds and of groups taken apart (Banerjee 1960); of one seed: over groups",
    "minimum_detectable": f"true difference that would be shown in {POWER:.0%} of such measurements, after correction",
}


@dataclass(frozen=True)
class Measured:
    """A system's values.

    Args:
        name: "
        seeds: Their names; one, empty, for a system that has none.
        values: ``(S, Q)`` of each metric: of each seed on each query.
    """

    name: str
    seeds: tuple[str, ...]
    values: Mapping[str, Floats]


@dataclass(frozen=True)
class Compared:
    """Two systems on one metric; p-values as they are, and after correction.

    Args:
        first: Name.
        second: Name.
        metric: "
        num_seeds: That the difference is the mean over.
        difference: First less second.
        p_combined: Of the test over seeds and groups.
        minimum_detectable: "
        p_bootstrap_corrected: "
        p_combined_corrected: "
        shown: Whether both corrected p-values are small enough.
    """

    first: str
    second: str
    metric: str
    num_seeds: int
    difference: Difference
    p_combined: float
    minimum_detectable: float
    p_bootstrap_corrected: float = math.nan
    p_combined_corrected: float = math.nan
    shown: bool = False


class Sample:
    """The queries that systems are measured on, and draws of their groups.

    Args:
        groups: ``(Q,)`` group of each query.
        how: Resamples, confidence, seed.
    """

    def __init__(self, groups: Sequence[str], how: Measuring) -> None:
        self.how = how
        self.resamples: Resamples = draw_resamples(groups, num_resamples=how.num_resamples, seed=how.seed)

    @property
    def num_groups(self) -> int:
        """Groups drawn from; of fewer than two nothing can be said of chance."""
        return self.resamples.num_groups

    def resampled(self, values: Floats) -> Floats:
        """``(B, S)`` means over the queries of each resample of values ``(S, Q)``."""
        return np.stack([resampled_mean(self.resamples, own) for own in values], axis=-1)

    def over_seeds(self, resampled: Floats) -> Floats:
        """``(B,)`` means over the seeds that each resample draws."""
        return resampled_mean_over_seeds(resampled, seed=self.how.seed)

    def describe(self, values: Floats) -> dict[str, float]:
        """``value``, ``low`` and ``high`` of values ``(S, Q)``; ends are NaN where there are fewer than two groups."""
        ends = (math.nan, math.nan)
        if self.num_groups > 1:
            interval = percentile_interval(self.over_seeds(self.resampled(values)), self.how.confidence)
            ends = (interval.low, interval.high)
        return {"value": float(values.mean()) if values.size else math.nan, "low": ends[0], "high": ends[1]}

    def compare(self, pairs: Sequence[tuple[Measured, Measured]], metrics: Sequence[str]) -> list[Compared]:
        """Every pair on every metric, corrected for their number.

        Both of a pair have the same seeds, or one of them has a single one that stands beside each of the other's.

        Returns:
            Nothing where there are fewer than two groups.
        """
        if self.num_groups < 2:
            return []
        found = list(self._compared(pairs, metrics))
        bootstrap = holm([each.difference.p_value for each in found])
        combined = holm([each.p_combined for each in found])
        return [self._corrected(*row) for row in zip(found, bootstrap, combined, strict=True)]

    def _compared(self, pairs: Sequence[tuple[Measured, Measured]], metrics: Sequence[str]) -> Iterator[Compared]:
        num_tests = len(pairs) * len(metrics)
        for first, second in pairs:
            for metric in metrics:
                one, other = first.values[metric], second.values[metric]
                draws = self.resampled(one), self.resampled(other)
                means = self.over_seeds(draws[0]), self.over_seeds(draws[1])
                difference = paired_difference(float(one.mean()), float(other.mean()), means, self.how.confidence)
                by_seed = one.mean(axis=1) - other.mean(axis=1)
                chance = chance_of(by_seed, draws[0] - draws[1], self.num_groups)
                detectable = minimum_detectable(
                    chance, num_tests=num_tests, confidence=self.how.confidence, power=POWER
                )
                p_combined = combined_p(difference.value, chance)
                yield Compared(
                    first.name, second.name, metric, len(by_seed), difference, p_combined, minimum_detectable=detectable
                )

    def _corrected(self, found: Compared, p_bootstrap: float, p_combined: float) -> Compared:
        alpha = 1.0 - self.how.confidence
        return Compared(
            found.first,
            found.second,
            found.metric,
            found.num_seeds,
            found.difference,
            found.p_combined,
            found.minimum_detectable,
            p_bootstrap,
            p_combined,
            shown=p_bootstrap < alpha and p_combined < alpha,  # a NaN is never below
        )
