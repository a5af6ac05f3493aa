"""Rerankers over what the encoder finds: the seed's network over two embeddings, and a cross-encoder.

    python -m flows.reranker --repos-root data/repos --epochs 15
    python -m flows.reranker --config configs/retrieval/sample.yaml
    prefect deployment run reranker -p config=configs/retrieval/real.yaml
    from flows.reranker import reranker
    from tasks.retrieval_settings import RerankerFlowSettings

Begins as ``flows.embeddings`` does: what that flow finished with the same settings is found, not run again.
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
from tasks.retrieval_settings import RerankerFlowSettings, RerankerName
from tasks.retrieval_steps import (
    ForeseeJobs,
    RunJobs,
    encoder_steps,
    export_steps,
    exported_reranker,
    reranker_steps,
    trainings,
)
from tasks.retrieval_variables import DATA_ALIASES, flags_of, variables_of
from tasks.run_settings import PLACE_ENVIRONMENT, SAGEMAKER_ALIASES
from tasks.termination import noting_termination

CONFIG = Path("configs/retrieval/sample.yaml")
ALIASES = {
    **DATA_ALIASES,
    **flags_of("reranker"),
    "max-pairs": "embeddings.max_pairs",
    "max-triples": "reranker.max_triples",
    **SAGEMAKER_ALIASES,
}
"""Flat flags of the program: of the network over embeddings, unless they say another model."""
VARIABLES = variables_of(["embeddings", "reranker", "cross_encoder"], ["embeddings", "cross_encoder"])


class RerankerResult(BaseModel):
    """What the flow leaves: its runs, the table and the page."""

    model_config = ConfigDict(frozen=True)

    embeddings: RunReference
    retrieve: RunReference
    train: dict[RerankerName, dict[int, RunReference]]
    """By reranker, then seed."""
    judge: RunReference
    artifacts: list[Path]
    """Files that were put into artifacts_dir."""
    table: str
    """Systems, the gain of each reranker, what was shown, and warnings, as text."""
    report_path: Path
    """A self-contained HTML page."""


@flow(name="reranker", flow_run_name="reranker")
def reranker(settings: RerankerFlowSettings | None = None, config: Path = CONFIG) -> RerankerResult:
    """Train rerankers on lists that the encoder mined, and measure the gain over its own order.

    Args:
        settings: All settings; empty: those of config, with the seed's variables (DL_EPOCHS …) above them.
        config: YAML file of the settings, read where settings is None.

    Raises:
        CodewardenError: what the first job that failed said; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        settings = settings or settings_in_place(RerankerFlowSettings, config, VARIABLES)
        settings = placed_by_environment(settings)
        with flow_jobs(settings) as jobs:
            jobs.preflight(*trainings(foreseen_jobs(settings)))
            place = RunJobs(jobs, settings.slots)
            encoder = encoder_steps(settings, place)
            runs = reranker_steps(settings, place, encoder)
            exported = export_steps(settings, place, {"embeddings": encoder.train, **exported_reranker(runs)})
            written = put_artifacts(settings.artifacts_dir, balanced=encoder.balance, exported=exported)
            report = publish_retrieval(jobs.runs_path, title="Rerankers", encoder=encoder, rerankers=runs)
        return RerankerResult(
            embeddings=encoder.train,
            retrieve=encoder.retrieve,
            train={name: {seed: run.train for seed, run in own.items()} for name, own in runs.runs.items()},
            judge=runs.judge,
            artifacts=written,
            table=report.table,
            report_path=report.path,
        )


def foreseen_jobs(settings: RerankerFlowSettings) -> list[Settings]:
    """Every job of the flow in order."""
    place = ForeseeJobs(settings)
    encoder = encoder_steps(settings, place)
    runs = reranker_steps(settings, place, encoder)
    export_steps(settings, place, {"embeddings": encoder.train, **exported_reranker(runs)})
    return place.jobs


def main(argv: Sequence[str] | None = None) -> int:
    """The program: settings from flags, variables and file, the flow, its table; gives the exit code."""
    settings, options = parse_command(
        RerankerFlowSettings,
        ProgramOptions,
        list(sys.argv[1:] if argv is None else argv),
        prog="python -m flows.reranker",
        aliases=ALIASES,
        environment={**PLACE_ENVIRONMENT, **VARIABLES},
    )
    return run_planned_program(settings, options, lambda: foreseen_jobs(settings), lambda: show(reranker(settings)))


def show(result: RerankerResult) -> str:
    """What the program prints at its end."""
    return f"{result.table}\nreport: {result.report_path}\n"


if __name__ == "__main__":
    sys.exit(main())
