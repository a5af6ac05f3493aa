"""Code embeddings, rerankers and patch rankers, with one report.

    python -m flows.retrieval --config configs/retrieval/sample.yaml
    prefect deployment run retrieval -p config=configs/retrieval/real.yaml
    from flows.retrieval import retrieval
    from tasks.retrieval_settings import RetrievalFlowSettings

What ``flows.embeddings``, ``flows.reranker`` and ``flows.patch_ranker`` finished with the same file is found, not run
again. A variable of the seed (DL_EPOCHS …) speaks of every model here, a flag of one (``--embeddings.epochs``).

The program starts from the seed's defaults (data/repos) and what flags, variables and ``--config`` say. The flow
starts from ``configs/retrieval/sample.yaml``, where it is called or deployed without settings.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from prefect import flow
from pydantic import BaseModel, ConfigDict

from models.settings.command_line import Aliases
from models.settings.fields import Settings
from tasks import retrieval_flow
from tasks.jobs import RunReference
from tasks.retrieval_flow import RetrievalFlow, run_flow, run_program, shown
from tasks.retrieval_settings import RetrievalFlowSettings
from tasks.retrieval_steps import all_steps
from tasks.retrieval_variables import COMPUTE_ALIASES, DATA_ALIASES, variables_of
from tasks.run_settings import SAGEMAKER_ALIASES

CONFIG = Path("configs/retrieval/sample.yaml")
ALIASES: Aliases = {
    **DATA_ALIASES,
    "data": "candidates.data",
    **COMPUTE_ALIASES,
    **SAGEMAKER_ALIASES,
}
"""Flat flags of the program for the fields people set most; how a model learns is said of each by itself."""
VARIABLES = variables_of(
    ["embeddings", "reranker", "cross_encoder", "patch_ranker"], ["embeddings", "cross_encoder", "patch_ranker"]
)
FLOW = RetrievalFlow(
    program="python -m flows.retrieval",
    title="Code embeddings, rerankers and patch rankers",
    settings_class=RetrievalFlowSettings,
    steps=all_steps,
    aliases=ALIASES,
    variables=VARIABLES,
)


class RetrievalResult(BaseModel):
    """What the flow leaves: the measured runs, the table and the page."""

    model_config = ConfigDict(frozen=True)

    embeddings: RunReference
    retrieve: RunReference
    judge_rerankers: RunReference | None
    """Empty where the test stayed sealed."""
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
        settings: All settings; empty: those of config, with the seed's variables (DL_EPOCHS …) above them.
        config: YAML file of the settings, read where settings is None.

    Raises:
        CodewardenError: what the first job that failed said; ``retryable`` tells whether running again may help.
    """
    done = run_flow(FLOW, settings, config)
    encoder, rerankers, patches = done.runs.encoder, done.runs.rerankers, done.runs.patches
    assert encoder is not None
    assert rerankers is not None
    assert patches is not None
    return RetrievalResult(
        embeddings=encoder.train,
        retrieve=encoder.retrieve,
        judge_rerankers=rerankers.judge,
        judge_patches=patches.judge,
        artifacts=done.artifacts,
        table=done.report.table,
        report_path=done.report.path,
    )


def foreseen_jobs(settings: RetrievalFlowSettings) -> list[Settings]:
    """Every job of the flow in order; one project stands for all that are left out, before the candidates are made."""
    return retrieval_flow.foreseen_jobs(FLOW, settings)


def main(argv: Sequence[str] | None = None) -> int:
    """The program; gives the exit code."""
    return run_program(FLOW, argv, lambda settings: show(retrieval(settings)))


def show(result: RetrievalResult) -> str:
    """What the program prints at its end."""
    return shown(result.table, result.report_path)


if __name__ == "__main__":
    sys.exit(main())
