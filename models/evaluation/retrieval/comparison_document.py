"""What is told of measured systems and their differences: JSON values, and sentences for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from models.evaluation.comparison.document import P_DIGITS
from models.evaluation.comparison.verdicts import listed, num_seeds_text, times_missed
from models.evaluation.measuring import can_show, resamples_to_show
from models.evaluation.metrics import as_json
from models.evaluation.retrieval.comparing import POWER, Compared, Measured, Sample

MAXIMUM = 1.0
"""Of every metric here, and of a difference; a larger one cannot be."""
FEW_GROUPS = 30
"""Groups below which a bootstrap over them is known to be too bold."""


def describe_measured(measured: Measured, sample: Sample) -> dict[str, Any]:
    """Each metric with its interval, and of several seeds their values and spread."""
    described: dict[str, Any] = {}
    for name, values in measured.values.items():
        described[name] = sample.describe(values)
        if len(values) > 1:
            by_seed = values.mean(axis=1)
            described[name]["seed_sd"] = float(by_seed.std(ddof=1))
            described[name]["by_seed"] = dict(zip(measured.seeds, by_seed.tolist(), strict=True))
    told: dict[str, Any] = as_json(described)
    return told


def describe_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Each metric's mean over queries (and seeds), without interval."""
    told: dict[str, Any] = as_json({name: float(np.mean(own)) for name, own in values.items()})
    return told


def describe_comparison(row: Compared) -> dict[str, Any]:
    """One difference with its tests."""
    difference = row.difference
    return {
        "first": row.first,
        "second": row.second,
        "metric": row.metric,
        **as_json({"difference": difference.value, "low": difference.interval.low, "high": difference.interval.high}),
        "p_bootstrap": _p(difference.p_value),
        "p_bootstrap_corrected": _p(row.p_bootstrap_corrected),
        "p_combined": _p(row.p_combined),
        "p_combined_corrected": _p(row.p_combined_corrected),
        "minimum_detectable": as_json(row.minimum_detectable),
        "num_seeds": row.num_seeds,
        "shown": row.shown,
    }


def verdicts_of(rows: Sequence[Compared], sample: Sample) -> list[str]:
    """One sentence for each two systems, in the order of the rows."""
    pairs = groupby(rows, key=lambda row: (row.first, row.second))
    return [_verdict(list(own), sample.num_groups) for _, own in pairs]


def warnings_of_sample(num_tests: int, sample: Sample) -> Iterator[str]:
    """What keeps differences from being shown, or makes them look surer than they are."""
    if sample.num_groups < 2:
        yield f"{sample.num_groups} group: no interval and no comparison; give queries of at least two groups"
        return
    if sample.num_groups < FEW_GROUPS:
        yield f"{sample.num_groups} groups are few: intervals over them are too narrow, and only large differences show"
    if num_tests and not can_show(num_tests, sample.how):
        yield (
            f"num_resamples={sample.how.num_resamples} is too few to show any difference after correcting for "
            f"{num_tests} tests; give num_resamples={resamples_to_show(num_tests, sample.how)} or more"
        )


def _verdict(rows: Sequence[Compared], num_groups: int) -> str:
    one, other = rows[0].first, rows[0].second
    clauses = []
    for winner, loser, sign in ((one, other, 1.0), (other, one, -1.0)):
        won = [_gain(row, sign) for row in rows if row.shown and sign * row.difference.value > 0]
        if won:
            clauses.append(f"{winner} is shown to be better than {loser} on {listed(won)}")
    alike = [row for row in rows if _is_alike(row)]
    if alike:
        clauses.append(f"{one} and {other} have the same order by {listed([row.metric for row in alike])}")
    unshown = [row for row in rows if not row.shown and not _is_alike(row)]
    if unshown:
        which = f"on {listed([row.metric for row in unshown])}"
        between = "" if clauses else f" between {one} and {other}"
        clauses.append(f"no difference is shown{between} {which}{_unseen(unshown, num_groups)}")
    told = "; ".join(clauses) + "."
    return told[0].upper() + told[1:] if told.startswith("no difference") else told


def _is_alike(row: Compared) -> bool:
    """Whether no list tells the two apart: what was found is no chance, and nothing was missed."""
    interval = row.difference.interval
    return row.difference.value == interval.low == interval.high == 0.0


def _gain(row: Compared, sign: float) -> str:
    ends = sorted((sign * row.difference.interval.low, sign * row.difference.interval.high))
    return f"{row.metric} ({sign * row.difference.value:+.3f} [{ends[0]:.3f}, {ends[1]:.3f}])"


def _unseen(rows: Sequence[Compared], num_groups: int) -> str:
    known = [row for row in rows if math.isfinite(row.minimum_detectable) and row.minimum_detectable > 0]
    if not known:
        return ""
    has_room = [row for row in known if row.minimum_detectable < MAXIMUM]
    told = f": with {num_seeds_text(rows[0].num_seeds)} and {num_groups} groups "
    if not has_room:
        return f"{told}nothing up to the maximum could be shown"
    under = listed([f"{row.minimum_detectable:.3f} ({row.metric})" for row in has_room])
    told += f"differences under {under} would be missed more often than {times_missed(POWER)}"
    nothing = [row.metric for row in known if row.minimum_detectable >= MAXIMUM]
    return f"{told}; on {listed(nothing)} nothing up to the maximum could be shown" if nothing else told


def _p(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.{P_DIGITS}g}")
