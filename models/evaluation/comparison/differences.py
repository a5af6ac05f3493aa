"""Systems compared two by two over seeds and groups: the difference, the tests, and what could have been seen.

A difference is shown where the bootstrap and the test of ``crossed_chance`` both show it. Each family of tests is
corrected on its own by Holm: bootstrap, combined test and t-test over all comparisons on all of ``COMPARED``, McNemar
over all comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from models.evaluation.best_set import probability_better
from models.evaluation.comparison.crossed_chance import chance_of, combined_p, minimum_detectable
from models.evaluation.comparison.measures import SeededMeasures
from models.evaluation.comparison.systems import System, shared_rows
from models.evaluation.comparisons import (
    Difference,
    holm,
    mcnemar_p,
    paired_difference,
    paired_t_p,
)
from models.evaluation.measuring import COMPARED
from models.evaluation.seed_resamples import resampled_mean_over_seeds

METRIC_OF_ANSWERS = "f1"
"""The rows that carry McNemar's test, which is of answers and of no metric."""
CORRECTION = (
    "Holm within each family of tests: bootstrap, combined test and t-test each over all comparisons on "
    f"{', '.join(COMPARED)}; McNemar over all comparisons"
)
METHODS = {
    "difference": "mean over the seeds that both systems have, first less second, on the measured split",
    "shown": (
        "both p_bootstrap and p_combined, each after correction, are below 1 - confidence; with one seed this is about "
        "these trained models: other seeds are not covered"
    ),
    "p_bootstrap": (
        "paired bootstrap over groups and seeds, one draw for all systems; where few seeds differ as a whole by more "
        "than groups explain it, and the interval beside it, is too bold, so that it alone shows nothing"
    ),
    "p_combined": (
        "test of the same difference with the chance of seeds and of groups taken apart: it must exceed the root of "
        "the sum of both variances, each times its squared t quantile with one degree of freedom fewer than there are "
        "seeds, or groups (Banerjee 1960); wrong at most as often as stated, whichever part is greater"
    ),
    "degrees": (
        "degrees of freedom of the variance as a whole (Satterthwaite): near the number of seeds where these make the "
        "chance, near that of groups where those do"
    ),
    "too_bold": "the bootstrap shows it, the combined test does not: not settled; more seeds would tell",
    "p_t": "paired t-test over seeds: chance in training only, on these very records; null where seeds cannot tell",
    "p_mcnemar": (
        "McNemar on the answers of the median seeds (median F1 on validation), exact below 25 discordant records, else "
        "chi-squared with continuity correction: chance in records only, and these taken for independent, which "
        "records of one commit are not; beside the bootstrap, not instead"
    ),
    "minimum_detectable": (
        "true difference that the combined test would show with the stated power (80 of 100 such measurements for "
        "0.8), after correction, by t theory; more than the metric has room for: none could be shown so surely"
    ),
}


@dataclass(frozen=True)
class Contender:
    """What was measured of a system.

    Args:
        measured: On the split.
        is_right: ``(N,)`` which records its median seed answers rightly.
    """

    measured: SeededMeasures
    is_right: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Compared:
    """Two systems on one metric.

    Args:
        first: Name.
        second: Name.
        metric: One of ``COMPARED``.
        num_seeds: Seeds that both have.
        difference: Over groups and seeds.
        p_t: Of the t-test over seeds; NaN where there is none.
        p_mcnemar: NaN but on rows of ``METRIC_OF_ANSWERS``.
        share_first_better: Of resamples, a tie counting half.
        minimum_detectable: By t theory, after correction.
        is_too_bold: Whether the bootstrap shows it after correction and the combined test does not.
        p_combined: Of the test over seeds and groups.
        degrees: Of freedom of its variance.
    """

    first: str
    second: str
    metric: str
    num_seeds: int
    difference: Difference
    p_t: float
    p_mcnemar: float
    share_first_better: float
    minimum_detectable: float
    is_too_bold: bool = False
    p_combined: float = math.nan
    degrees: float = math.nan


@dataclass(frozen=True)
class Corrected:
    """A comparison with its p-values after correction, in the order of ``Compared``.

    Args:
        of: The comparison.
        p_bootstrap: "
        p_t: "
        p_mcnemar: "
        shown: Whether bootstrap and combined test show a difference.
        p_combined: After correction, too.
    """

    of: Compared
    p_bootstrap: float
    p_t: float
    p_mcnemar: float
    shown: bool
    p_combined: float = math.nan


@dataclass(frozen=True)
class Pairing:
    """Who is compared with whom.

    Args:
        first: Name.
        second: Name.
        first_rows: Where the seeds that both have are in the first.
        second_rows: And in the second.
    """

    first: str
    second: str
    first_rows: list[int]
    second_rows: list[int]


def pairs_to_compare(systems: Sequence[System], chosen: Sequence[tuple[str, str]]) -> list[Pairing]:
    """The comparisons, in order.

    Args:
        systems: The models.
        chosen: By name; none: every two of them.

    Raises:
        SettingsInvalid: Two of them share no seed. Not retried.
    """
    by_name = {system.name: system for system in systems}
    pairs = [(by_name[one], by_name[other]) for one, other in chosen] or list(combinations(systems, 2))
    return [Pairing(first.name, second.name, *shared_rows(first, second)) for first, second in pairs]


def compare_systems(
    pairings: Sequence[Pairing],
    contenders: Mapping[str, Contender],
    *,
    num_groups: int,
    confidence: float,
    power: float,
    seed: int,
) -> list[Corrected]:
    """Every pairing on every metric of ``COMPARED``, corrected for their number.

    Args:
        pairings: Of ``pairs_to_compare``.
        contenders: By name, on the same resamples.
        num_groups: Groups that resamples draw from.
        confidence: Of intervals, and ``1 - alpha`` of the tests.
        power: For the minimum detectable difference.
        seed: Seed of the draw of seeds.
    """
    num_tests = len(pairings) * len(COMPARED)
    found = []
    for pairing in pairings:
        one, other = contenders[pairing.first], contenders[pairing.second]
        p_mcnemar = mcnemar_p(one.is_right, other.is_right)
        both = one.measured.only(pairing.first_rows), other.measured.only(pairing.second_rows)
        for metric in COMPARED:
            first, second = (own.by_seed[metric] for own in both)
            draws = both[0].resampled[metric], both[1].resampled[metric]
            means = (resampled_mean_over_seeds(draws[0], seed=seed), resampled_mean_over_seeds(draws[1], seed=seed))
            difference = paired_difference(float(first.mean()), float(second.mean()), means, confidence)
            chance = chance_of(first - second, draws[0] - draws[1], num_groups)
            compared = Compared(
                pairing.first,
                pairing.second,
                metric,
                num_seeds=len(first),
                difference=difference,
                p_t=paired_t_p(first, second),
                p_mcnemar=p_mcnemar if metric == METRIC_OF_ANSWERS else math.nan,
                share_first_better=probability_better(*means),
                minimum_detectable=minimum_detectable(chance, num_tests=num_tests, confidence=confidence, power=power),
                p_combined=combined_p(difference.value, chance),
                degrees=chance.degrees,
            )
            found.append(compared)
    return _corrected(found, confidence)


def _corrected(found: Sequence[Compared], confidence: float) -> list[Corrected]:
    alpha = 1.0 - confidence
    bootstrap = holm([each.difference.p_value for each in found])
    combined = holm([each.p_combined for each in found])
    by_seeds = holm([each.p_t for each in found])
    of_answers = [at for at, each in enumerate(found) if each.metric == METRIC_OF_ANSWERS]
    answers = dict(zip(of_answers, holm([found[at].p_mcnemar for at in of_answers]), strict=True))
    return [
        Corrected(
            replace(each, is_too_bold=p < alpha and not p_combined < alpha),  # a NaN is never below
            p,
            p_t,
            answers.get(at, math.nan),
            shown=p < alpha and p_combined < alpha,
            p_combined=p_combined,
        )
        for at, (each, p, p_combined, p_t) in enumerate(zip(found, bootstrap, combined, by_seeds, strict=True))
    ]
