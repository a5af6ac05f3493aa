"""Rerankers over what the encoder finds: the seed's network over two embeddings, and a cross-encoder.

    python -m flows.reranker --repos-root data/repos --epochs 15
    python -m flows.reranker --config configs/retrieval/sample.yaml
    prefect deployment run reranker -p config=configs/retrieval/real.yaml
    from flows.reranker import reranker
    from tasks.retrieval_settings import RerankerFlowSettings

Begins as ``flows.embeddings`` does: what that flow finished with the same settings is found, not run again.

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
from tasks.retrieval_settings import RerankerFlowSettings, RerankerName
from tasks.retrieval_steps import encoder_and_rerankers
from tasks.retrieval_variables import COMPUTE_ALIASES, DATA_ALIASES, OPTIMISATION, flags_of_all, variables_of
from tasks.run_settings import SAGEMAKER_ALIASES

CONFIG = Path("configs/retrieval/sample.yaml")
ALIASES: Aliases = {
    **DATA_ALIASES,
    **flags_of_all(["reranker", "cross_encoder"], {**OPTIMISATION, "max-triples": "max_triples"}),
    **COMPUTE_ALIASES,
    "max-pairs": "embeddings.max_pairs",
    **SAGEMAKER_ALIASES,
}
"""Flat flags of the program: how a model learns is said of all rerankers, never of the encoder under them."""
VARIABLES = variables_of(["embeddings", "reranker", "cross_encoder"], ["embeddings", "cross_encoder"])
FLOW = RetrievalFlow(
    program="python -m flows.reranker",
    title="Rerankers",
    settings_class=RerankerFlowSettings,
    steps=encoder_and_rerankers,
    aliases=ALIASES,
    variables=VARIABLES,
)


class RerankerResult(BaseModel):
    """What the flow leaves: its runs, the table and the page."""

    model_config = ConfigDict(frozen=True)

    embeddings: RunReference
    retrieve: RunReference
    train: dict[RerankerName, dict[int, RunReference]]
    """By reranker, then seed."""
    judge: RunReference | None
    """Empty where the test stayed sealed."""
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
    done = run_flow(FLOW, settings, config)
    encoder, rerankers = done.runs.encoder, done.runs.rerankers
    assert encoder is not None
    assert rerankers is not None
    return RerankerResult(
        embeddings=encoder.train,
        retrieve=encoder.retrieve,
        train=rerankers.train,
        judge=rerankers.judge,
        artifacts=done.artifacts,
        table=done.report.table,
        report_path=done.report.path,
    )


def foreseen_jobs(settings: RerankerFlowSettings) -> list[Settings]:
    """Every job of the flow in order."""
    return retrieval_flow.foreseen_jobs(FLOW, settings)


def main(argv: Sequence[str] | None = None) -> int:
    """The program; gives the exit code."""
    return run_program(FLOW, argv, lambda settings: show(reranker(settings)))


def show(result: RerankerResult) -> str:
    """What the program prints at its end."""
    return shown(result.table, result.report_path)


if __name__ == "__main__":
    sys.exit(main())
