"""What a careful reader checks of a data set before training on it: leaks, labels, copies, shortcuts, baselines.

    python -m flows.audit runs/demo-data
    python -m flows.audit ../data/functions.jsonl.gz --format collected
    prefect deployment run audit/audit
    from flows.audit import AuditFlowSettings, audit; audit(AuditFlowSettings(audit={"data": "runs/demo-data"}))

The data are a finished preprocess, findings or collect run, a folder with train, valid and test, or a collection.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from prefect import flow
from pydantic import BaseModel, ConfigDict

from models.settings.audit import AuditSettings
from models.settings.command_line import parse_command
from tasks.audit_publication import publish_audit
from tasks.flow_jobs import flow_jobs
from tasks.jobs import RunReference
from tasks.launchers.places import placed_by_environment
from tasks.planned_program import run_planned_program
from tasks.program import ProgramOptions, say_own_errors_in_a_line
from tasks.run_settings import PLACE_ENVIRONMENT, RunSettings
from tasks.termination import noting_termination

ALIASES = {name.replace("_", "-"): f"audit.{name}" for name in AuditSettings.model_fields if name != "kind"}
"""Flat flags of the program for all that an audit can be told."""
SWITCHES = ("--dry-run", "--check")


class AuditFlowSettings(RunSettings):
    """Audit a data set: label noise, leaks by group and order, contradicting copies, shortcuts, baselines."""

    audit: AuditSettings
    """The checks; its data is the one thing that must be said."""


class AuditResult(BaseModel):
    """What an audit leaves."""

    model_config = ConfigDict(frozen=True)

    audit: RunReference
    table: str
    """Checks, the worst last, as text."""
    report_path: Path
    """A self-contained HTML page."""


@flow(name="audit", flow_run_name="audit {settings.audit.data.name}")
def audit(settings: AuditFlowSettings) -> AuditResult:
    """Check a data set as a careful reader would before training on it.

    Raises:
        CodewardenError: what the job said; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        settings = placed_by_environment(settings)
        with flow_jobs(settings) as jobs:
            jobs.preflight(settings.audit)
            audited = jobs.run(settings.audit)
            report = publish_audit(jobs.runs_path, audit=audited.run_path, name=settings.audit.data.as_posix())
    return AuditResult(audit=audited, table=report.table, report_path=report.path)


def main(argv: Sequence[str] | None = None) -> int:
    """The program: settings from flags and file, the flow, its table; gives the exit code."""
    settings, options = parse_command(
        AuditFlowSettings,
        ProgramOptions,
        with_path_as_flag(sys.argv[1:] if argv is None else argv),
        prog="python -m flows.audit",
        aliases=ALIASES,
        environment=PLACE_ENVIRONMENT,
    )
    return run_planned_program(settings, options, lambda: [settings.audit], lambda: show(audit(settings)))


def with_path_as_flag(argv: Sequence[str]) -> list[str]:
    """Arguments with a path that stands alone, first or last, behind the flag that it is short for."""
    given = list(argv)
    if not given or "--data" in given:
        return given
    if not given[0].startswith("-"):
        return ["--data", *given]
    stands_alone = not given[-1].startswith("-") and len(given) > 1
    follows_a_value = stands_alone and (given[-2] in SWITCHES or not given[-2].startswith("-"))
    return [*given[:-1], "--data", given[-1]] if follows_a_value else given


def show(result: AuditResult) -> str:
    """What the program prints at its end."""
    return f"{result.table}\n\npage: {result.report_path}\n"


if __name__ == "__main__":
    sys.exit(main())
