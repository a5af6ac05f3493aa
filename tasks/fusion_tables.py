"""What a comparison's report tells of the fusion: how it was learnt, and what it gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.comparison_words import number, p_text
from tasks.report_claims import METRIC_TITLES, signed
from tasks.tables import PlainTable

APART = {"group": "", "project": " nor another function of its project"}
"""What folds keep together, besides commits and near copies."""
WHERE = {"group": "within projects", "project": "across projects"}
"""Where a gain was measured, by what its folds keep together."""
SCORES = ("auroc", "f1", "log_loss", "brier")


def fusion_tables(fusions: Sequence[Mapping[str, Any]]) -> list[PlainTable]:
    """Of each fusion what its models weigh and score out of fold, and its gain over the best of them."""
    return [table for fusion in fusions for table in (scores_table(fusion), gain_table(fusion))]


def scores_table(fusion: Mapping[str, Any]) -> PlainTable:
    """What each model weighs, and how it scores out of fold beside the fusion."""
    found, weights = fusion["out_of_fold"], _weights(fusion)
    return PlainTable(
        f"Scores {WHERE[fusion['folds_by']]}: {found['num_records']} training records in {found['num_folds']} folds, "
        f"each scored by models that never saw it{APART[fusion['folds_by']]}",
        ("System",),
        ("Weight" if fusion["method"] == "average" else "Coefficient", *(_title(score) for score in SCORES)),
        tuple(
            (name, number(weights.get(name)), *(number(scores.get(score)) for score in SCORES))
            for name, scores in found["systems"].items()
        ),
    )


def gain_table(fusion: Mapping[str, Any]) -> PlainTable:
    """What fusing gains over the best model."""
    return PlainTable(
        f"Gain {WHERE[fusion['folds_by']]} over the best model in each fold (of all: {fusion['best_base']}); of log "
        "loss and Brier less is better",
        ("Metric",),
        ("Gain", "Low", "High", "p after Holm"),
        tuple(
            (_title(metric), signed(g["value"]), signed(g["low"]), signed(g["high"]), p_text(g["p_value_corrected"]))
            for metric, g in fusion["out_of_fold"]["gain"].items()
        ),
    )


def interval_text(fusion: Mapping[str, Any]) -> str:
    """What the intervals of the gain are about."""
    return f"{WHERE[fusion['folds_by']].capitalize()}, intervals are for {fusion['out_of_fold']['interval_for']}."


def weights_text(fusion: Mapping[str, Any]) -> str:
    """``weights transformer 0.70, gnn 0.30``."""
    head = "weights" if fusion["method"] == "average" else "coefficients"
    return f"{head} {', '.join(f'{name} {number(value, 2)}' for name, value in _weights(fusion).items())}"


def _weights(fusion: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = fusion["weights"] if fusion["method"] == "average" else fusion["coefficients"]
    return found


def _title(metric: str) -> str:
    return {"log_loss": "Log loss"}.get(metric, METRIC_TITLES.get(metric, metric))
