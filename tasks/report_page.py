"""The parts of the report's page: rows, cards and charts of one split, targets, learning curves; words and SVG only.

What is shown where is the template's (``report.html.j2``); what can be claimed is ``report_claims``'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tasks.report_charts import Line, histogram_chart, interval_bar, line_chart
from tasks.report_claims import (
    METRIC_TITLES,
    SPLIT_TITLES,
    caveats_of,
    findings_of,
    models_of,
    verdict_of,
)

TABLE_METRICS = ("f1", "mcc", "auroc", "auprc", "accuracy", "precision", "recall", "brier")
WITH_INTERVAL = ("f1", "mcc", "auroc", "auprc")
"""Metrics whose interval is printed; those of the others are in the tooltip, or the table would not fit."""
BARRED = ("f1", "auroc")
"""Metrics whose interval is also drawn."""
UNIT: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Chart:
    """A chart with its caption and the names of its lines.

    Args:
        title: Caption.
        svg: Markup.
        legend: ``(style, name)`` of each line.
    """

    title: str
    svg: Markup
    legend: tuple[tuple[str, str], ...] = ()


def split_section(evaluation: dict[str, Any], split: str) -> dict[str, Any]:
    """Everything the page shows of one split."""
    measured = evaluation["splits"][split]
    names = list(measured["systems"])
    return {
        "name": split,
        "title": SPLIT_TITLES[split],
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
        "heads": [METRIC_TITLES[metric] for metric in TABLE_METRICS],
        "rows": [_system_row(evaluation, measured, name, style) for style, name in enumerate(names)],
        "comparisons": [_comparison_row(evaluation, entry) for entry in measured["comparisons"]],
        "charts": [_roc_chart(evaluation, measured), _pr_chart(evaluation, measured)],
        "models": [
            _model_details(evaluation, split, model, names.index(model)) for model in models_of(evaluation, split)
        ],
        "confusions": [_confusion(evaluation, measured, name) for name in names],
    }


def target_rows(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """The seed's targets with what was reached, and what a constant answer reaches."""
    return [
        {
            **entry,
            "split": SPLIT_TITLES[entry["split"]],
            "value": _text(entry["value"]),
            "constant_value": _text(entry["constant_value"]),
            "outcome": {"met": "met", "below": "not met", "above": "above the range"}[entry["outcome"]],
            "tone": {"met": "good", "below": "bad", "above": ""}[entry["outcome"]],
        }
        for entry in evaluation["targets"]
    ]


def learning_charts(training: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Loss, F1 and learning rate by epoch (people count from 1), for each model that has a history."""
    return [
        {"model": model, "summary": _learning_summary(history), "charts": _learning_charts(model, history)}
        for model, history in training.items()
        if history
    ]


def _system_row(evaluation: dict[str, Any], measured: dict[str, Any], name: str, style: int) -> dict[str, Any]:
    system, described = measured["systems"][name], evaluation["systems"][name]
    return {
        "title": described["title"],
        "description": described["description"],
        "is_model": described["is_model"],
        "style": f"s{style}",
        "threshold": f"{evaluation['thresholds'][name]['value']:.3f}",
        "threshold_source": evaluation["thresholds"][name]["source"],
        "f1_at_half": _text(system["metrics_at_half"]["f1"]["value"]),
        "cells": [_cell(metric, system["metrics"][metric], f"s{style}") for metric in TABLE_METRICS],
    }


def _cell(metric: str, found: dict[str, Any], style: str) -> dict[str, Any]:
    interval = "" if found["low"] is None else f"{found['low']:.3f} to {found['high']:.3f}"
    bar = interval_bar(found["low"], found["value"], found["high"], UNIT, style) if metric in BARRED else Markup("")
    printed = interval if metric in WITH_INTERVAL else ""
    return {"value": _text(found["value"]), "interval": printed, "tip": interval, "bar": bar}


def _comparison_row(evaluation: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    titles = evaluation["systems"]
    shown = "no difference shown"
    if entry["shown"]:
        shown = "better" if entry["difference"] > 0 else "worse"
    return {
        "model": titles[entry["model"]]["title"],
        "against": titles[entry["against"]]["title"],
        "metric": METRIC_TITLES[entry["metric"]],
        "difference": _signed(entry["difference"]),
        "interval": "–" if entry["low"] is None else f"{_signed(entry['low'])} to {_signed(entry['high'])}",
        "p_corrected": "–" if entry["p_corrected"] is None else _p_text(entry["p_corrected"]),
        "shown": shown,
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
            (("f0", "label 0"), ("f1", "label 1 (vulnerable)")),
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


def _learning_summary(history: list[dict[str, Any]]) -> str:
    key = _f1_key(history)
    if key is None:
        return f"{len(history)} epochs."
    best = max(history, key=lambda entry: float(entry[key]))  # the first of equals, as training keeps it
    return f"{len(history)} epochs; best validation F1 {best[key]:.3f} in epoch {best['epoch'] + 1}."


def _learning_charts(model: str, history: list[dict[str, Any]]) -> list[Chart]:
    def line(key: str, name: str, style: int) -> Line:
        return Line(
            name,
            [(entry["epoch"] + 1, entry[key]) for entry in history if key in entry],
            style,
            marks=len(history) < 40,
        )

    charts = [
        Chart(
            "Loss",
            line_chart(
                f"Loss of {model} by epoch",
                [line("train_loss", "training", 1), line("val_loss", "validation", 0)],
                x_label="epoch",
                y_label="loss",
            ),
            (("s1", "training"), ("s0", "validation")),
        )
    ]
    key = _f1_key(history)
    if key is not None:
        lines = [line(key, "F1 of label 1", 0)]
        svg = line_chart(f"Validation F1 of {model}", lines, x_label="epoch", y_label="F1 at 0.5", y_span=UNIT)
        charts.append(Chart("Validation F1", svg))
    if any("learning_rate" in entry for entry in history):
        lines = [line("learning_rate", "learning rate", 2)]
        top = max(entry["learning_rate"] for entry in history)
        svg = line_chart(
            f"Learning rate of {model}", lines, x_label="epoch", y_label="learning rate", y_span=(0.0, 1.1 * top)
        )
        charts.append(Chart("Learning rate", svg))
    return charts


def _f1_key(history: list[dict[str, Any]]) -> str | None:
    return next((key for key in ("val_f1_vulnerable", "val_f1") if key in history[0]), None)


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".replace("-", "\u2212")


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}".replace("-", "\u2212")


def _p_text(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"
