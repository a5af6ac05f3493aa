"""What a system says of a vulnerable function and its fix, two functions that differ in little else.

Source:
    PrimeVul (Ding et al. 2024, section 4): P-C right of both, P-V both called vulnerable, P-B both called safe, P-R the
    wrong way round. Who guesses with a coin reaches a quarter of each; who calls a share ``q`` of all functions by
    chance reaches ``q (1 - q)`` of P-C and of P-R.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import DataInvalid
from models.evaluation.intervals import Resamples, percentile_interval, resampled_mean
from models.evaluation.metrics import Floats
from models.evaluation.records import SplitRecords
from models.evaluation.seed_resamples import resampled_mean_over_seeds

VULNERABLE, FIXED = "vulnerable", "fixed"
OUTCOMES = {"P-C": (True, False), "P-V": (True, True), "P-B": (False, False), "P-R": (False, True)}
"""Answers for the vulnerable and the fixed function: whether it is called vulnerable."""
METHOD = (
    "shares of pairs at the frozen threshold, means over seeds; intervals over groups of pairs and seeds. by_chance is "
    "what as many calls by chance would reach; a coin reaches 0.25 of each"
)


@dataclass(frozen=True)
class Pairs:
    """Which records belong together.

    Args:
        vulnerable: ``(P,)`` rows of the vulnerable functions.
        fixed: ``(P,)`` rows of their fixes.
        groups: ``P`` groups, those of the vulnerable functions.
    """

    vulnerable: npt.NDArray[np.intp]
    fixed: npt.NDArray[np.intp]
    groups: list[str]

    def __len__(self) -> int:
        return len(self.groups)


def read_pairs(records: SplitRecords) -> Pairs:
    """The pairs of a pairs probe, by the metadata of its records.

    Raises:
        DataInvalid: A record has no pair or side, or a pair is not one vulnerable and one fixed function. Not retried.
    """
    sides: dict[str, dict[str, int]] = {}
    for row, metadata in enumerate(_metadata(records)):
        pair, side = metadata.get("pair"), metadata.get("side")
        if pair is None or side not in (VULNERABLE, FIXED):
            problem = f"expected pair and side ({VULNERABLE} or {FIXED}) in metadata, found {pair!r} and {side!r}"
            raise DataInvalid(records.path, problem, line=row + 1)
        if side in sides.setdefault(str(pair), {}):
            raise DataInvalid(records.path, f"pair {pair!r} has two {side} functions; expected one", line=row + 1)
        if records.labels[row] != int(side == VULNERABLE):
            raise DataInvalid(records.path, f"a {side} function has label {records.labels[row]}", line=row + 1)
        sides[str(pair)][side] = row
    for pair, found in sides.items():
        if len(found) < 2:
            raise DataInvalid(records.path, f"pair {pair!r} has only a {next(iter(found))} function; expected both")
    vulnerable = [found[VULNERABLE] for found in sides.values()]
    fixed = [found[FIXED] for found in sides.values()]
    groups = [records.groups[row] for row in vulnerable]
    if len(set(groups)) < 2:
        raise DataInvalid(records.path, "all pairs are of one group; resamples are drawn from two or more")
    return Pairs(np.array(vulnerable, dtype=np.intp), np.array(fixed, dtype=np.intp), groups)


def outcomes_of(pairs: Pairs, called: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[np.bool_]]:
    """``(..., P)`` which pairs end in each outcome, by answers ``(..., N)``; each pair ends in one."""
    vulnerable, fixed = called[..., pairs.vulnerable], called[..., pairs.fixed]
    return {name: (vulnerable == first) & (fixed == second) for name, (first, second) in OUTCOMES.items()}


def measure_pairs(
    resamples: Resamples, pairs: Pairs, scores: Floats, thresholds: Floats, *, confidence: float, seed: int
) -> dict[str, Any]:
    """``num_pairs`` and, by outcome, ``value`` with interval and ``by_chance``.

    Args:
        resamples: Draws of groups of the pairs.
        pairs: ``P`` pairs.
        scores: ``(S, N)`` of the probe's records, one row a seed.
        thresholds: ``(S,)``, frozen.
        confidence: Coverage of the intervals.
        seed: Seed of the draw of seeds.
    """
    called = scores >= thresholds[:, None]
    calls = called[:, np.concatenate([pairs.vulnerable, pairs.fixed])].mean(axis=1)
    measured: dict[str, Any] = {"num_pairs": len(pairs), "num_groups": resamples.num_groups}
    for name, ends_so in outcomes_of(pairs, called).items():
        by_seed = np.stack([resampled_mean(resamples, own.astype(np.float64)) for own in ends_so], axis=-1)
        interval = percentile_interval(resampled_mean_over_seeds(by_seed, seed=seed), confidence)
        by_chance = np.prod([calls if answer else 1.0 - calls for answer in OUTCOMES[name]], axis=0)
        measured[name] = {
            "value": float(ends_so.mean()),
            "low": interval.low,
            "high": interval.high,
            "by_chance": float(by_chance.mean()),
        }
    return measured


def _metadata(records: SplitRecords) -> Iterator[dict[str, Any]]:
    import orjson

    with records.path.open("rb") as lines:
        for line in lines:
            yield orjson.loads(line)["metadata"]
