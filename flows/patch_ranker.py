"""Rank candidate patches of a bug: learned from all projects but one, measured on that one, for each in turn.

    python -m flows.patch_ranker --data data/raw/patches/before_after.jsonl.gz --epochs 20
    python -m flows.patch_ranker --config configs/retrieval/sample.yaml
    prefect deployment run patch-ranker -p config=configs/retrieval/real.yaml
    from flows.patch_ranker import patch_ranker
    from tasks.retrieval_settings import PatchRankerFlowSettings

Beside it stand gradient-boosted trees over the same features of the edit, the smaller edit first, and random order.

The program starts from the seed's defaults and what flags, variables and ``--config`` say. The flow starts from
``configs/retrieval/sample.yaml``, where it is called or deployed without settings.
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
from tasks.retrieval_settings import PatchRankerFlowSettings
from tasks.retrieval_steps import patch_rankers_alone
from tasks.retrieval_variables import COMPUTE_ALIASES, flags_of, variables_of
from tasks.run_settings import SAGEMAKER_ALIASES

CONFIG = Path("configs/retrieval/sample.yaml")
ALIASES: Aliases = {
    "data": "candidates.data",
    "tokenizer": "candidates.tokenizer",
    **flags_of("patch_ranker"),
    **COMPUTE_ALIASES,
    **SAGEMAKER_ALIASES,
}
"""Flat flags of the program, as the seed's scripts called them."""
VARIABLES = variables_of(["patch_ranker"], ["patch_ranker"])
FLOW = RetrievalFlow(
    program="python -m flows.patch_ranker",
    title="Patch ranking",
    settings_class=PatchRankerFlowSettings,
    steps=patch_rankers_alone,
    aliases=ALIASES,
    variables=VARIABLES,
)


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
    done = run_flow(FLOW, settings, config)
    patches = done.runs.patches
    assert patches is not None
    return PatchRankerResult(
        candidates=patches.candidates,
        train=patches.train,
        judge=patches.judge,
        artifacts=done.artifacts,
        table=done.report.table,
        report_path=done.report.path,
    )


def foreseen_jobs(settings: PatchRankerFlowSettings) -> list[Settings]:
    """Every job of the flow in order; one project stands for all that are left out, before the candidates are made."""
    return retrieval_flow.foreseen_jobs(FLOW, settings)


def main(argv: Sequence[str] | None = None) -> int:
    """The program; gives the exit code."""
    return run_program(FLOW, argv, lambda settings: show(patch_ranker(settings)))


def show(result: PatchRankerResult) -> str:
    """What the program prints at its end."""
    return shown(result.table, result.report_path)


if __name__ == "__main__":
    sys.exit(main())
