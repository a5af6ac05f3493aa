"""Sweeps whose truth is known: candidates with a given F1 that answer on shared, simulated findings.

A record's difficulty is one number that all candidates share, in part with the other records of its file; each
candidate adds its own noise, part of it per file, and each seed its own noise and its own skill. A candidate is right
where the sum stays below a cut that gives its true F1. Two candidates of F1 0.70 agree on 86 % of the records.
"""

from __future__ import annotations

from functools import cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

SHARE_POSITIVE = 0.3
FILE_SIZES = (1, 2, 3)
FILE_SHARES = (0.79, 0.15, 0.06)
"""Findings per file, as in the published test sets of Ansible, Chef and Puppet."""
LABEL_BY_FILE = 0.5
DIFFICULTY_BY_FILE = 0.3
SHARED = 0.8
"""Variance of a candidate's errors that all candidates have in common."""
BY_SEED = 0.8
"""Of the rest, where a candidate has several seeds, the part that is each seed's own."""
SEED_SKILL = 0.08
"""Standard deviation of the seeds' skill: 3 points of F1."""
MORE_FALSE_NEGATIVES = 0.3
"""How much further a cut lies from the records of label 0, of which there are more: recall and precision are alike."""
NORMAL = NormalDist()


class Case(NamedTuple):
    """A kind of sweep.

    Args:
        true_f1: Of each candidate, in the population.
        num_records: Findings that they are ranked on.
        num_seeds: Trials of each candidate.
    """

    true_f1: tuple[float, ...]
    num_records: int
    num_seeds: int = 1

    @property
    def is_best(self) -> Bools:
        """``(C,)`` which candidates are the best, or equally so."""
        return np.asarray(np.equal(self.true_f1, max(self.true_f1)))


class SimulatedSweep(NamedTuple):
    """One sweep.

    Args:
        labels: ``(N,)``.
        files: ``(N,)`` file of each record.
        answers: ``(C, S, N)`` of each candidate and seed.
    """

    labels: Bools
    files: Integers
    answers: Bools


def simulate(case: Case, *, seed: int) -> SimulatedSweep:
    """Draw the findings and every candidate's answers."""
    random = np.random.default_rng(seed)
    sizes = random.choice(FILE_SIZES, p=FILE_SHARES, size=case.num_records)
    files = np.repeat(np.arange(case.num_records), sizes)[: case.num_records]

    def noise(by_file: float, *leading: int) -> npt.NDArray[np.float64]:
        """Unit normal ``(..., N)``, a part of its variance shared within each file."""
        of_file = random.standard_normal((*leading, files[-1] + 1))[..., files]
        own = random.standard_normal((*leading, case.num_records))
        return np.asarray(by_file**0.5 * of_file + (1 - by_file) ** 0.5 * own)

    labels = noise(LABEL_BY_FILE) < NORMAL.inv_cdf(SHARE_POSITIVE)
    num, seeds = len(case.true_f1), case.num_seeds
    own = noise(DIFFICULTY_BY_FILE, num, 1)
    if seeds > 1:
        own = (1 - BY_SEED) ** 0.5 * own + BY_SEED**0.5 * random.standard_normal((num, seeds, case.num_records))
        own += SEED_SKILL / (1 - SHARED) ** 0.5 * random.standard_normal((num, seeds, 1))
    difficulty = SHARED**0.5 * noise(DIFFICULTY_BY_FILE) + (1 - SHARED) ** 0.5 * own
    cuts = np.array([cut_of(value) for value in case.true_f1])[:, None, None]
    is_right = difficulty < np.where(labels, cuts, cuts + MORE_FALSE_NEGATIVES)
    return SimulatedSweep(labels, files, np.where(is_right, labels, ~labels))


@cache
def cut_of(true_f1: float) -> float:
    """The cut at which a candidate has this F1 in the population, by bisection."""
    low, high = -4.0, 6.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if population_f1(middle) < true_f1 else (low, middle)
    return low


def population_f1(cut: float) -> float:
    """F1 of infinitely many records."""
    found = SHARE_POSITIVE * NORMAL.cdf(cut)
    false_alarms = (1 - SHARE_POSITIVE) * NORMAL.cdf(-cut - MORE_FALSE_NEGATIVES)
    return 2 * found / (SHARE_POSITIVE + found + false_alarms)
