"""The page of an analysis: measured trials in, one self-contained HTML page out; no script, no network.

How trials are measured is in ``trial_measures``; the style is the report's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tasks.audit_report import Audit, audit_line, check_rows
from tasks.progress import duration
from tasks.report_charts import NUM_STYLES, Chart, Line, Span, interval_bar, line_chart
from tasks.report_training import GREY
from tasks.trial_measures import ConfigurationMeasures, Cost, StageMeasures

TEMPLATE = "analysis.html.j2"
SHOWN = ("f1", "precision", "recall", "false_positive_reduction")
HEADS = ("F1", "Precision", "Recall", "False positives cut")


def render_analysis(prefix: str, stages: Sequence[StageMeasures], audit: Audit | None = None) -> str:
    """One self-contained HTML page.

    Args:
        prefix: What the labels begin with.
        stages: Measured trials by ranking.
        audit: Content of ``audit.json`` of their records; ``None``: nobody audited them.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(TEMPLATE).render(
        title=f"Analysis of {prefix}",
        prefix=prefix,
        sections=[_section(stage) for stage in stages],
        data_summary=audit_line(audit) if audit else "",
        data_checks=check_rows(audit) if audit else [],
    )


def cost_cells(cost: Cost) -> tuple[str, str, str, str]:
    """Time, records per second, peak memory, parameters as people read them; + where a killed attempt told nothing."""
    time = "–" if cost.seconds is None else duration(cost.seconds) + ("+" if cost.num_silent else "")
    rate = "–" if cost.samples_per_second is None else f"{cost.samples_per_second:.1f}"
    peak = "–" if cost.peak_memory_bytes is None else f"{cost.peak_memory_bytes / 2**30:.2f} GiB"
    return time, rate, peak, _count(cost.num_parameters)


def threshold_cell(thresholds: Mapping[str, float]) -> str:
    """The threshold that the sets of the sealed test were measured at; each one where they differ."""
    return " / ".join(f"{value:.2f}" for value in sorted(set(thresholds.values())))


def _count(number: int | None) -> str:
    if number is None:
        return "–"
    return f"{number / 1e6:.1f}M" if number >= 1e5 else f"{number / 1e3:.0f}k"


def _section(stage: StageMeasures) -> dict[str, Any]:
    val = stage.ranking["val"]
    return {
        "name": stage.ranking["stage"],
        "about": f"Validation: {val['num_records']} findings in {val['num_files']} files, {val['num_positive']} true. "
        f"Decision: {stage.ranking['decision']['kind']}. Intervals cover {stage.ranking['confidence']:.0%} over files "
        "and seeds; ± is the standard deviation over seeds.",
        "configurations": {
            "heads": ("Configuration", "Seeds", "Mean F1", "", *HEADS[1:], "False positives cut at kept recall"),
            "rows": _configuration_rows(stage),
        },
        "trials": {
            "heads": ("Trial", "Seed", *HEADS, "Threshold", "Epochs", "Time", "Records/s", "Peak memory", "Parameters"),
            "rows": [
                (
                    trial.trial,
                    trial.seed,
                    *(_score(trial.metrics[name]) for name in SHOWN),
                    f"{trial.threshold:.2f}",
                    len(trial.epochs),
                    *cost_cells(trial.cost),
                )
                for trial in stage.trials
            ],
        },
        "test": {
            "heads": ("Trial", *(f"{name} F1" for name in stage.test_sets), "Threshold there"),
            "rows": list(_test_rows(stage)),
        },
        "charts": _charts(stage),
    }


def _configuration_rows(stage: StageMeasures) -> list[tuple[Any, ...]]:
    entries = [each.entry["f1"] for each in stage.configurations]
    entries += [baseline["f1"] for baseline in stage.ranking["baselines"].values()]
    told = [value for entry in entries for value in entry.values() if value is not None]
    span = (min(told) - 0.01, max(told) + 0.01)
    rows = [_configuration_row(each, style, span) for style, each in enumerate(stage.configurations)]
    return rows + [_baseline_row(baseline, span) for baseline in stage.ranking["baselines"].values()]


def _baseline_row(baseline: Mapping[str, Any], span: Span) -> tuple[Any, ...]:
    f1 = baseline["f1"]
    cells = (_score(baseline["metrics"][name]) for name in SHOWN[1:])
    return (baseline["title"], "", _with_interval(f1), _bar(f1, span, GREY), *cells, "–")


def _configuration_row(each: ConfigurationMeasures, style: int, span: Span) -> tuple[Any, ...]:
    f1, at_recall = each.entry["f1"], each.entry["false_positive_reduction_at_recall"]
    mean = f"{each.mean_f1:.3f}" + ("" if each.sd_f1 is None else f" ± {each.sd_f1:.3f}")
    cut = at_recall.get("false_positive_reduction")
    return (
        each.name,
        len(each.trials),
        _with_interval(f1, mean),
        _bar(f1, span, style),
        *(_score(each.mean(name)) for name in SHOWN[1:]),
        "–" if cut is None else f"{cut:.3f} at recall {at_recall['recall']:.2f}",
    )


def _test_rows(stage: StageMeasures) -> Iterator[tuple[Any, ...]]:
    trials = [(trial.trial, trial.test, threshold_cell(trial.test_thresholds)) for trial in stage.trials if trial.test]
    for title, test, threshold in trials + [(title, test, "") for title, test in stage.test_baselines.items()]:
        cells = (_with_interval(test[name]["f1"]) if name in test else "–" for name in stage.test_sets)
        yield (title, *cells, threshold)


def _with_interval(f1: Mapping[str, Any], value: str = "") -> Markup:
    interval = Markup('<span class="interval">{} to {}</span>').format(_score(f1["low"]), _score(f1["high"]))
    return Markup("{}{}").format(value or _score(f1["value"]), interval)


def _score(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.3f}"


def _bar(f1: Mapping[str, Any], span: Span, style: int) -> Markup:
    return interval_bar(f1["low"], f1["value"], f1["high"], span, f"s{style % NUM_STYLES}")


def _charts(stage: StageMeasures) -> list[Chart]:
    """F1 of each seed, threshold curves, cost against F1, learning curves; a colour for each configuration."""
    styled = list(enumerate(stage.configurations))
    legend = tuple((f"s{style % NUM_STYLES}", each.name) for style, each in styled)
    charts = [_chart("F1 on validation by seed", _seed_lines(styled), legend, "seed", "F1")]
    curves = [Line(t.trial, t.curve, style) for style, each in styled for t in each.trials if t.curve]
    if curves:
        thresholds = {trial.threshold for trial in stage.trials}
        mark = thresholds.pop() if len(thresholds) == 1 else None
        svg = line_chart("F1 by threshold", curves, x_label="threshold", y_label="F1 on validation", mark_x=mark)
        charts.append(Chart("F1 by threshold", svg, legend))
    costs = [
        Line(trial.trial, [(trial.cost.seconds, trial.metrics["f1"])], style, marks=True)
        for style, each in styled
        for trial in each.trials
        if trial.cost.seconds is not None
    ]
    if costs:
        charts.append(_chart("Training time against F1", costs, legend, "training time [s]", "F1 on validation"))
    learning = [
        Line(t.trial, [(e["epoch"] + 1, e["val_f1_vulnerable"]) for e in t.epochs], style, marks=len(t.epochs) < 12)
        for style, each in styled
        for t in each.trials
        if t.epochs
    ]
    if learning:
        charts.append(_chart("Learning curves", learning, legend, "epoch", "F1 on validation at argmax"))
    return charts


def _seed_lines(styled: Sequence[tuple[int, ConfigurationMeasures]]) -> list[Line]:
    return [
        Line(each.name, [(trial.seed, trial.metrics["f1"]) for trial in each.trials], style, marks=True)
        for style, each in styled
    ]


def _chart(title: str, lines: Sequence[Line], legend: tuple[tuple[str, str], ...], x_label: str, y_label: str) -> Chart:
    xs, ys = ([point[axis] for line in lines for point in line.points] for axis in (0, 1))
    svg = line_chart(title, lines, x_label=x_label, y_label=y_label, x_span=_roomy(xs), y_span=_roomy(ys))
    return Chart(title, svg, legend)


def _roomy(values: Sequence[float]) -> Span:
    """Ends of an axis, so that dots at the ends are whole."""
    margin = 0.05 * (max(values) - min(values))
    return min(values) - margin, max(values) + margin
