"""Code embeddings: functions of real repositories, balanced and paired, to a dual encoder, measured by exact search.

    python -m flows.embeddings --repos-root data/repos --epochs 15 --lr 1e-4
    python -m flows.embeddings --config configs/retrieval/sample.yaml
    prefect deployment run embeddings -p config=configs/retrieval/real.yaml
    from flows.embeddings import embeddings
    from tasks.retrieval_settings import EmbeddingsFlowSettings

A second run of the same settings finds every job finished, and trains nothing. Of a file that describes more
(``configs/retrieval/``) only the parts of this flow are taken.
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
from tasks.retrieval_settings import EmbeddingsFlowSettings
from tasks.retrieval_steps import ForeseeJobs, RunJobs, encoder_steps, export_steps, trainings
from tasks.retrieval_variables import DATA_ALIASES, flags_of, variables_of
from tasks.run_settings import PLACE_ENVIRONMENT, SAGEMAKER_ALIASES
from tasks.termination import noting_termination

CONFIG = Path("configs/retrieval/sample.yaml")
ALIASES = {
    **DATA_ALIASES,
    **flags_of("embeddings"),
    "max-pairs": "embeddings.max_pairs",
    **SAGEMAKER_ALIASES,
}
"""Flat flags of the program, as the seed's scripts called them."""
VARIABLES = variables_of(["embeddings"], ["embeddings"])


class EmbeddingsResult(BaseModel):
    """What the flow leaves: its runs, the table and the page."""

    model_config = ConfigDict(frozen=True)

    balance: RunReference
    pairs: RunReference
    train: RunReference
    embed: RunReference
    retrieve: RunReference
    artifacts: list[Path]
    """Files that were put into artifacts_dir."""
    table: str
    """Systems, what was shown, and warnings, as text."""
    report_path: Path
    """A self-contained HTML page."""


@flow(name="embeddings", flow_run_name="embeddings")
def embeddings(settings: EmbeddingsFlowSettings | None = None, config: Path = CONFIG) -> EmbeddingsResult:
    """Balance functions, train the dual encoder, search sealed texts beside BM25 and the untrained encoder.

    Args:
        settings: All settings; empty: those of config, with the seed's variables (DL_EPOCHS …) above them.
        config: YAML file of the settings, read where settings is None.

    Raises:
        CodewardenError: what the first job that failed said; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        settings = settings or settings_in_place(EmbeddingsFlowSettings, config, VARIABLES)
        settings = placed_by_environment(settings)
        with flow_jobs(settings) as jobs:
            jobs.preflight(*trainings(foreseen_jobs(settings)))
            place = RunJobs(jobs, settings.slots)
            runs = encoder_steps(settings, place)
            exported = export_steps(settings, place, {"embeddings": runs.train})
            written = put_artifacts(settings.artifacts_dir, balanced=runs.balance, exported=exported)
            report = publish_retrieval(jobs.runs_path, title="Code embeddings", encoder=runs)
        return EmbeddingsResult(
            balance=runs.balance,
            pairs=runs.pairs,
            train=runs.train,
            embed=runs.embed,
            retrieve=runs.retrieve,
            artifacts=written,
            table=report.table,
            report_path=report.path,
        )


def foreseen_jobs(settings: EmbeddingsFlowSettings) -> list[Settings]:
    """Every job of the flow in order."""
    place = ForeseeJobs(settings)
    runs = encoder_steps(settings, place)
    export_steps(settings, place, {"embeddings": runs.train})
    return place.jobs


def main(argv: Sequence[str] | None = None) -> int:
    """The program: settings from flags, variables and file, the flow, its table; gives the exit code."""
    settings, options = parse_command(
        EmbeddingsFlowSettings,
        ProgramOptions,
        list(sys.argv[1:] if argv is None else argv),
        prog="python -m flows.embeddings",
        aliases=ALIASES,
        environment={**PLACE_ENVIRONMENT, **VARIABLES},
    )
    return run_planned_program(settings, options, lambda: foreseen_jobs(settings), lambda: show(embeddings(settings)))


def show(result: EmbeddingsResult) -> str:
    """What the program prints at its end."""
    return f"{result.table}\nreport: {result.report_path}\n"


if __name__ == "__main__":
    sys.exit(main())
