"""The training part of a report: what each model is and cost, side by side, and how it learned.

A model's training is told by ``epochs`` (its history), ``numbers`` (of ``result.json``), ``attempts`` (of
``record.json``), ``machine`` (of ``build.json``) and ``model`` (its settings); all but the history may be empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.progress import duration
from tasks.report_audit import humanised, text_of
from tasks.report_charts import Chart, Line, line_chart

Training = dict[str, Any]

FACTS: tuple[tuple[str, Callable[[Training], Any]], ...] = (
    ("Parameters", lambda told: told["numbers"].get("num_parameters")),
    ("Training records", lambda told: told["numbers"].get("num_train")),
    ("Epochs", lambda told: _epochs(told)),
    ("Best epoch", lambda told: _best(told)),
    ("Optimiser steps", lambda told: told["numbers"].get("num_steps")),
    ("Records a step", lambda told: told["numbers"].get("batch_size")),
    ("Peak learning rate", lambda told: told["model"].get("learning_rate")),
    ("Time", lambda told: _time(told)),
    ("Records per second", lambda told: _last(told).get("samples_per_second")),
    ("Peak memory", lambda told: _memory(told)),
    ("Device", lambda told: _device(told)),
    ("Attempts", lambda told: len(told["attempts"]) or None),
)
NOT_ALIKE = ("backbone",)
"""Numbers that only some kinds of model have: told by name and value, as they come."""


GREY = 6
"""Style of what is no model; a model has the style of its place, as in every other chart."""


def training_rows(training: Mapping[str, Training]) -> list[tuple[str, ...]]:
    """Facts of every model, one row each: name, then a cell for each model; rows that no model fills are left out."""
    rows = [(name, *(text_of(fact(told)) for told in training.values())) for name, fact in FACTS]
    for key in NOT_ALIKE:
        told_of = [told["numbers"].get(key) or {} for told in training.values()]
        names = [name for found in told_of for name, value in found.items() if not isinstance(value, dict)]
        for name in dict.fromkeys(names):
            title = f"{humanised(key)}: {humanised(name).lower()}"
            rows.append((title, *(text_of(found.get(name)) for found in told_of)))
    empty = text_of(None)
    return [row for row in rows if set(row[1:]) != {empty}]


def training_caveats(training: Mapping[str, Training]) -> list[str]:
    """What must be known of the models before their scores are read."""
    caveats = []
    for model, told in training.items():
        backbone = told["numbers"].get("backbone") or {}
        if backbone.get("pretrained") is False and told["model"].get("pretrained") != "off":
            caveats.append(
                f"{model} was trained from nothing, because {backbone.get('reason') or 'no reason is recorded'}: "
                f"these are not the scores of {told['model'].get('backbone', 'its backbone')}."
            )
        if told["numbers"].get("quick_test"):
            caveats.append(f"{model} was trained by a quick test: 100 records and 1 epoch; its scores mean nothing.")
    return caveats


def training_charts(training: Mapping[str, Training]) -> list[Chart]:
    """Validation F1 of all models in one chart, then loss and learning rate of each; people count epochs from 1."""
    told = {model: entry["epochs"] for model, entry in training.items() if entry["epochs"]}
    if not told:
        return []
    lines = [_line(model, epochs, "val_f1_vulnerable", style) for style, (model, epochs) in enumerate(told.items())]
    f1 = line_chart("Validation F1", lines[::-1], x_label="epoch", y_label="F1 of label 1 at 0.5", y_span=(0.0, 1.0))
    legend = tuple((f"s{style}", model) for style, model in enumerate(told))
    charts = [Chart("Validation F1 by epoch", f1, legend)]
    for style, (model, epochs) in enumerate(told.items()):
        losses = [_line("training", epochs, "train_loss", GREY), _line("validation", epochs, "val_loss", style)]
        loss = line_chart(f"Loss of {model} by epoch", losses, x_label="epoch", y_label="loss")
        charts.append(Chart(f"Loss of {model}", loss, ((f"s{GREY}", "training"), (f"s{style}", "validation"))))
    for model, epochs in told.items():
        top = max(entry["learning_rate"] for entry in epochs)
        rate = line_chart(
            f"Learning rate of {model} by epoch",
            [_line("learning rate", epochs, "learning_rate", GREY)],
            x_label="epoch",
            y_label="learning rate",
            y_span=(0.0, 1.1 * top),
        )
        charts.append(Chart(f"Learning rate of {model}", rate))
    return charts


def _line(name: str, epochs: Sequence[dict[str, Any]], key: str, style: int) -> Line:
    points = [(entry["epoch"] + 1, entry[key]) for entry in epochs]
    return Line(name, points, style, marks=len(epochs) < 40)


def _best_entry(epochs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The first of equals, as training keeps it."""
    return max(epochs, key=lambda entry: float(entry["val_f1_vulnerable"]))


def _epochs(told: Training) -> str | None:
    if not told["epochs"]:
        return None
    most, why = told["model"].get("epochs"), told["numbers"].get("stop_reason")
    return f"{len(told['epochs'])}{f' of {most}' if most else ''}{f' ({why})' if why else ''}"


def _best(told: Training) -> str | None:
    if not told["epochs"]:
        return None
    best = _best_entry(told["epochs"])
    return f"{best['epoch'] + 1} (validation F1 {best['val_f1_vulnerable']:.3f})"


def _last(told: Training) -> dict[str, Any]:
    attempts: list[dict[str, Any]] = told["attempts"]
    return attempts[-1] if attempts else {}


def _time(told: Training) -> str | None:
    """Of the attempt that finished; killed ones did not live to tell theirs."""
    seconds = _last(told).get("seconds")
    if seconds is None:
        return None
    return duration(seconds) + (" (last attempt)" if len(told["attempts"]) > 1 else "")


def _memory(told: Training) -> str | None:
    peak_bytes = _last(told).get("peak_memory_bytes")
    return None if peak_bytes is None else f"{peak_bytes / 2**30:.2f} GiB"


def _device(told: Training) -> str | None:
    machine = told["machine"]
    if "device" not in machine:
        return None
    precision = "full precision" if machine.get("precision") == "off" else machine.get("precision")
    ranks = _counted(machine.get("num_ranks", 1), "rank")
    return f"{machine['device']}, {precision}, {ranks} × {_counted(machine.get('num_threads', 1), 'thread')}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
