"""Class balance: whether every split has both labels, in like shares."""

from __future__ import annotations

import itertools
import math
from typing import Any

from models.evaluation.audit.checks import Section, Topic, Verdict, percent
from models.evaluation.audit.rows import AuditRows

BALANCE = Topic("class_balance", "Class balance", "Do the splits hold both labels, in like shares?")
NOTABLE, LARGE = 0.05, 0.15
"""Difference of the shares of label 1 between splits that is worth a look, and that makes scores incomparable."""
RARE = 0.05
MIN_STANDARD_ERRORS = 3.0
"""By how many a difference must exceed 0 to be one, groups counted as one record each."""


def class_balance(rows: AuditRows, splits: dict[str, dict[str, Any]]) -> Section:
    """Shares of label 1; labels of the sealed split are counted, as the preprocess report counts them.

    Args:
        rows: All records.
        splits: ``audit_rows.split_counts`` of them.
    """
    shares = {split: found["labels"]["1"] / found["records"] for split, found in splits.items()}
    difference = _shown_difference(
        shares, {split: found["groups"] or found["records"] for split, found in splits.items()}
    )
    rarest = min(min(share, 1.0 - share) for share in shares.values())
    verdict: Verdict = "good"
    if rarest == 0.0 or difference > LARGE:
        verdict = "bad"
    elif difference > NOTABLE or rarest < RARE:
        verdict = "look"
    told = ", ".join(f"{split} {percent(share)} of {splits[split]['records']:,}" for split, share in shares.items())
    one_label = [split for split, share in shares.items() if share in (0.0, 1.0)]
    problem = f" {', '.join(one_label)}: one label only; ranking metrics are not defined there." if one_label else ""
    advice = (
        "Give each split records of either label."
        if one_label
        else "Choose thresholds on data with the share of label 1 you expect, and read F1 and AUPRC beside that share."
    )
    overall = float(rows.labels.mean())
    check = BALANCE.judged(verdict, f"Label 1: {told}.{problem}", value=overall, advice=advice)
    return Section("class_balance", {"share_label_1": shares}, (check,))


def _shown_difference(shares: dict[str, float], sizes: dict[str, int]) -> float:
    """The largest difference of two splits' shares that chance does not explain; 0 where there is none."""
    largest = 0.0
    for first, second in itertools.combinations(shares, 2):
        pooled = (shares[first] * sizes[first] + shares[second] * sizes[second]) / (sizes[first] + sizes[second])
        error = math.sqrt(pooled * (1.0 - pooled) * (1.0 / sizes[first] + 1.0 / sizes[second]))
        difference = abs(shares[first] - shares[second])
        if difference > MIN_STANDARD_ERRORS * error:
            largest = max(largest, difference)
    return largest
