"""The last task of a flow: turn finished runs into a report and the artifacts people look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from tasks.artifacts import PHASE1_LEADERBOARD, PHASE1_REPORT, publish_file_link, publish_markdown


@dataclass(frozen=True)
class Publication:
    """What was published.

    Args:
        table: Models and baselines as text.
        path: The HTML page.
    """

    table: str
    path: Path


@task(name="report", task_run_name="report", cache_policy=NO_CACHE, persist_result=False)
def publish_phase1(
    runs_path: Path,
    *,
    preprocess: Path,
    audit: Path,
    train: dict[str, Path],
    predict: dict[str, Path],
    evaluate: Path,
) -> Publication:
    """Write the HTML page under ``runs/reports`` and publish table and link.

    Args:
        runs_path: The run root.
        preprocess: Run directory of the data.
        audit: Run directory of the data's audit.
        train: Run directory of each model.
        predict: Run directory of each model's predictions.
        evaluate: Run directory of the metrics.
    """
    from tasks.audit_report import audit_line
    from tasks.report_training import training_caveats
    from tasks.reports import markdown_summary, read_report_inputs, render_report, table_text  # brings Jinja

    title = f"Phase 1: {' and '.join(train)} beside honest baselines"
    inputs = read_report_inputs(
        runs_path, preprocess=preprocess, audit=audit, train=train, predict=predict, evaluate=evaluate
    )
    path = runs_path / "reports" / f"phase1-{evaluate.parent.name.rpartition('-')[2]}-{evaluate.name}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_report(title=title, **inputs), encoding="utf-8")
    evaluation, caveats = inputs["evaluation"], training_caveats(inputs["training"])
    markdown = f"{markdown_summary(evaluation, caveats)}\n{audit_line(inputs['audit'])}\n"
    publish_markdown(PHASE1_LEADERBOARD, markdown, title)
    publish_file_link(PHASE1_REPORT, path, "Phase 1: the whole report")
    get_run_logger().info(audit_line(inputs["audit"]))
    get_run_logger().info("report written to %s", path)
    return Publication(table_text(evaluation, caveats), path)
