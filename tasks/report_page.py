"""The parts of the report's page: rows, cards and charts of one split, and the targets; words and SVG only.

What is shown where is the template's (``report.html.j2``); what can be claimed is ``report_claims``'. How the models
were trained is ``report_training``'s.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from tasks.report_charts import Chart, Line, histogram_chart, interval_bar, line_chart
from tasks.report_claims import (
    METRIC_TITLES,
    caveats_of,
    duels_of,
    findings_of,
    models_of,
    shown_word,
    signed,
    split_title,
    verdict_of,
)

TABLE_METRICS = ("f1", "mcc", "auroc", "auprc", "accuracy", "precision", "recall", "brier")
WITH_INTERVAL = ("f1", "mcc", "auroc", "auprc")
"""Metrics whose interval is printed; those of the others are in the tooltip, or the table would not fit."""
BARRED = ("f1", "auroc")
"""Metrics whose interval is also drawn."""
UNIT: tuple[float, float] = (0.0, 1.0)


def split_section(evaluation: dict[str, Any], split: str) -> dict[str, Any]:
    """Everything the page shows of one split."""
    measured = evaluation["splits"][split]
    names = list(measured["systems"])
    metrics = table_metrics(evaluation)
    return {
        "name": split,
        "title": split_title(split),
        "num_records": measured["num_records"],
        "num_groups": measured["num_groups"],
        "positive_share": measured["positive_share"],
        "caveats": caveats_of(evaluation, split),
        "verdicts": [
            {
                "model": model,
                "verdict": verdict_of(evaluation, split, model),
                "findings": [str(finding) for finding in findings_of(evaluation, split, model)],
            }
            for model in models_of(evaluation, split)
        ],
        "duels": duels_of(evaluation, split),
        "heads": [METRIC_TITLES[metric] for metric in metrics],
        "rows": [_system_row(evaluation, measured, name, style, metrics) for style, name in enumerate(names)],
        "comparisons": [_comparison_row(evaluation, entry) for entry in measured["comparisons"]],
        "charts": [_roc_chart(evaluation, measured), _pr_chart(evaluation, measured)],
        "models": [
            _model_details(evaluation, split, model, names.index(model)) for model in models_of(evaluation, split)
        ],
        "confusions": [_confusion(evaluation, measured, name) for name in names],
    }


def table_metrics(evaluation: dict[str, Any]) -> tuple[str, ...]:
    """What the table shows: of findings also how many false alarms are dropped."""
    return (*TABLE_METRICS, "false_positive_reduction") if evaluation["records"] == "findings" else TABLE_METRICS


def target_rows(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """The seed's targets with what was reached, and what a constant answer reaches."""
    return [
        {
            **entry,
            "split": split_title(entry["split"]),
            "value": _text(entry["value"]),
            "constant_value": _text(entry["constant_value"]),
            **_outcome(entry),
        }
        for entry in evaluation["targets"]
    ]


def _outcome(entry: dict[str, Any]) -> dict[str, str]:
    """What came of a target, in words and in colour; what a constant answer scores too is no success."""
    if entry["outcome"] == "met" and entry["value"] <= entry["constant_value"]:
        return {"outcome": "met, as by always 1", "tone": ""}
    outcome = {"met": "met", "below": "not met", "above": "above the range"}[entry["outcome"]]
    return {"outcome": outcome, "tone": {"met": "good", "below": "bad"}.get(entry["outcome"], "")}


def _system_row(
    evaluation: dict[str, Any], measured: dict[str, Any], name: str, style: int, metrics: tuple[str, ...]
) -> dict[str, Any]:
    system, described = measured["systems"][name], evaluation["systems"][name]
    return {
        "title": described["title"],
        "description": described["description"],
        "is_model": described["is_model"],
        "style": f"s{style}",
        "threshold": f"{evaluation['thresholds'][name]['value']:.3f}",
        "threshold_source": evaluation["thresholds"][name]["source"],
        "f1_at_half": _text(system["metrics_at_half"]["f1"]["value"]),
        "cells": [_cell(metric, system["metrics"][metric], f"s{style}") for metric in metrics],
    }


def _cell(metric: str, found: dict[str, Any], style: str) -> dict[str, Any]:
    interval = "" if found["low"] is None else f"{found['low']:.3f} to {found['high']:.3f}"
    bar = interval_bar(found["low"], found["value"], found["high"], UNIT, style) if metric in BARRED else Markup("")
    printed = interval if metric in WITH_INTERVAL else ""
    return {"value": _text(found["value"]), "interval": printed, "tip": interval, "bar": bar}


def _comparison_row(evaluation: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    titles = evaluation["systems"]
    return {
        "model": titles[entry["model"]]["title"],
        "against": titles[entry["against"]]["title"],
        "metric": METRIC_TITLES[entry["metric"]],
        "difference": signed(entry["difference"]),
        "interval": "–" if entry["low"] is None else f"{signed(entry['low'])} to {signed(entry['high'])}",
        "p_corrected": "–" if entry["p_corrected"] is None else _p_text(entry["p_corrected"]),
        "shown": shown_word(entry),
    }


def _roc_chart(evaluation: dict[str, Any], measured: dict[str, Any]) -> Chart:
    svg = line_chart(
        "ROC curves",
        _lines(evaluation, measured, "roc"),
        x_label="false positive rate",
        y_label="true positive rate",
        x_span=UNIT,
        y_span=UNIT,
        diagonal=True,
    )
    return Chart("ROC curve", svg, _legend(evaluation, measured))


def _pr_chart(evaluation: dict[str, Any], measured: dict[str, Any]) -> Chart:
    svg = line_chart(
        "Precision-recall curves",
        _lines(evaluation, measured, "pr"),
        x_label="recall",
        y_label="precision",
        x_span=UNIT,
        y_span=UNIT,
    )
    return Chart("Precision and recall", svg, _legend(evaluation, measured))


def _drawn(measured: dict[str, Any]) -> list[str]:
    """Systems that rank at all: a constant is one point of a curve."""
    return [name for name, system in measured["systems"].items() if len(system["roc"]) > 2]


def _lines(evaluation: dict[str, Any], measured: dict[str, Any], curve: str) -> list[Line]:
    """The models' last, so that they lie on top."""
    styles = {name: style for style, name in enumerate(measured["systems"])}
    lines = [
        Line(evaluation["systems"][name]["title"], measured["systems"][name][curve], styles[name])
        for name in _drawn(measured)
    ]
    return lines[::-1]


def _legend(evaluation: dict[str, Any], measured: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    styles = {name: f"s{style}" for style, name in enumerate(measured["systems"])}
    return tuple((styles[name], evaluation["systems"][name]["title"]) for name in _drawn(measured))


def _model_details(evaluation: dict[str, Any], split: str, model: str, style: int) -> dict[str, Any]:
    system, threshold = evaluation["splits"][split]["systems"][model], evaluation["thresholds"][model]
    histogram = system["histogram"]
    charts = [
        Chart(
            "Scores by label",
            histogram_chart(
                f"Scores of {model} by label",
                histogram["edges"],
                [histogram["label_0"], histogram["label_1"]],
                ["label 0", "label 1"],
            ),
            (("f0", "label 0"), ("f1", f"label 1 ({evaluation['words']['positive']})")),
        ),
        Chart(
            f"Calibration (ECE {_text(system['ece'])})",
            line_chart(
                f"Calibration of {model}",
                [_calibration_line(model, system, style)],
                x_label="mean probability",
                y_label="share of label 1",
                x_span=UNIT,
                y_span=UNIT,
                diagonal=True,
            ),
        ),
    ]
    if split == "valid" and "f1_curve" in threshold:
        charts.append(
            Chart(
                f"F1 by threshold (chosen {threshold['value']:.3f})",
                line_chart(
                    f"F1 of {model} by threshold",
                    [Line(model, threshold["f1_curve"], style)],
                    x_label="threshold",
                    y_label="F1",
                    y_span=UNIT,
                    mark_x=threshold["value"],
                ),
            )
        )
    return {"model": model, "charts": charts}


def _calibration_line(model: str, system: dict[str, Any], style: int) -> Line:
    points = [(entry["mean_probability"], entry["positive_share"]) for entry in system["calibration"]]
    return Line(model, points, style, marks=True)


def _confusion(evaluation: dict[str, Any], measured: dict[str, Any], name: str) -> dict[str, Any]:
    """Counts with the share of their true label, which is how dark a cell is."""
    counts = measured["systems"][name]["confusion"]
    negatives = counts["true_negatives"] + counts["false_positives"]
    positives = counts["true_positives"] + counts["false_negatives"]
    return {
        "title": evaluation["systems"][name]["title"],
        "cells": [
            {"count": counts[cell], "share": counts[cell] / total, "is_right": cell.startswith("true")}
            for cell, total in (
                ("true_negatives", negatives),
                ("false_positives", negatives),
                ("false_negatives", positives),
                ("true_positives", positives),
            )
        ],
    }


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".replace("-", "\u2212")


def _p_text(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"
