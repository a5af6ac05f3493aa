"""Code embeddings, rerankers and patch rankers, with one report.

    python -m flows.retrieval --config configs/retrieval/sample.yaml
    prefect deployment run retrieval -p config=configs/retrieval/real.yaml
    from flows.retrieval import retrieval
    from tasks.retrieval_settings import RetrievalFlowSettings

What ``flows.embeddings``, ``flows.reranker`` and ``flows.patch_ranker`` finished with the same file is found, not run
again. The seed's flags and variables belong to those three; here each model has its part of the file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from prefect import flow
from pydantic import BaseModel, ConfigDict

from models.settings.command_line import parse_command
from models.settings.documents import load_settings
from models.settings.fields import Settings
from tasks.flow_jobs import flow_jobs
from tasks.jobs import RunReference
from tasks.launchers.places import placed_by_environment
from tasks.planned_program import run_planned_program
from tasks.program import ProgramOptions, say_own_errors_in_a_line
from tasks.retrieval_artifacts import put_artifacts
from tasks.retrieval_publication import publish_retrieval
from tasks.retrieval_settings import RetrievalFlowSettings
from tasks.retrieval_steps import (
    ForeseeJobs,
    RunJobs,
    encoder_steps,
    export_steps,
    exported_patch_ranker,
    exported_reranker,
    patch_steps,
    reranker_steps,
    trainings,
)
from tasks.retrieval_variables import DATA_ALIASES
from tasks.run_settings import PLACE_ENVIRONMENT, SAGEMAKER_ALIASES
from tasks.termination import noting_termination

CONFIG = Path("configs/retrieval/sample.yaml")
ALIASES = {
    **DATA_ALIASES,
    "num-threads": "compute.num_threads",
    "device": "compute.device",
    **SAGEMAKER_ALIASES,
}
"""Flat flags of the program for the fields people set most."""


class RetrievalResult(BaseModel):
    """What the flow leaves: the measured runs, the table and the page."""

    model_config = ConfigDict(frozen=True)

    embeddings: RunReference
    retrieve: RunReference
    judge_rerankers: RunReference
    judge_patches: RunReference
    artifacts: list[Path]
    """Files that were put into artifacts_dir."""
    table: str
    """All systems, what was shown, and warnings, as text."""
    report_path: Path
    """A self-contained HTML page."""


@flow(name="retrieval", flow_run_name="retrieval")
def retrieval(settings: RetrievalFlowSettings | None = None, config: Path = CONFIG) -> RetrievalResult:
    """Encoder, rerankers and patch rankers, each beside its baselines, with one report.

    Args:
        settings: All settings; empty: those of config.
        config: YAML file of the settings, read where settings is None.

    Raises:
        CodewardenError: what the first job that failed said; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        settings = placed_by_environment(settings or load_settings(RetrievalFlowSettings, config))
        with flow_jobs(settings) as jobs:
            jobs.preflight(*trainings(foreseen_jobs(settings)))
            place = RunJobs(jobs, settings.slots)
            encoder = encoder_steps(settings, place)
            rerankers = reranker_steps(settings, place, encoder)
            patches = patch_steps(settings, place)
            trained = {"embeddings": encoder.train, **exported_reranker(rerankers), **exported_patch_ranker(patches)}
            exported = export_steps(settings, place, trained)
            written = put_artifacts(settings.artifacts_dir, balanced=encoder.balance, exported=exported)
            report = publish_retrieval(
                jobs.runs_path,
                title="Code embeddings, rerankers and patch rankers",
                encoder=encoder,
                rerankers=rerankers,
                patches=patches,
            )
        return RetrievalResult(
            embeddings=encoder.train,
            retrieve=encoder.retrieve,
            judge_rerankers=rerankers.judge,
            judge_patches=patches.judge,
            artifacts=written,
            table=report.table,
            report_path=report.path,
        )


def foreseen_jobs(settings: RetrievalFlowSettings) -> list[Settings]:
    """Every job of the flow in order; one project stands for all before the candidates are made."""
    place = ForeseeJobs(settings)
    encoder = encoder_steps(settings, place)
    rerankers = reranker_steps(settings, place, encoder)
    patches = patch_steps(settings, place)
    trained = {"embeddings": encoder.train, **exported_reranker(rerankers), **exported_patch_ranker(patches)}
    export_steps(settings, place, trained)
    return place.jobs


def main(argv: Sequence[str] | None = None) -> int:
    """The program: settings from flags and file, the flow, its table; gives the exit code."""
    settings, options = parse_command(
        RetrievalFlowSettings,
        ProgramOptions,
        list(sys.argv[1:] if argv is None else argv),
        prog="python -m flows.retrieval",
        aliases=ALIASES,
        environment=PLACE_ENVIRONMENT,
    )
    return run_planned_program(settings, options, lambda: foreseen_jobs(settings), lambda: show(retrieval(settings)))


def show(result: RetrievalResult) -> str:
    """What the program prints at its end."""
    return f"{result.table}\nreport: {result.report_path}\n"


if __name__ == "__main__":
    sys.exit(main())
