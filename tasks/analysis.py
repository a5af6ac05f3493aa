"""Analysis of finished trials by the beginning of their label: scores, seeds, what training cost; a table and a page.

    python -m tasks.analysis --prefix codet5p_220m_champion_

Trials are found by the view under ``runs/encoder``. Everything is ordered by validation; numbers of the sealed test are
shown where a trial was evaluated on it, and order nothing.
"""

from __future__ import annotations

import difflib
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from models.errors import SettingsInvalid
from models.settings.command_line import parse_settings
from models.settings.fields import INCIDENTAL, Settings
from tasks.analysis_page import cost_cells, render_analysis, threshold_cell
from tasks.audit_of_records import finished_audit, records_of
from tasks.program import run_program
from tasks.run_view import ViewedTrial, find_view, viewed_labels
from tasks.trial_measures import COMBINED, ConfigurationMeasures, StageMeasures, measure_stages

ENVIRONMENT = {"CODEWARDEN_RUNS": "runs"}
"""The only variables that are read."""
WIDTH = 100
MAX_NEAR = 3


class AnalysisSettings(Settings):
    """Show all finished trials whose label begins so: scores, seeds, cost; plots on a page under runs/reports."""

    prefix: Annotated[str, Field(pattern=r"^[\w.+-]+$")]
    """Beginning of the trials' labels, such as codet5p_220m_champion_."""
    runs: Annotated[Path, INCIDENTAL] = Path("runs")
    """The run root."""


@dataclass(frozen=True)
class Analysis:
    """An analysis.

    Args:
        table: As text of 100 columns.
        path: The HTML page.
    """

    table: str
    path: Path


def analyse(runs_path: Path, prefix: str) -> Analysis:
    """Measure all finished trials whose label begins so, and write the page.

    Raises:
        SettingsInvalid: No label begins so; names near ones. Not retried.
        DataInvalid: A file of a trial's runs is missing. Not retried.
    """
    trials = find_view(runs_path, prefix)
    if not trials:
        raise SettingsInvalid(
            f"prefix: no finished trial has a label that begins with {prefix!r}; {_near(runs_path, prefix)}"
        )
    stages = measure_stages(runs_path, trials)
    path = runs_path / "reports" / f"analysis-{prefix.strip('_')}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    audits = (finished_audit(runs_path, records) for records in _records(runs_path, trials))
    audit = next((found for found in audits if found is not None), None)  # the same data in the tokens of any model
    path.write_text(render_analysis(prefix, stages, audit), encoding="utf-8")
    return Analysis(analysis_text(stages), path)


def _records(runs_path: Path, trials: Sequence[ViewedTrial]) -> list[Path]:
    """Run directories of the trials' records that are still there."""
    found = dict.fromkeys(records_of(trial.train, runs_path) for trial in trials)
    return [path for path in found if path.is_dir()]


def analysis_text(stages: Sequence[StageMeasures]) -> str:
    """Configurations, trials and, where there is one, the sealed test of each stage as text of 100 columns."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, legacy_windows=False)
    for stage in stages:
        console.print(_configuration_table(stage))
        console.print(_trial_table(stage))
        if any(trial.test for trial in stage.trials):
            console.print(_test_table(stage))
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _configuration_table(stage: StageMeasures) -> Any:
    from rich.text import Text

    name, val = stage.ranking["stage"], stage.ranking["val"]
    table = _table(
        f"{name}: validation, {val['num_records']} findings in {val['num_files']} files; ± over seeds",
        ("#", "Configuration"),
        ("Seeds", "F1", f"[{stage.ranking['confidence']:.0%}]", "FP cut", "Cut @recall"),
    )
    for number, each in enumerate(stage.configurations, start=1):
        f1 = each.entry["f1"]
        table.add_row(
            str(number),
            each.name,
            str(len(each.trials)),
            _with_sd(each),
            f"{_number(f1['low'], 2)}–{_number(f1['high'], 2)}",
            _number(each.mean("false_positive_reduction")),
            _at_recall(each),
            end_section=each is stage.configurations[-1],
        )
    for baseline in stage.ranking["baselines"].values():
        f1 = baseline["f1"]
        interval = f"{_number(f1['low'], 2)}–{_number(f1['high'], 2)}"
        cut = _number(baseline["metrics"]["false_positive_reduction"])
        table.add_row("", Text(baseline["title"]), "", _number(f1["value"]), interval, cut, "")
    return table


def _trial_table(stage: StageMeasures) -> Any:
    table = _table(
        f"{stage.ranking['stage']}: trials on validation, and what training cost",
        ("#", "Seed"),
        ("F1", "Prec", "Rec", "FP cut", "Thr", "Epochs", "Time", "Rec/s", "Peak", "Params"),
    )
    for number, each in enumerate(stage.configurations, start=1):
        for trial in each.trials:
            scores = (_number(trial.metrics[n]) for n in ("f1", "precision", "recall", "false_positive_reduction"))
            cells = (f"{trial.threshold:.2f}", str(len(trial.epochs)), *cost_cells(trial.cost))
            table.add_row(str(number), str(trial.seed), *scores, *cells)
    return table


def _test_table(stage: StageMeasures) -> Any:
    from rich.text import Text

    others = [name for name in stage.test_sets if name != COMBINED]
    table = _table(
        f"{stage.ranking['stage']}: SEALED TEST, which orders nothing",
        ("#", "Seed"),
        (
            f"combined F1 [{stage.ranking['confidence']:.0%}]",
            "FP cut",
            *(f"{name} F1" for name in others),
            "Thr",
        ),
    )
    for number, each in enumerate(stage.configurations, start=1):
        for trial in each.trials:
            if trial.test:
                table.add_row(
                    str(number),
                    str(trial.seed),
                    *_test_cells(trial.test, others),
                    threshold_cell(trial.test_thresholds),
                )
    for title, found in stage.test_baselines.items():
        table.add_row("", Text(title), *_test_cells(found, others), "")
    return table


def _test_cells(test: Mapping[str, Mapping[str, Any]], others: Sequence[str]) -> list[str]:
    """F1 with interval and what is cut on the combined set, then F1 on the others."""
    combined = test.get(COMBINED, {})
    f1 = combined.get("f1", {})
    interval = f" [{_number(f1.get('low'), 2)}, {_number(f1.get('high'), 2)}]" if f1 else ""
    f1_of_others = [test.get(name, {}).get("f1", {}).get("value") for name in others]
    cut = combined.get("false_positive_reduction", {}).get("value")
    return [f"{_number(f1.get('value'))}{interval}", _number(cut), *map(_number, f1_of_others)]


def _with_sd(each: ConfigurationMeasures) -> str:
    return f"{each.mean_f1:.3f}" + ("" if each.sd_f1 is None else f" ± {each.sd_f1:.3f}")


def _at_recall(each: ConfigurationMeasures) -> str:
    """At each seed's alternative threshold, with the recall it keeps here; means over the seeds."""
    found = each.entry["false_positive_reduction_at_recall"]
    cut = found.get("false_positive_reduction")
    return "–" if cut is None else f"{cut:.3f} @{found['recall']:.2f}"


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(
        title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False, padding=(0, 1, 0, 0)
    )
    for head in left:
        table.add_column(head, overflow="fold")
    for head in right:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or value != value else f"{value:.{digits}f}"


def _near(runs_path: Path, prefix: str) -> str:
    """Labels that there are instead, the most alike first."""
    labels = viewed_labels(runs_path)
    if not labels:
        return f"there is none under {runs_path}: run a stage first, or give another --runs"
    heads = dict.fromkeys(label[: len(prefix)] for label in labels)  # of equal length, or a long label is never near
    near = difflib.get_close_matches(prefix, list(heads), n=MAX_NEAR)
    shown = [next(label for label in labels if label.startswith(head)) for head in near]
    return f"{'near ones are' if near else 'there are'} {', '.join(shown or labels[:MAX_NEAR])}"


def main(argv: Sequence[str] | None = None) -> int:
    """The program; gives the exit code."""
    settings = parse_settings(
        AnalysisSettings,
        sys.argv[1:] if argv is None else argv,
        prog="python -m tasks.analysis",
        environment=ENVIRONMENT,
    )
    return run_program(lambda: _show(analyse(settings.runs.resolve(), settings.prefix)))


def _show(analysis: Analysis) -> str:
    return f"{analysis.table}\nplots: {analysis.path}\n"


if __name__ == "__main__":
    sys.exit(main())
