"""What was found, in a few lines: data, audit, noise and fusion, before any table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.audit_report import audit_line
from tasks.collection_report import collection_line
from tasks.comparison_inputs import Beside
from tasks.comparison_words import difference_text, metric_title
from tasks.fusion_tables import WHERE, weights_text
from tasks.weighing_tables import noise_line, spread_line

GAINS = ("auroc", "f1")
"""Of these the gain is told in the line."""


def summary_lines(beside: Beside) -> Iterator[str]:
    """A line for each part that there is."""
    if beside.collection is not None:
        yield collection_line(beside.collection)
    if beside.audit is not None:
        yield audit_line(beside.audit)
    if beside.weighing is not None:
        yield noise_line(beside.weighing)
        yield spread_line(beside.weighing)
    if beside.fusions:
        yield fusion_line(beside.fusions)


def fusion_line(fusions: tuple[Mapping[str, Any], ...]) -> str:
    """What each model weighs, and what the fusion gains over the best of them."""
    gains = [f"{_gain(fusion)} {WHERE[fusion['folds_by']]}" for fusion in fusions]
    return f"Fusion: {weights_text(fusions[0])}; gain over its best model out of fold: {'; '.join(gains)}."


def _gain(fusion: Mapping[str, Any]) -> str:
    found = fusion["out_of_fold"]["gain"]
    told = [
        f"{metric_title(metric)} {difference_text({'difference': found[metric]['value'], **found[metric]})}"
        for metric in GAINS
        if metric in found
    ]
    return " and ".join(told)
