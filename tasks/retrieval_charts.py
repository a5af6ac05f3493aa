"""Charts of retrieval as inline SVG: bars with intervals for each metric, and how each model learned.

Drawn 380 units wide with text of 11, so that they can be read on a telephone; every bar says its value by its tooltip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from tasks.chart_marks import Scale, range_mark
from tasks.comparison_words import with_interval
from tasks.report_charts import WIDTH, Chart, Line, line_chart

ROW_HEIGHT = 34
TOP, AXIS_HEIGHT, MARGIN = 14, 36, 12
UNIT = (0.0, 1.0)
GREY = 6
"""Style of what is no model."""


@dataclass(frozen=True)
class Bar:
    """One bar.

    Args:
        name: Under it.
        found: ``value``, ``low`` and ``high``; the ends may lack.
        is_baseline: Drawn grey.
    """

    name: str
    found: Mapping[str, Any]
    is_baseline: bool = False


def bar_chart(title: str, bars: Sequence[Bar], *, label: str, chance: float | None = None) -> Chart:
    """Bars of shares on one scale from 0, each with its interval.

    Args:
        title: Caption.
        bars: From the top.
        label: Under the axis.
        chance: What a random order reaches, as a dotted line; ``None``: not known.
    """
    scale = Scale((0.0, _end(bars, chance)), MARGIN, WIDTH - MARGIN)
    bottom = TOP + ROW_HEIGHT * len(bars)
    parts = [*scale.grid(TOP - 6, bottom, label)]
    for row, bar in enumerate(bars):
        parts += _marks(scale, TOP + ROW_HEIGHT * row, bar)
    if chance is not None:
        at = scale(chance)
        parts.append(
            f'<line class="chance" x1="{at}" x2="{at}" y1="{TOP - 6}" y2="{bottom}">'
            f"<title>{escape(f'random order: {chance:.4f}')}</title></line>"
        )
    svg = Markup(  # noqa: S704  names are escaped, the rest is ours
        f'<svg viewBox="0 0 {WIDTH} {bottom + AXIS_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
    return Chart(title, svg)


def _marks(scale: Scale, top: float, bar: Bar) -> list[str]:
    found = bar.found
    name = f'<text class="name" x="{MARGIN}" y="{top + 9}">{escape(bar.name)}</text>'
    if found["value"] is None:
        return [name]
    left, right = scale(0.0), scale(found["value"])
    tip = escape(f"{bar.name}: {with_interval(found)}")
    marks = [
        f'<rect class="rank {"rank-base" if bar.is_baseline else "rank-model"}" x="{left}" y="{top + 13}" '
        f'width="{max(right - left, 0.5):.1f}" height="14"><title>{tip}</title></rect>'
    ]
    if found.get("low") is not None:
        marks.append(range_mark("whole", scale(found["low"]), scale(found["high"]), top + 20))
    return [*marks, name]


def _end(bars: Sequence[Bar], chance: float | None) -> float:
    ends = [bar.found.get(key) for bar in bars for key in ("value", "high")]
    return min(1.0, 1.06 * max(end for end in (*ends, chance, 0.05) if end is not None))


def learning_charts(histories: Mapping[str, Sequence[Mapping[str, Any]]], metric: str = "val_mrr") -> list[Chart]:
    """Training loss and the validation metric of each model, by epoch; people count epochs from 1.

    Args:
        histories: Epochs of each model by its title, as ``history.json`` has them.
        metric: Which one.
    """
    charts = []
    for title, epochs in histories.items():
        if not epochs:
            continue
        loss = [_line("training", epochs, "train_loss", GREY), _line("validation", epochs, "val_loss", 0)]
        drawn = [line for line in loss if line.points]
        svg = line_chart(f"Loss of {title} by epoch", drawn, x_label="epoch", y_label="loss")
        charts.append(Chart(f"{title}: loss", svg, tuple((f"s{line.style}", line.name) for line in drawn)))
        line = _line("validation", epochs, metric, 0)
        if line.points:
            svg = line_chart(f"Validation MRR of {title} by epoch", [line], x_label="epoch", y_label="MRR")
            charts.append(Chart(f"{title}: validation MRR", svg))
    return charts


def _line(name: str, epochs: Sequence[Mapping[str, Any]], key: str, style: int) -> Line:
    points = [(float(entry["epoch"]) + 1, float(entry[key])) for entry in epochs if entry.get(key) is not None]
    return Line(name, points, style, marks=len(epochs) < 40)
