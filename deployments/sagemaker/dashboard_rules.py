"""What CloudWatch takes as the body of a dashboard, as its API reference says; a test server takes anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

COLUMNS: Final = 24
LARGEST_HEIGHT: Final = 1000
MOST_WIDGETS: Final = 500
MOST_METRICS: Final = 500
"""Of one widget."""
VIEWS: Final = {
    "metric": {"timeSeries", "singleValue", "gauge", "bar", "pie", "table"},
    "log": {"table", "timeSeries", "bar", "pie"},
}
SHORT_PERIODS: Final = (1, 5, 10, 20, 30)
"""Besides multiples of a minute [s]."""
METRIC_KEYS: Final = {
    "accountId", "color", "expression", "id", "label", "period", "region", "stat", "visible", "yAxis",
}  # fmt: skip

Widget = dict[str, Any]


def problems_of(body: dict[str, Any]) -> list[str]:
    """One phrase for everything that CloudWatch would refuse; empty for a good body."""
    widgets = body.get("widgets")
    if not isinstance(widgets, list):
        return ["widgets must be a list"]
    problems = [f"{len(widgets)} widgets, {MOST_WIDGETS} at most"] if len(widgets) > MOST_WIDGETS else []
    for index, widget in enumerate(widgets):
        found = [*_of_place(widget), *_of_properties(widget)]
        problems += [f"widget {index}: {problem}" for problem in found]
    placed = [(index, widget) for index, widget in enumerate(widgets) if not list(_of_place(widget))]
    problems += [f"widgets {i} and {j} overlap" for (i, a), (j, b) in combinations(placed, 2) if _overlap(a, b)]
    return problems


def _of_place(widget: Widget) -> Iterator[str]:
    bounds = {"x": (0, COLUMNS - 1), "y": (0, None), "width": (1, COLUMNS), "height": (1, LARGEST_HEIGHT)}
    for name, (least, most) in bounds.items():
        value = widget.get(name)
        if not isinstance(value, int) or value < least or (most is not None and value > most):
            yield f"{name} {value!r} must be a whole number from {least}" + (f" to {most}" if most is not None else "")
            return
    if widget["x"] + widget["width"] > COLUMNS:
        yield f"ends beyond column {COLUMNS}"


def _of_properties(widget: Widget) -> Iterator[str]:
    kind, properties = widget.get("type"), widget.get("properties")
    if kind not in VIEWS or not isinstance(properties, dict):
        yield f"type {kind!r} must be metric or log, with properties"
        return
    if not properties.get("region"):
        yield "no region"
    if properties.get("view") not in VIEWS[kind]:
        yield f"view {properties.get('view')!r} must be one of {', '.join(sorted(VIEWS[kind]))}"
    if kind == "log":
        if not str(properties.get("query", "")).startswith("SOURCE '"):
            yield "a query begins with SOURCE and a log group"
        return
    period = properties.get("period", 60)
    if not isinstance(period, int) or (period not in SHORT_PERIODS and (period < 60 or period % 60)):
        yield f"period {period!r} must be {', '.join(map(str, SHORT_PERIODS))} or a multiple of 60"
    yield from _of_metrics(properties.get("metrics"))


def _of_metrics(metrics: Any) -> Iterator[str]:
    if not isinstance(metrics, list) or not 1 <= len(metrics) <= MOST_METRICS:
        yield f"metrics must be a list of 1 to {MOST_METRICS}"
        return
    ids = [line[-1]["id"] for line in metrics if line and isinstance(line[-1], dict) and "id" in line[-1]]
    if len(ids) != len(set(ids)):
        yield "two metrics of one id"
    for line in metrics:
        yield from _of_line(line)


def _of_line(line: Any) -> Iterator[str]:
    """``[namespace, metric, dimension, value …, {options}]``, or ``[{"expression": …}]``."""
    if not isinstance(line, list) or not line:
        yield f"{json.dumps(line)} must be a list"
        return
    *words, last = line
    options = last if isinstance(last, dict) else {}
    words = words if isinstance(last, dict) else line
    if not all(isinstance(word, str) for word in words):
        yield f"{json.dumps(line)}: names must be text"
    if unknown := options.keys() - METRIC_KEYS:
        yield f"{json.dumps(line)}: unknown {', '.join(sorted(unknown))}"
    if "id" in options and not (options["id"][:1].islower() and options["id"].replace("_", "").isalnum()):
        yield f"id {options['id']!r} must begin with a small letter, then letters, digits, underscores"
    if "expression" in options and words:
        yield f"{json.dumps(line)}: an expression stands alone"
    if "expression" not in options and (len(words) < 2 or len(words) % 2):
        yield f"{json.dumps(line)}: expected namespace, metric, and a value for each dimension"


def _overlap(one: Widget, other: Widget) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "width"), ("y", "height"))
    )
