"""Marks of charts that lie in rows: a scale across, intervals, points, and a shape for each kind of system."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup, escape

from tasks.report_charts import tick_text, ticks


class Scale:
    """Maps values of a span to places across a panel."""

    def __init__(self, span: tuple[float, float], left: float, right: float) -> None:
        low, high = span
        self.span = (low, high) if high - low > 1e-9 else (low - 0.05, high + 0.05)
        self.left, self.right = left, right

    def __call__(self, value: float) -> float:
        """Place of a value; of one outside the span, the nearer end."""
        share = (value - self.span[0]) / (self.span[1] - self.span[0])
        return round(self.left + min(max(share, 0.0), 1.0) * (self.right - self.left), 1)

    def grid(self, top: float, bottom: float, label: str) -> Iterator[str]:
        """Lines with their values below, and the name of the axis."""
        for tick in ticks(*self.span):
            at = self(tick)
            yield f'<line class="grid" x1="{at}" x2="{at}" y1="{top}" y2="{bottom}"/>'
            yield f'<text class="tick" x="{at}" y="{bottom + 14}" text-anchor="middle">{tick_text(tick)}</text>'
        middle = (self.left + self.right) / 2
        yield f'<text class="axis" x="{middle}" y="{bottom + 30}" text-anchor="middle">{escape(label)}</text>'


def range_mark(style: str, left: float, right: float, y: float) -> str:
    """An interval."""
    return f'<line class="{style}" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>'


def dot(style: str, x: float, y: float, radius: float, tip: Markup) -> str:
    """A point with a tooltip, which is markup."""
    return f'<circle class="{style}" cx="{x}" cy="{y}" r="{radius}"><title>{tip}</title></circle>'


def shape(style: str, x: float, y: float) -> str:
    """The mark of a style: circle, square, diamond, or a hollow triangle."""
    if style == "k0":
        return f'<circle cx="{x}" cy="{y}" r="4.4"/>'
    if style == "k1":
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
    points = [(0, -5.6), (5.6, 0), (0, 5.6), (-5.6, 0)] if style == "k2" else [(0, -5), (5, 4), (-5, 4)]
    return f'<polygon points="{" ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in points)}"/>'
