"""How many functions of each label a split keeps, so that the asked share of them is vulnerable."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from models.errors import DataInvalid

LEAST = 0.5
"""A ratio that asks for less than this of a label in a split would leave none of it."""


class LabelCounts(NamedTuple):
    """Functions of a split by label.

    Args:
        vulnerable: Those labelled 1.
        safe: Those labelled 0.
    """

    vulnerable: int
    safe: int

    @property
    def ratio(self) -> float | None:
        """Share of vulnerable ones; ``None`` where there is no function."""
        total = self.vulnerable + self.safe
        return self.vulnerable / total if total else None


def kept_counts(counts: LabelCounts, ratio: float) -> LabelCounts | None:
    """What a split keeps, some of one label left out; ``None`` where nothing of a label would be left.

    Args:
        counts: What it has.
        ratio: Share of vulnerable functions, in (0, 1).

    Returns:
        Of all counts that leave one label whole and of the other at least one, those whose share is nearest, and of
        equally near ones the larger.
    """
    vulnerable, safe = counts
    if vulnerable == 0 or safe == 0:
        return None
    if vulnerable >= ratio * (vulnerable + safe):
        kept = _nearest(vulnerable, safe, ratio)
        return LabelCounts(kept, safe) if kept else None
    kept = _nearest(safe, vulnerable, 1 - ratio)
    return LabelCounts(vulnerable, kept) if kept else None


def _nearest(most: int, others: int, share: float) -> int:
    """How many of one label to keep beside all of the other, such that they are ``share``; 0 where below a half."""
    ideal = others * share / (1 - share)
    if ideal < LEAST:
        return 0
    tried = (min(math.floor(ideal) + 1, most), min(max(math.floor(ideal), 1), most))
    return min(tried, key=lambda kept: abs(kept / (kept + others) - share))


def check_ratio(path: Path, splits: Mapping[str, LabelCounts], ratio: float) -> None:
    """Refuse a ratio that some split cannot meet.

    Raises:
        DataInvalid: One has functions of one label only, or so few that none of a label would be left; says what could
            be met. Not retried.
    """
    if all(kept_counts(counts, ratio) is not None for counts in splits.values()):
        return
    shown = "; ".join(
        f"{name} has {counts.vulnerable} vulnerable, {counts.safe} safe" for name, counts in splits.items()
    )
    raise DataInvalid(path, f"balance_ratio={ratio:g} cannot be met: {shown}; {_what_can_be(splits)}")


def _what_can_be(splits: Mapping[str, LabelCounts]) -> str:
    lacking = [name for name, counts in splits.items() if 0 in counts]
    if lacking:
        one = {
            "vulnerable" if counts.vulnerable else "safe" for counts in splits.values() if 0 in counts and any(counts)
        }
        only = f" ({' and '.join(sorted(one))} ones only)" if one else ""
        return (
            f"no ratio can be, as {', '.join(lacking)} lacks a label{only}: give more labelled repositories or files, "
            "larger shares, split_by=file, or an empty balance_ratio to leave functions as they are"
        )
    lowest = max(_limit(counts.safe) for counts in splits.values())
    highest = 1 - max(_limit(counts.vulnerable) for counts in splits.values())
    return f"ratios from {lowest:.3g} to {highest:.3g} can be met in every split, or leave balance_ratio empty"


def _limit(others: int) -> float:
    """The smallest share of a label beside ``others`` of the other."""
    return LEAST / (others + LEAST)


def variants_over(
    variants: Mapping[int, Sequence[str]], vulnerable: Sequence[int], safe: Sequence[int], ratio: float, seed: int
) -> frozenset[str]:
    """Ids of the variants to leave out, so that the share with variants is as near as whole rows allow.

    Not all functions have as many variants as were asked for. No original is left out; of the larger label the last
    variants of functions go first, which ones of equally late depends on their ids and the seed alone.

    Args:
        variants: Ids of the variants of a row, in order.
        vulnerable: Rows labelled 1.
        safe: Rows labelled 0.
        ratio: Share of vulnerable ones, in (0, 1).
        seed: Decides which of many.
    """
    sides = LabelCounts(*(sum(1 + len(variants.get(row, ())) for row in rows) for rows in (vulnerable, safe)))
    kept = kept_counts(sides, ratio)
    assert kept is not None, "the originals alone could be balanced"
    larger, surplus = (vulnerable, sides[0] - kept[0]) if kept[0] < sides[0] else (safe, sides[1] - kept[1])
    numbered = [(-number, name) for row in larger for number, name in enumerate(variants.get(row, ()))]
    numbered.sort(key=lambda item: (item[0], hashlib.sha256(f"{seed}:variants:{item[1]}".encode()).digest()))
    return frozenset(name for _, name in numbered[:surplus])


def chosen_rows(rows: Sequence[int], ids: Sequence[str], count: int, seed: int) -> list[int]:
    """``count`` of the rows, in their order; which ones depends on their ids and the seed alone."""
    if count >= len(rows):
        return list(rows)
    drawn = sorted(rows, key=lambda row: hashlib.sha256(f"{seed}:balance:{ids[row]}".encode()).digest())
    return sorted(drawn[:count])
