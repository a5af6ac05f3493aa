"""The chance in a difference over seeds and groups, taken apart, and a test that holds whichever of the two is greater.

A difference, the mean over seeds on drawn groups, varies with both. A bootstrap over both estimates that well, but of
seeds as a whole it knows the spread only as well as so few can tell it: with five seeds that differ as a whole it finds
something among 24 true nothings in half of all studies. So the parts are taken apart as an analysis of variance of
seeds crossed with groups does, and each has its own degrees of freedom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models.evaluation.comparison.measures import standard_error
from models.evaluation.metrics import Floats

SMALLEST_P = 1e-100
"""A p-value is not told smaller."""
SPREADS = 100
"""Values that stand for how an estimated variance may turn out, each as likely as another."""


@dataclass(frozen=True)
class Chance:
    """The two parts of the variance of a difference, and what each is known by.

    Args:
        of_seeds: Variance of the mean over seeds, as they scatter on these records; 0 for one seed, which tells none.
        of_groups: Variance from groups that all seeds share; what seeds disagree on is in ``of_seeds``.
        num_seeds: Seeds.
        num_groups: Groups, 2 or more.
    """

    of_seeds: float
    of_groups: float
    num_seeds: int
    num_groups: int

    @property
    def standard_error(self) -> float:
        """Of the difference; NaN where it is not known."""
        return math.sqrt(self.of_seeds + self.of_groups)

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the variance as a whole (Satterthwaite 1946); NaN where there is none.

        About ``num_seeds - 1`` where seeds make the chance, ``num_groups - 1`` where groups do.
        """
        parts = [value**2 / degrees for value, degrees in self._parts()]
        return (self.of_seeds + self.of_groups) ** 2 / sum(parts) if sum(parts) > 0.0 else math.nan

    def bound(self, level: float) -> float:
        """How far from 0 a difference must lie to be told from chance by a two-sided test.

        Args:
            level: Of the test.
        """
        return math.sqrt(sum(value * _t_squared(level, degrees) for value, degrees in self._parts()))

    def spreads(self) -> list[tuple[int, Floats]]:
        """Each part's degrees of freedom, and the variances that as good an estimate may give."""
        from scipy import stats

        shares = (np.arange(SPREADS) + 0.5) / SPREADS
        return [(degrees, value * stats.chi2.ppf(shares, degrees) / degrees) for value, degrees in self._parts()]

    def _parts(self) -> list[tuple[float, int]]:
        """Variance and degrees of freedom: of groups, and of seeds where there are several."""
        of_groups = (self.of_groups, self.num_groups - 1)
        return [of_groups, (self.of_seeds, self.num_seeds - 1)] if self.num_seeds > 1 else [of_groups]


def chance_of(by_seed: Floats, resampled: Floats, num_groups: int) -> Chance:
    """Take the chance of a mean over seeds apart.

    Args:
        by_seed: ``(S,)`` differences.
        resampled: ``(B, S)`` of them, on the groups that a resample drew.
        num_groups: Groups that there are to draw.

    Source:
        Owen 2007, the pigeonhole bootstrap: no bootstrap is exact for two crossed sources of chance. What seeds
        disagree on is in the spread of seeds and again in that of groups; here it is taken out of the latter.
    """
    num_seeds = len(by_seed)
    of_mean = standard_error(resampled.mean(axis=1)) ** 2
    if num_seeds < 2:
        return Chance(0.0, of_mean, num_seeds, num_groups)
    of_one = float(np.mean([standard_error(column) ** 2 for column in resampled.T]))
    disagreement = max(0.0, of_one - of_mean) / (num_seeds - 1)
    return Chance(float(by_seed.var(ddof=1)) / num_seeds, max(0.0, of_mean - disagreement), num_seeds, num_groups)


def combined_p(difference: float, chance: Chance) -> float:
    """Two-sided p-value of a difference over seeds and groups: the level at which it lies just on ``Chance.bound``.

    ``|difference| > sqrt(t_seeds**2 * of_seeds + t_groups**2 * of_groups)`` with each part's own t quantile is wrong at
    most as often as its level says, whatever the parts are to each other. It is the t-test over seeds where these make
    the chance, and that over groups where those do. One t with Satterthwaite's degrees is not: where few seeds happen
    to lie close it takes many degrees for granted (24 tests, five seeds: 15 % instead of 5 %; two: 78 %).

    Returns:
        At least ``SMALLEST_P``; NaN where difference or chance is not defined, or does not vary.

    Source:
        Banerjee 1960, Sankhya 22, 357-358.
    """
    from scipy import optimize

    if not math.isfinite(difference + chance.standard_error):
        return math.nan
    if difference == 0.0:
        return 1.0
    if not chance.standard_error > 0.0:
        return math.nan

    def excess(log_level: float) -> float:
        return chance.bound(math.exp(log_level)) - abs(difference)

    smallest = math.log(SMALLEST_P)
    if excess(smallest) <= 0.0:
        return SMALLEST_P
    return math.exp(float(optimize.brentq(excess, smallest, 0.0, xtol=1e-10)))


def minimum_detectable(chance: Chance, *, num_tests: int, confidence: float, power: float) -> float:
    """The true difference that ``combined_p`` would show in ``power`` (80 of 100) of such measurements, by t theory.

    Such: as many seeds and groups, that scatter as these do. The parts are estimated anew each time, so that with few
    seeds the bound itself is uncertain; that is reckoned with.

    Args:
        chance: Of the difference.
        num_tests: Tests that the correction is over; the strictest step of Holm's, so that it is on the safe side.
        confidence: ``1 - alpha``.
        power: Such as 0.8.

    Returns:
        In units of the metric; more than the metric has room for where no difference could be shown so surely (two
        seeds, many tests). NaN where the chance is not known.
    """
    from scipy import optimize, special

    error = chance.standard_error
    if not error > 0.0:
        return error
    level = (1.0 - confidence) / num_tests
    # (groups, seeds): every way in which the two estimates may turn out.
    parts = [_t_squared(level, degrees) * values for degrees, values in chance.spreads()]
    bounds = np.sqrt(parts[0][:, None] + (parts[1] if len(parts) > 1 else np.zeros(1)))

    def excess(difference: float) -> float:
        return float(special.ndtr((difference - bounds) / error).mean()) - power

    return float(optimize.brentq(excess, 0.0, float(bounds.max()) + 10.0 * error, xtol=1e-9 * error))


def _t_squared(level: float, degrees: int) -> float:
    """Square of the t quantile of a two-sided test."""
    from scipy import special  # its quantile is exact far out, and 200 times as fast as that of stats.t

    return float(special.stdtrit(degrees, level / 2.0)) ** 2
