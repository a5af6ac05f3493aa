"""Stage 1, broad candidate selection: which families of models are promising.

    python -m flows.stage1 --config configs/encoder/stage1_batch_training_small.yaml --data DATA
    prefect deployment run stage1-broad
    from flows.stage1 import stage1_broad

Every model on a coarse grid, one seed, argmax; the best families go on to stage 2. Ranked on validation only.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from prefect import flow

from models.settings.decision import Argmax
from models.settings.rank import Keep
from tasks.program import say_own_errors_in_a_line
from tasks.stages import StageResult, run_stage, run_stage_program, shown, stage_settings
from tasks.sweep_settings import SweepSettings
from tasks.termination import noting_termination

CONFIG = Path("configs/encoder/stage1_batch_training.yaml")


class Stage1Settings(SweepSettings):
    """Stage 1: try many models on a coarse grid, rank them by argmax F1 on validation, hand on the best families."""

    STAGE = "stage1"

    keep: Keep = Keep(num=1, by="family")
    """How many families go on to stage 2."""


@flow(name="stage1-broad", flow_run_name="stage1 of {config.stem}")
def stage1_broad(settings: Stage1Settings | None = None, config: Path = CONFIG) -> StageResult:
    """Try many models on a coarse grid, rank them by argmax F1 on validation, hand on the best families.

    Args:
        settings: All settings at once; None: those in the file.
        config: YAML file of the settings, read where settings is None; the one in ..._small.yaml needs no weights.

    Raises:
        CodewardenError: what was wrong; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        return run_stage(stage_settings(Stage1Settings, settings, config), Argmax())


def main(argv: Sequence[str] | None = None) -> int:
    """The program; gives the exit code."""
    return run_stage_program(Stage1Settings, stage1_broad, argv, module="flows.stage1", config=CONFIG, show=shown)


if __name__ == "__main__":
    sys.exit(main())
