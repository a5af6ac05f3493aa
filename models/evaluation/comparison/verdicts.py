"""What a comparison shows, in sentences for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from models.evaluation.comparison.differences import Corrected

TITLES = {"f1": "F1", "mcc": "MCC", "auroc": "AUROC"}
ROOM = {"f1": 1.0, "mcc": 2.0, "auroc": 1.0}
"""The greatest difference that two systems can have."""
TIMES = {2: "two", 3: "three", 4: "four", 5: "five", 10: "ten", 20: "twenty"}
SEALED = "On validation, where thresholds were chosen too (the test split stays sealed): "


def verdicts_of(
    rows: Sequence[Corrected], *, num_records: int, confidence: float, power: float, test_opened: bool
) -> list[str]:
    """One sentence for each two systems, in the order of the rows.

    Args:
        rows: Those of two systems one after the other.
        num_records: Measured on.
        confidence: ``1 - alpha`` of the tests.
        power: At which the minimum detectable difference is seen.
        test_opened: Else it is about validation, and each sentence says so.
    """
    told = [
        _verdict(list(own), num_records, confidence, power)
        for _, own in groupby(rows, key=lambda row: (row.of.first, row.of.second))
    ]
    return [_begun(verdict) if test_opened else SEALED + verdict for verdict in told]


def _verdict(rows: Sequence[Corrected], num_records: int, confidence: float, power: float) -> str:
    one, other = rows[0].of.first, rows[0].of.second
    unsettled = [row for row in rows if row.of.is_too_bold and not row.shown]
    clauses = []
    for winner, loser, sign in ((one, other, 1.0), (other, one, -1.0)):
        won = [row for row in rows if row.shown and sign * row.of.difference.value > 0]
        if won:
            gains = listed([f"{TITLES[row.of.metric]} ({_gain(row, sign)})" for row in won])
            clauses.append(f"{winner} is shown to be better than {loser} on {gains}{_doubt(won, confidence)}")
    for winner, loser, sign in ((one, other, 1.0), (other, one, -1.0)):
        open_ = [row for row in unsettled if sign * row.of.difference.value > 0]
        if open_:
            gains = listed([f"{TITLES[row.of.metric]} ({_gain(row, sign)})" for row in open_])
            clauses.append(f"whether {winner} is better than {loser} on {gains} is not settled: {_bold(open_)}")
    unshown = [row for row in rows if not row.shown and row not in unsettled]
    if unshown:
        metrics = [TITLES[row.of.metric] for row in unshown]
        where = f"on {listed(metrics)} " if clauses else ""
        which = "" if clauses else f" between {one} and {other} on {listed(metrics, last='or')}"
        clauses.append(f"{where}no difference is shown{which}{_unseen(unshown, num_records, power)}")
    return "; ".join(clauses) + "."


def _bold(rows: Sequence[Corrected]) -> str:
    return f"the bootstrap shows it, the t-test over {num_seeds_text(rows[0].of.num_seeds)} and groups does not"


def _begun(sentence: str) -> str:
    """With a capital, but names of systems are left as they are written."""
    return sentence[0].upper() + sentence[1:] if sentence.startswith(("no difference ", "whether ")) else sentence


def _gain(row: Corrected, sign: float) -> str:
    difference = row.of.difference
    ends = sorted((sign * difference.interval.low, sign * difference.interval.high))
    return f"{sign * difference.value:+.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"


def _doubt(won: Sequence[Corrected], confidence: float) -> str:
    """On which metrics the t-test over seeds does not follow the bootstrap."""
    doubted = [row for row in won if row.of.num_seeds > 1 and not row.p_t < 1.0 - confidence]
    if not doubted:
        return ""
    where = "" if len(won) == 1 else f" on {listed([TITLES[row.of.metric] for row in doubted])}"
    return f", which the t-test over {doubted[0].of.num_seeds} seeds alone does not show{where}"


def _unseen(rows: Sequence[Corrected], num_records: int, power: float) -> str:
    known = [row.of for row in rows if math.isfinite(row.of.minimum_detectable) and row.of.minimum_detectable > 0]
    within = [of for of in known if can_be_detected(of.metric, of.minimum_detectable)]
    beyond = [TITLES[of.metric] for of in known if of not in within]
    if not known:
        return ""
    named = [f"{of.minimum_detectable:.3f} ({TITLES[of.metric]})" for of in within]
    under = f"differences under {listed(named)}" if within else ""
    if len(known) == len(within) == 1:
        under = f"a difference under {within[0].minimum_detectable:.3f}"
    if beyond:
        under = f"{under} and any on {listed(beyond)}" if within else "any difference"
    seeds = num_seeds_text(rows[0].of.num_seeds)
    return f": with {seeds} and {num_records} records {under} would be missed more often than {times_missed(power)}"


def can_be_detected(metric: str, minimum_detectable: float) -> bool:
    """Whether the metric has room for the minimum detectable difference; else every true one is mostly missed."""
    return minimum_detectable < ROOM[metric]


def times_missed(power: float) -> str:
    """How often a difference of the minimum detectable size is missed: ``one time in five`` for a power of 0.8."""
    every = round(1.0 / (1.0 - power)) if power < 1.0 else 0
    is_whole = every in TIMES and math.isclose(every * (1.0 - power), 1.0)
    return f"one time in {TIMES[every]}" if is_whole else f"{1.0 - power:.1%} of the time"


def num_seeds_text(num_seeds: int) -> str:
    """``5 seeds``."""
    return f"{num_seeds} seed{'s' * (num_seeds != 1)}"


def listed(parts: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"
