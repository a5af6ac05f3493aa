"""Code embeddings: functions of real repositories, balanced and paired, to a dual encoder, measured by exact search.

    python -m flows.embeddings --repos-root data/repos --epochs 15 --lr 1e-4
    python -m flows.embeddings --config configs/retrieval/sample.yaml
    prefect deployment run embeddings -p config=configs/retrieval/real.yaml
    from flows.embeddings import embeddings
    from tasks.retrieval_settings import EmbeddingsFlowSettings

A second run of the same settings finds every job finished, and trains nothing. Of a file that describes more
(``configs/retrieval/``) only the parts of this flow are taken.

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
from tasks.retrieval_settings import EmbeddingsFlowSettings
from tasks.retrieval_steps import encoder_alone
from tasks.retrieval_variables import COMPUTE_ALIASES, DATA_ALIASES, flags_of, variables_of
from tasks.run_settings import SAGEMAKER_ALIASES

CONFIG = Path("configs/retrieval/sample.yaml")
ALIASES: Aliases = {
    **DATA_ALIASES,
    **flags_of("embeddings"),
    **COMPUTE_ALIASES,
    "max-pairs": "embeddings.max_pairs",
    **SAGEMAKER_ALIASES,
}
"""Flat flags of the program, as the seed's scripts called them."""
VARIABLES = variables_of(["embeddings"], ["embeddings"])
FLOW = RetrievalFlow(
    program="python -m flows.embeddings",
    title="Code embeddings",
    settings_class=EmbeddingsFlowSettings,
    steps=encoder_alone,
    aliases=ALIASES,
    variables=VARIABLES,
)


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
    done = run_flow(FLOW, settings, config)
    encoder = done.runs.encoder
    assert encoder is not None
    return EmbeddingsResult(
        balance=encoder.balance,
        pairs=encoder.pairs,
        train=encoder.train,
        embed=encoder.embed,
        retrieve=encoder.retrieve,
        artifacts=done.artifacts,
        table=done.report.table,
        report_path=done.report.path,
    )


def foreseen_jobs(settings: EmbeddingsFlowSettings) -> list[Settings]:
    """Every job of the flow in order."""
    return retrieval_flow.foreseen_jobs(FLOW, settings)


def main(argv: Sequence[str] | None = None) -> int:
    """The program; gives the exit code."""
    return run_program(FLOW, argv, lambda settings: show(embeddings(settings)))


def show(result: EmbeddingsResult) -> str:
    """What the program prints at its end."""
    return shown(result.table, result.report_path)


if __name__ == "__main__":
    sys.exit(main())
