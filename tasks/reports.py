"""The report of a flow: one HTML page that needs nothing else, a markdown table for the UI, a table for the terminal.

Rendering is data in, text out; ``read_report_inputs`` is the one function that reads run directories. Nothing here
needs Prefect, a network or a script in the page.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.audit_report import audit_line, check_rows
from tasks.report_audit import audit_tables
from tasks.report_claims import (
    METRIC_TITLES,
    caveats_of,
    coverage,
    duels_of,
    findings_of,
    headline_split,
    models_of,
    records_text,
    split_title,
    verdict_of,
    verdicts_of,
)
from tasks.report_page import split_section, target_rows
from tasks.report_provenance import provenance_of, read_json, run_attempts
from tasks.report_training import Training, training_caveats, training_charts, training_rows

TEMPLATE = "report.html.j2"
MARKDOWN_METRICS = ("f1", "mcc", "auroc", "auprc", "accuracy")
MARKDOWN_METRICS_OF_FINDINGS = (*MARKDOWN_METRICS, "false_positive_reduction")
TERMINAL_WIDTH = 100


def render_report(
    *,
    title: str,
    evaluation: dict[str, Any],
    training: dict[str, Training],
    preprocessing: dict[str, Any],
    provenance: dict[str, Any],
    audit: dict[str, Any] | None = None,
) -> str:
    """One self-contained HTML page.

    Args:
        title: Its heading.
        evaluation: Content of ``evaluation.json``.
        training: How each model was trained, as ``report_training`` describes it; may be empty.
        preprocessing: Content of ``preprocessing_metadata.json``.
        provenance: ``runs`` and ``openings`` (rows of tables), ``settings`` by run; all may be missing.
        audit: Content of ``audit.json``; ``None``: the data were not audited.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    headline = headline_split(evaluation)
    order = [headline, *(split for split in evaluation["splits"] if split != headline)]
    training = {model: training[model] for model in models_of(evaluation, headline) if model in training}
    return environment.get_template(TEMPLATE).render(
        title=title,
        test_opened=evaluation["test_opened"],
        coverage=coverage(evaluation),
        verdicts=verdicts_of(evaluation, headline),
        caveats=training_caveats(training),
        sections=[split_section(evaluation, split) for split in order],
        targets=target_rows(evaluation),
        models=list(training),
        training_rows=training_rows(training),
        training_charts=training_charts(training),
        data_tables=audit_tables(preprocessing),
        data_checks=check_rows(audit) if audit else [],
        data_summary=audit_line(audit) if audit else "",
        how=evaluation["settings"],
        words=evaluation["words"],
        runs=provenance.get("runs", []),
        openings=provenance.get("openings", []),
        settings={name: json.dumps(value, indent=2) for name, value in provenance.get("settings", {}).items()},
    )


def markdown_summary(evaluation: dict[str, Any], caveats: Sequence[str] = ()) -> str:
    """The table of the headline split with what was shown, as markdown for an artifact; ``caveats`` come first."""
    split = headline_split(evaluation)
    measured = evaluation["splits"][split]
    metrics = MARKDOWN_METRICS if evaluation["records"] == "functions" else MARKDOWN_METRICS_OF_FINDINGS
    heads = ["System", *(METRIC_TITLES[metric] for metric in metrics), "Threshold"]
    lines = [
        *(f"> **{caveat}**\n" for caveat in caveats),
        f"**{split_title(split)}**: {records_text(evaluation, split)}. "
        f"{coverage(evaluation)} intervals by {evaluation['words']['one_group']}.",
        "",
        f"| {' | '.join(heads)} |",
        f"| :-- |{' --: |' * (len(heads) - 1)}",
    ]
    for name, system in measured["systems"].items():
        cells = [_with_interval(system["metrics"][metric]) for metric in metrics]
        title = evaluation["systems"][name]["title"].replace("|", "\\|")
        shown = f"**{title}**" if evaluation["systems"][name]["is_model"] else title
        lines.append(f"| {shown} | {' | '.join(cells)} | {evaluation['thresholds'][name]['value']:.3f} |")
    for model in models_of(evaluation, split):
        lines += ["", verdict_of(evaluation, split, model), ""]
        lines += [f"- {finding}" for finding in findings_of(evaluation, split, model)]
    lines += ["", *(f"{duel}\n" for duel in duels_of(evaluation, split))]
    lines += ["", *(f"> {caveat}" for caveat in caveats_of(evaluation, split))]
    return "\n".join(lines).rstrip() + "\n"


def table_text(evaluation: dict[str, Any], caveats: Sequence[str] = ()) -> str:
    """Models and baselines of every split as text of 100 columns, the headline split last; then ``caveats``."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=io.StringIO(), width=TERMINAL_WIDTH, color_system=None, legacy_windows=False)
    headline = headline_split(evaluation)
    for split in [*(split for split in evaluation["splits"] if split != headline), headline]:
        console.print(_rich_table(evaluation, split))
    for sentence in (*verdicts_of(evaluation, headline), *caveats_of(evaluation, headline), *caveats):
        console.print(Text(sentence))
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def _rich_table(evaluation: dict[str, Any], split: str) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    measured = evaluation["splits"][split]
    table = Table(
        title=f"{split_title(split)}: {records_text(evaluation, split)}",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("System", overflow="fold")
    for head in (f"F1 [{coverage(evaluation)}]", "MCC", f"AUROC [{coverage(evaluation)}]", "AUPRC", "Acc", "Thr"):
        table.add_column(head, justify="right", no_wrap=True)
    for name, system in measured["systems"].items():
        metrics = system["metrics"]
        table.add_row(
            Text(evaluation["systems"][name]["title"]),
            _with_interval(metrics["f1"]),
            _number(metrics["mcc"]["value"]),
            _with_interval(metrics["auroc"]),
            _number(metrics["auprc"]["value"]),
            _number(metrics["accuracy"]["value"]),
            f"{evaluation['thresholds'][name]['value']:.2f}",
            end_section=evaluation["systems"][name]["is_model"] and name == models_of(evaluation, split)[-1],
        )
    return table


def read_report_inputs(
    runs_path: Path,
    *,
    preprocess: Path,
    train: dict[str, Path],
    predict: dict[str, Path],
    evaluate: Path,
    audit: Path | None = None,
) -> dict[str, Any]:
    """What ``render_report`` takes (but the title), from finished runs.

    Args:
        runs_path: The run root, where openings are logged.
        preprocess: Run directory of the data.
        train: Run directory of each model.
        predict: Run directory of each model's predictions.
        evaluate: Run directory of the metrics.
        audit: Run directory of the data's audit; ``None``: they were not audited.
    """
    runs = {
        "preprocess": preprocess,
        **({"audit": audit} if audit else {}),
        **{f"train {name}": path for name, path in train.items()},
        **{f"predict {name}": path for name, path in predict.items()},
        "evaluate": evaluate,
    }
    return {
        "evaluation": read_json(evaluate / "evaluation.json"),
        "training": {name: _training_in(path) for name, path in train.items()},
        "preprocessing": read_json(preprocess / "preprocessing_metadata.json"),
        "audit": read_json(audit / "audit.json") if audit else None,
        "provenance": provenance_of(runs_path, runs, records=[preprocess]),
    }


def _training_in(run_path: Path) -> Training:
    """How the model of a finished run was trained, as ``report_training`` takes it."""
    return {
        "epochs": read_json(run_path / "history.json")["epochs"],
        "numbers": read_json(run_path / "result.json")["numbers"],
        "attempts": run_attempts(run_path),
        "machine": read_json(run_path / "build.json")["machine"],
        "model": read_json(run_path / "settings.json")["model"],
    }


def _with_interval(metric: dict[str, Any]) -> str:
    if metric["value"] is None or metric["low"] is None:
        return _number(metric["value"])
    return f"{metric['value']:.3f} [{metric['low']:.2f}, {metric['high']:.2f}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
