"""The last task of the flows of retrieval: one page under ``runs/reports``, and what people look at in the UI."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from tasks.artifacts import RETRIEVAL_REPORT, RETRIEVAL_TABLE, publish_file_link, publish_markdown
from tasks.publication import Publication
from tasks.retrieval_runs import RetrievalRuns


@task(name="report", task_run_name="report", cache_policy=NO_CACHE, persist_result=False)
def publish_retrieval(runs_path: Path, title: str, runs: RetrievalRuns) -> Publication:
    """Write the HTML page under ``runs/reports`` and publish table and link.

    Args:
        runs_path: The run root.
        title: Heading of the page.
        runs: What the flow ran.
    """
    from tasks.retrieval_inputs import read_retrieval_inputs
    from tasks.retrieval_report import render_report, report_markdown, report_text  # brings Jinja

    inputs = read_retrieval_inputs(runs_path, runs)
    measured = (
        runs.encoder and runs.encoder.retrieve,
        runs.rerankers and (runs.rerankers.judge or runs.rerankers.mine),
        runs.patches and runs.patches.judge,
    )
    names = "-".join(run.run_key[:12] for run in measured if run)
    path = runs_path / "reports" / f"retrieval-{names}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_report(title, inputs), encoding="utf-8")
    publish_markdown(RETRIEVAL_TABLE, report_markdown(inputs), title)
    publish_file_link(RETRIEVAL_REPORT, path, f"{title}: the whole report")
    get_run_logger().info("report written to %s", path)
    return Publication(report_text(inputs), path)
