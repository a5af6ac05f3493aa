"""Rank candidate patches of a bug: learned from all projects but one, measured on that one, for each in turn.

    python -m flows.patch_ranker --data data/raw/patches/before_after.jsonl.gz --epochs 20
    python -m flows.patch_ranker --config configs/retrieval/sample.yaml
    prefect deployment run patch-ranker -p config=configs/retrieval/real.yaml
    from flows.patch_ranker import patch_ranker
    from tasks.retrieval_settings import PatchRankerFlowSettings

Beside it stand gradient-boosted trees over the same features of the edit, the smaller edit first, and random order.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from prefect import flow
from pydantic import BaseModel, ConfigDict

from models.settings.command_line import parse_command, settings_in_place
from models.settings.fields import Settings
from tasks.flow_jobs import flow_jobs
from tasks.jobs import RunReference
from tasks.launchers.places import placed_by_environment
from tasks.planned_program import run_planned_program
from tasks.program import ProgramOptions, say_own_errors_in_a_line
from tasks.retrieval_artifacts import put_artifacts
from tasks.retrieval_publication import publish_retrieval
from tasks.retrieval_settings import PatchRankerFlowSettings
from tasks.retrieval_steps import ForeseeJobs, RunJobs, export_steps, exported_patch_ranker, patch_steps, trainings
from tasks.retrieval_variables import flags_of, variables_of
from tasks.run_settings import PLACE_ENVIRONMENT, SAGEMAKER_ALIASES
from tasks.termination import noting_termination

CONFIG = Path("configs/retrieval/sample.yaml")
ALIASES = {
    "data": "candidates.data",
    "tokenizer": "candidates.tokenizer",
    **flags_of("patch_ranker"),
    **SAGEMAKER_ALIASES,
}
"""Flat flags of the program, as the seed's scripts called them."""
VARIABLES = variables_of(["patch_ranker"], ["patch_ranker"])


class PatchRankerResult(BaseModel):
    """What the flow leaves: its runs, the table and the page."""

    model_config = ConfigDict(frozen=True)

    candidates: RunReference
    train: dict[str, dict[int, RunReference]]
    """By the project that was left out, then seed."""
    judge: RunReference
    artifacts: list[Path]
    """Files that were put into artifacts_dir."""
    table: str
    """Rankers and baselines, what was shown, and warnings, as text."""
    report_path: Path
    """A self-contained HTML page."""


@flow(name="patch-ranker", flow_run_name="patch-ranker")
def patch_ranker(settings: PatchRankerFlowSettings | None = None, config: Path = CONFIG) -> PatchRankerResult:
    """Train rankers of candidate patches with one project left out each, and judge them on all projects.

    Args:
        settings: All settings; empty: those of config, with the seed's variables (DL_EPOCHS …) above them.
        config: YAML file of the settings, read where settings is None.

    Raises:
        CodewardenError: what the first job that failed said; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        settings = settings or settings_in_place(PatchRankerFlowSettings, config, VARIABLES)
        settings = placed_by_environment(settings)
        with flow_jobs(settings) as jobs:
            jobs.preflight(*trainings(foreseen_jobs(settings)))
            place = RunJobs(jobs, settings.slots)
            runs = patch_steps(settings, place)
            exported = export_steps(settings, place, exported_patch_ranker(runs))
            written = put_artifacts(settings.artifacts_dir, balanced=None, exported=exported)
            report = publish_retrieval(jobs.runs_path, title="Patch ranking", patches=runs)
        return PatchRankerResult(
            candidates=runs.candidates,
            train={project: {seed: run.train for seed, run in own.items()} for project, own in runs.runs.items()},
            judge=runs.judge,
            artifacts=written,
            table=report.table,
            report_path=report.path,
        )


def foreseen_jobs(settings: PatchRankerFlowSettings) -> list[Settings]:
    """Every job of the flow in order; one project stands for all before the candidates are made."""
    place = ForeseeJobs(settings)
    runs = patch_steps(settings, place)
    export_steps(settings, place, exported_patch_ranker(runs))
    return place.jobs


def main(argv: Sequence[str] | None = None) -> int:
    """The program: settings from flags, variables and file, the flow, its table; gives the exit code."""
    settings, options = parse_command(
        PatchRankerFlowSettings,
        ProgramOptions,
        list(sys.argv[1:] if argv is None else argv),
        prog="python -m flows.patch_ranker",
        aliases=ALIASES,
        environment={**PLACE_ENVIRONMENT, **VARIABLES},
    )
    return run_planned_program(settings, options, lambda: foreseen_jobs(settings), lambda: show(patch_ranker(settings)))


def show(result: PatchRankerResult) -> str:
    """What the program prints at its end."""
    return f"{result.table}\nreport: {result.report_path}\n"


if __name__ == "__main__":
    sys.exit(main())
