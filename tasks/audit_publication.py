"""The last task of an audit: its page under ``runs/reports``, and what people look at in the UI."""

from __future__ import annotations

import json
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from tasks.artifacts import publish_file_link, publish_markdown
from tasks.publication import Publication

AUDIT = "data-audit"
AUDIT_PAGE = "data-audit-page"
AUDIT_FILE = "audit.json"


@task(name="audit report", task_run_name="audit report", cache_policy=NO_CACHE, persist_result=False)
def publish_audit(runs_path: Path, *, audit: Path, name: str) -> Publication:
    """Write the HTML page under ``runs/reports`` and publish table and link.

    Args:
        runs_path: The run root.
        audit: Run directory of the audit.
        name: What the data are called.
    """
    from tasks.audit_page import render_audit  # brings Jinja
    from tasks.audit_report import audit_markdown, audit_text

    found = json.loads((audit / AUDIT_FILE).read_bytes())
    title = f"Data audit of {name}"
    path = runs_path / "reports" / f"audit-{audit.parent.name.rpartition('-')[2]}-{audit.name}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_audit(title, found), encoding="utf-8")
    publish_markdown(AUDIT, audit_markdown(found), title)
    publish_file_link(AUDIT_PAGE, path, title)
    get_run_logger().info("audit written to %s", path)
    return Publication(audit_text(found), path)
