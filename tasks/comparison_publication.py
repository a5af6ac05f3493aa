"""Tasks that turn finished runs into what people look at: comparison, hard set, collection."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from tasks.artifacts import (
    COLLECTION,
    COMPARISON_REPORT,
    COMPARISON_TABLE,
    HARD_SET,
    HARD_SET_PAGE,
    publish_file_link,
    publish_markdown,
)
from tasks.publication import Publication


@task(name="report", task_run_name="report", cache_policy=NO_CACHE, persist_result=False)
def publish_comparison(
    runs_path: Path,
    *,
    compare: Path,
    records: Path,
    title: str,
    collect: Path | None = None,
    weigh: Path | None = None,
    fuse: Path | None = None,
    fuse_across: Path | None = None,
    audit: Path | None = None,
) -> Publication:
    """Write the HTML page under ``runs/reports`` and publish table and link.

    Args:
        runs_path: The run root.
        compare: Run directory of the comparison.
        records: Run directory of the records whose test split was measured on.
        title: Heading of the page.
        collect: Run directory of the collection; ``None``: nothing was collected. Its table is published too.
        weigh: Run directory of the weights; ``None``: nothing was weighed. Its hard-set page is written too.
        fuse: Run directory of a fusion whose folds share projects; ``None``: nothing was fused.
        fuse_across: Run directory of a fusion whose folds keep projects apart; ``None``: there is none.
        audit: Run directory of an audit; ``None``: the data were not audited.
    """
    from tasks.comparison_inputs import read_comparison_inputs
    from tasks.comparison_report import comparison_markdown, comparison_text, render_comparison  # brings Jinja

    if collect is not None:
        write_collection(collect)
    hard_set = write_hard_set(runs_path, weigh) if weigh is not None else None
    inputs = read_comparison_inputs(
        runs_path,
        compare=compare,
        records=records,
        collect=collect,
        weigh=weigh,
        fuse=fuse,
        fuse_across=fuse_across,
        audit=audit,
    )
    page = render_comparison(
        title=title,
        comparison=inputs.comparison,
        provenance=inputs.provenance,
        beside=inputs.beside,
        hard_set_page=hard_set.name if hard_set is not None else None,
    )
    path = _write(runs_path, "comparison", compare, page)
    publish_markdown(COMPARISON_TABLE, comparison_markdown(inputs.comparison, inputs.beside), title)
    publish_file_link(COMPARISON_REPORT, path, f"{title}: the whole report")
    get_run_logger().info("report written to %s", path)
    return Publication(comparison_text(inputs.comparison, inputs.beside), path)


def write_hard_set(runs_path: Path, weigh: Path) -> Path:
    """Write the page of the least trusted records under ``runs/reports``, publish table and link; gives the page.

    Args:
        runs_path: The run root.
        weigh: Run directory of the weights.
    """
    from tasks.weighing_report import read_weighing, render_hard_set, weighing_markdown

    weighing = read_weighing(weigh)
    title = f"Label noise: the {len(weighing.hard)} least trusted records"
    path = _write(runs_path, "hard-set", weigh, render_hard_set(title, weighing))
    publish_markdown(HARD_SET, weighing_markdown(weighing.found), "Label noise, and the data before and after weights")
    publish_file_link(HARD_SET_PAGE, path, title)
    return path


@task(name="publish collection", task_run_name="publish collection", cache_policy=NO_CACHE, persist_result=False)
def publish_collection(collect: Path) -> str:
    """Publish what a collect run took, rejected and dropped; gives the same as text.

    Args:
        collect: Run directory of the collect run.
    """
    return write_collection(collect)


def write_collection(collect: Path) -> str:
    """The table of ``publish_collection``, for a task that publishes more.

    Args:
        collect: Run directory of the collect run.
    """
    from tasks.collection_report import collection_markdown, collection_text, read_collection

    collection = read_collection(collect)
    publish_markdown(COLLECTION, collection_markdown(collection), "Collected rows by source")
    return collection_text(collection)


def _write(runs_path: Path, name: str, run_path: Path, page: str) -> Path:
    """A page named after the run that it shows."""
    path = runs_path / "reports" / f"{name}-{run_path.parent.name.rpartition('-')[2]}-{run_path.name}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path
