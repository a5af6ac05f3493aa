"""Charts as inline SVG: no script, no network, colours from the page's style sheet so that they follow light and dark.

A line is told from its neighbours by colour (class ``s0`` … ``s7``) and by dashes, never by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 380, 270
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 12, 40
NUM_STYLES = 8

Point = tuple[float, float]
Span = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Args:
        name: For the tooltip.
        points: At least one.
        style: Number of its colour and dashes.
        marks: Whether each point gets a dot.
    """

    name: str
    points: Sequence[Point]
    style: int
    marks: bool = False


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


class Frame:
    """Axes, grid and labels; maps values to places."""

    def __init__(self, x_span: Span, y_span: Span, x_label: str, y_label: str) -> None:
        self.x_span, self.y_span = _widened(x_span), _widened(y_span)
        self.x_label, self.y_label = x_label, y_label

    def x(self, value: float) -> float:
        """Place of a value across."""
        share = (value - self.x_span[0]) / (self.x_span[1] - self.x_span[0])
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """Place of a value up."""
        share = (value - self.y_span[0]) / (self.y_span[1] - self.y_span[0])
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def svg(self, title: str, inside: str) -> Markup:
        """The whole chart; ``inside`` is markup."""
        axes = "".join([*self._x_axis(), *self._y_axis()])
        return Markup(  # noqa: S704  names are escaped, the rest is ours
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{axes}{inside}</svg>'
        )

    def _x_axis(self) -> list[str]:
        bottom = HEIGHT - BOTTOM
        parts = []
        for tick in ticks(*self.x_span):
            at = self.x(tick)
            parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP}" y2="{bottom}"/>')
            parts.append(f'<text class="tick" x="{at}" y="{bottom + 15}" text-anchor="middle">{tick_text(tick)}</text>')
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(
            f'<text class="axis" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(self.x_label)}</text>'
        )
        return parts

    def _y_axis(self) -> list[str]:
        parts = []
        for tick in ticks(*self.y_span):
            at = self.y(tick)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
            parts.append(f'<text class="tick" x="{LEFT - 6}" y="{at + 3.5}" text-anchor="end">{tick_text(tick)}</text>')
        middle = (TOP + HEIGHT - BOTTOM) / 2
        parts.append(
            f'<text class="axis" x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">'
            f"{escape(self.y_label)}</text>"
        )
        return parts


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    x_span: Span | None = None,
    y_span: Span | None = None,
    diagonal: bool = False,
    mark_x: float | None = None,
) -> Markup:
    """Lines over common axes.

    Args:
        title: Read out to who cannot see it.
        lines: The last is drawn on top.
        x_label: Under the axis.
        y_label: Beside the axis.
        x_span: Ends of the axis; ``None`` takes them from the points.
        y_span: The same upwards.
        diagonal: Whether the line of chance (or of perfect calibration) is drawn.
        mark_x: Where a vertical mark stands.
    """
    points = [point for line in lines for point in line.points]
    frame = Frame(
        x_span or _span(point[0] for point in points), y_span or _span(point[1] for point in points), x_label, y_label
    )
    parts = []
    if diagonal:
        parts.append(f'<line class="chance" x1="{frame.x(0)}" y1="{frame.y(0)}" x2="{frame.x(1)}" y2="{frame.y(1)}"/>')
    if mark_x is not None:
        at = frame.x(mark_x)
        parts.append(f'<line class="mark" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    parts += [_polyline(line, frame) for line in lines]
    return frame.svg(title, "".join(parts))


def histogram_chart(
    title: str,
    edges: Sequence[float],
    counts: Sequence[Sequence[int]],
    names: Sequence[str],
    *,
    x_label: str = "probability of label 1",
) -> Markup:
    """Bars of several groups side by side in each bin, as shares of their own group."""
    shares = [[count / max(sum(group), 1) for count in group] for group in counts]
    tallest = max((share for group in shares for share in group), default=0.0)
    frame = Frame((edges[0], edges[-1]), (0.0, 1.05 * tallest), x_label, "share of the label's records")
    parts = []
    for number, (group, name) in enumerate(zip(shares, names, strict=True)):
        for left, right, share, count in zip(edges, edges[1:], group, counts[number], strict=False):
            width = (frame.x(right) - frame.x(left) - 1.5) / len(shares)
            at, top = frame.x(left) + 0.75 + number * width, frame.y(share)
            tip = escape(f"{name}: {count} records in [{left:g}, {right:g}]")
            parts.append(
                f'<rect class="bar f{number}" x="{at:.1f}" y="{top}" width="{width:.1f}" '
                f'height="{frame.y(0) - top:.1f}"><title>{tip}</title></rect>'
            )
    return frame.svg(title, "".join(parts))


def interval_bar(low: float | None, value: float | None, high: float | None, span: Span, style: str) -> Markup:
    """A value with its interval on a common scale, one line of a table high."""
    if low is None or value is None or high is None:
        return Markup("")

    def place(number: float) -> float:
        share = (number - span[0]) / (span[1] - span[0])
        return round(3 + 114 * min(max(share, 0.0), 1.0), 1)

    return Markup(  # noqa: S704  numbers, and a class that is escaped
        f'<svg class="whisker {escape(style)}" viewBox="0 0 120 16" aria-hidden="true">'
        f'<line class="rail" x1="3" x2="117" y1="8" y2="8"/>'
        f'<line class="range" x1="{place(low)}" x2="{place(high)}" y1="8" y2="8"/>'
        f'<circle cx="{place(value)}" cy="8" r="3.6"/></svg>'
    )


def ticks(low: float, high: float) -> list[float]:
    """Three to seven round values within the span, 0 without a sign."""
    raw = (high - low) / 5
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(magnitude * factor for factor in (1, 2, 2.5, 5, 10) if magnitude * factor >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) + 0.0 for number in range(first, last + 1)]


def tick_text(value: float) -> str:
    """A tick as people write it."""
    return f"{value * 1e4:g}e-4" if 0 < abs(value) < 1e-3 else f"{value:g}"


def _polyline(line: Line, frame: Frame) -> str:
    style = f"s{line.style % NUM_STYLES}"
    path = " ".join(f"{frame.x(x)},{frame.y(y)}" for x, y in line.points)
    drawn = f'<polyline class="line {style}" points="{path}"><title>{escape(line.name)}</title></polyline>'
    if not line.marks:
        return drawn
    dots = "".join(
        f'<circle class="dot {style}" cx="{frame.x(x)}" cy="{frame.y(y)}" r="2.6">'
        f"<title>{escape(f'{line.name}: {y:.4g} at {x:g}')}</title></circle>"
        for x, y in line.points
    )
    return drawn + dots


def _span(values: Iterable[float]) -> Span:
    found = [float(value) for value in values if math.isfinite(value)]
    return (min(found), max(found)) if found else (0.0, 1.0)


def _widened(span: Span) -> Span:
    """A span of (nearly) no width gets one, or nothing could be placed."""
    low, high = span
    size = max(abs(low), abs(high))
    if high - low > max(1e-12, 1e-9 * size):
        return low, high
    margin = 0.5 * size if size > 1e-9 else 0.5
    return low - margin, high + margin
