"""Charts of a comparison as inline SVG: all systems, differences, pairs, reliability.

Drawn 380 units wide with text of 11, so that they can be read on a telephone. What a mark means is told by its shape
and in words by its tooltip; colour only repeats it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from models.evaluation.comparison.verdicts import ROOM
from tasks.chart_marks import Scale, dot, range_mark, shape
from tasks.comparison_words import (
    PAIR_OUTCOMES,
    difference_text,
    metric_title,
    names_of,
    number,
    percent,
    seed_values,
    shown_word,
    split_name,
    title_of,
    with_interval,
)
from tasks.report_charts import WIDTH, Chart, Line, line_chart
from tasks.report_claims import coverage

SYSTEM_METRICS = {"f1": (0.0, 1.0), "mcc": (-1.0, 1.0), "auroc": (0.0, 1.0)}
"""What is drawn of every system, with the values that it can have."""
ROW_HEIGHT = 36
TOP, AXIS_HEIGHT, MARGIN = 22, 36, 12
BASELINE_STYLE = "k3"
UNIT = (0.0, 1.0)


def system_charts(comparison: Mapping[str, Any]) -> list[Chart]:
    """Every system in one picture for each metric: mean with interval, a dot for each seed; phases by shape."""
    return [_system_chart(comparison, metric) for metric in SYSTEM_METRICS]


def _system_chart(comparison: Mapping[str, Any], metric: str) -> Chart:
    names = [*names_of(comparison, models=True), *names_of(comparison, models=False)]
    styles = _styles(comparison)
    found = [comparison["systems"][name]["metrics"][metric] for name in names]
    scale = Scale(_span_of(found, SYSTEM_METRICS[metric]), MARGIN, WIDTH - MARGIN)
    bottom = TOP + ROW_HEIGHT * len(names)
    parts = list(scale.grid(TOP - 6, bottom, metric_title(metric)))
    for row, (name, metrics) in enumerate(zip(names, found, strict=True)):
        title = title_of(comparison, name)
        parts += _system_marks(scale, TOP + ROW_HEIGHT * row + 20, metrics, styles[name], title)
        parts.append(_row_title(row, title))
    about = (
        f"For each system the mean over seeds with its {coverage(dict(comparison))} interval, and a dot for each seed"
    )
    title = f"{metric_title(metric)} of {len(names)} systems"
    svg = _drawing(title, about, bottom + AXIS_HEIGHT, parts)
    return Chart(f"{split_name(comparison)}: {metric_title(metric)}", svg, _legend_of(comparison, styles))


def difference_charts(comparison: Mapping[str, Any]) -> list[Chart]:
    """A forest plot for each metric: differences with intervals, and the band of what could not be shown anyway."""
    metrics = dict.fromkeys(entry["metric"] for entry in comparison["comparisons"])
    return [
        _difference_chart(comparison, metric, [e for e in comparison["comparisons"] if e["metric"] == metric])
        for metric in metrics
    ]


def _difference_chart(comparison: Mapping[str, Any], metric: str, entries: Sequence[Mapping[str, Any]]) -> Chart:
    ends = [entry[key] for entry in entries for key in ("low", "high", "difference")]
    ends += [_undetected(entry) for entry in entries]
    reach = min(1.08 * max((abs(end) for end in ends if end is not None), default=0.1), ROOM[metric])
    scale = Scale((-reach, reach), MARGIN, WIDTH - MARGIN)
    bottom = TOP + ROW_HEIGHT * len(entries)
    parts = list(scale.grid(TOP - 6, bottom, f"difference in {metric_title(metric)}: first − second"))
    zero = scale(0.0)
    for row, entry in enumerate(entries):
        between = f"{title_of(comparison, entry['first'])} − {title_of(comparison, entry['second'])}"
        at = TOP + ROW_HEIGHT * row + 20
        parts.append(f'<line class="zero" x1="{zero}" x2="{zero}" y1="{at - 9}" y2="{at + 9}"/>')  # not through names
        parts += _difference_marks(scale, at, entry, between)
        parts.append(_row_title(row, between))
    about = "Filled marks were shown; hatched bands are differences too small to be shown by these measurements"
    svg = _drawing(f"Differences in {metric_title(metric)}", about, bottom + AXIS_HEIGHT, parts)
    legend = (("m1", "shown"), ("m0", "not shown"), ("m2", "too small to be detected"))
    return Chart(f"Differences in {metric_title(metric)}", svg, legend)


def _difference_marks(scale: Scale, at: float, entry: Mapping[str, Any], between: str) -> Iterator[str]:
    least = _undetected(entry)
    if least is not None:
        left, right = scale(-least), scale(least)
        tip = escape(f"{between}: differences below {number(least)} would mostly be missed")
        yield (
            f'<rect class="undetectable" x="{left}" y="{at - 7}" width="{right - left:.1f}" height="14">'
            f"<title>{tip}</title></rect>"
        )
    if entry["difference"] is None:
        return
    tip = escape(f"{between}: {difference_text(entry)}; shown: {shown_word(entry)}")
    if entry["low"] is not None:
        yield range_mark("whole", scale(entry["low"]), scale(entry["high"]), at)
    yield dot(f"point {'filled' if entry['shown'] else 'hollow'}", scale(entry["difference"]), at, 4.5, tip)


def _undetected(entry: Mapping[str, Any]) -> float | None:
    """The minimum detectable difference within what is possible; it says nothing more once a difference is shown."""
    least = entry["minimum_detectable"]
    return None if entry["shown"] or least is None else min(least, ROOM[entry["metric"]])


def pair_chart(comparison: Mapping[str, Any]) -> Chart | None:
    """Bars of what each system says of pairs, as shares; ``None``: no system was asked about pairs."""
    asked = [name for name in comparison["systems"] if comparison["systems"][name].get("pairs")]
    if not asked:
        return None
    scale = Scale(UNIT, MARGIN, WIDTH - MARGIN)
    bottom = TOP + ROW_HEIGHT * len(asked)
    parts = list(scale.grid(TOP - 6, bottom, "share of pairs"))
    for row, name in enumerate(asked):
        pairs = comparison["systems"][name]["pairs"]
        shares = [float((pairs.get(outcome) or {}).get("value") or 0.0) for outcome in PAIR_OUTCOMES]
        parts += _stack(scale, TOP + ROW_HEIGHT * row + 11, shares, title_of(comparison, name))
        parts.append(_row_title(row, title_of(comparison, name)))
    num_pairs = max(comparison["systems"][name]["pairs"]["num_pairs"] for name in asked)
    title = f"Answers on {num_pairs} pairs of a vulnerable function and its fix"
    legend = tuple((f"p{i}", f"{outcome}: {words}") for i, (outcome, words) in enumerate(PAIR_OUTCOMES.items()))
    svg = _drawing(title, "A bar for each system, cut by outcome", bottom + AXIS_HEIGHT, parts)
    return Chart(title, svg, legend)


def _stack(scale: Scale, top: float, shares: Sequence[float], title: str) -> Iterator[str]:
    done = 0.0
    for at, (outcome, share) in enumerate(zip(PAIR_OUTCOMES, shares, strict=True)):
        left, right = scale(done), scale(done + share)
        done += share
        tip = escape(f"{title}: {outcome} ({PAIR_OUTCOMES[outcome]}) {percent(share)}")
        yield (
            f'<rect class="pair p{at}" x="{left}" y="{top}" width="{right - left:.1f}" height="18">'
            f"<title>{tip}</title></rect>"
        )
        if right - left >= 34:
            middle = (left + right) / 2
            yield f'<text class="inside" x="{middle:.1f}" y="{top + 13}" text-anchor="middle">{outcome}</text>'


def reliability_charts(comparison: Mapping[str, Any]) -> list[Chart]:
    """A reliability plot for each model, pooled over its seeds."""
    charts = []
    for style, name in enumerate(names_of(comparison, models=True)):
        system, title = comparison["systems"][name], title_of(comparison, name)
        bins = [entry for entry in system["calibration"] if entry["num_records"]]
        points = [(entry["mean_probability"], entry["positive_share"]) for entry in bins]
        if not points:
            continue
        svg = line_chart(
            f"Reliability of {title}",
            [Line(title, points, style, marks=True)],
            x_label="mean probability",
            y_label="share vulnerable",
            x_span=UNIT,
            y_span=UNIT,
            diagonal=True,
        )
        mean = number(system["metrics"]["ece"]["value"])
        charts.append(Chart(f"{title}: ECE {number(_pooled_ece(bins))} of this curve, mean of seeds {mean}", svg))
    return charts


def _pooled_ece(bins: Sequence[Mapping[str, Any]]) -> float:
    """Mean gap of the bins that are drawn: seeds that err to both sides are closer together than each alone."""
    gaps: float = sum(each["num_records"] * abs(each["mean_probability"] - each["positive_share"]) for each in bins)
    num_records: int = sum(each["num_records"] for each in bins)
    return gaps / num_records


def _styles(comparison: Mapping[str, Any]) -> dict[str, str]:
    """``k0`` … ``k2`` by phase in the order of the systems, baselines ``k3``: colour and shape."""
    models = [comparison["systems"][name] for name in names_of(comparison, models=True)]
    kinds = list(dict.fromkeys(_family(system) for system in models))
    return {
        name: f"k{kinds.index(_family(system)) % 3}" if system["is_model"] else BASELINE_STYLE
        for name, system in comparison["systems"].items()
    }


def _family(system: Mapping[str, Any]) -> str:
    """What gets a shape of its own: a phase, and fusion."""
    if not system["is_model"]:
        return "baseline"
    return "fusion" if system["model_kind"] == "fusion" else str(system["phase"])


def _legend_of(comparison: Mapping[str, Any], styles: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    named = {styles[name]: _family(system) for name, system in comparison["systems"].items()}
    return tuple((style, _spoken(family)) for style, family in sorted(named.items()))


def _spoken(family: str) -> str:
    """``phase1`` as ``phase 1``."""
    return f"phase {family.removeprefix('phase')}" if family.removeprefix("phase").isdigit() else family


def _system_marks(scale: Scale, at: float, metric: Mapping[str, Any], style: str, title: str) -> Iterator[str]:
    for place, (seed, value) in enumerate(seed_values(metric)):
        tip = escape(f"{title}, seed {seed}: {number(value)}")
        shift = 4 + 2.5 * (place % 3)  # side by side even where seeds agree
        yield dot(f"seed {style}", scale(value), at + shift, 1.9, tip)
    if metric["value"] is None:
        return
    if metric["low"] is not None:
        yield range_mark(f"whole {style}", scale(metric["low"]), scale(metric["high"]), at)
    tip = escape(f"{title}: {with_interval(metric)}")
    yield f'<g class="mean {style}"><title>{tip}</title>{shape(style, scale(metric["value"]), at)}</g>'


def _span_of(found: Sequence[Mapping[str, Any]], possible: tuple[float, float]) -> tuple[float, float]:
    """All values, intervals and seeds, with room at both ends, within what is possible."""
    values = [m[key] for m in found for key in ("value", "low", "high") if m[key] is not None]
    values += [value for m in found for _, value in seed_values(m)]
    if not values:
        return possible
    room = 0.04 * (max(values) - min(values))
    return max(possible[0], min(values) - room), min(possible[1], max(values) + room)


def _row_title(row: int, title: str) -> str:
    at = TOP + ROW_HEIGHT * row + 7
    return f'<text class="name" x="{MARGIN}" y="{at}">{escape(title)}</text>'


def _drawing(title: str, about: str, height: float, parts: Sequence[str]) -> Markup:
    return Markup(  # noqa: S704  names are escaped, the rest is ours
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">'
        f"<desc>{escape(about)}</desc>{''.join(parts)}</svg>"
    )
