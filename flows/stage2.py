r"""Stage 2, focused tuning: learning rates and batch sizes of the models that stage 1 found promising.

    python -m flows.stage2 --config configs/encoder/stage2_batch_training_220m_770m_small.yaml --data DATA \
        --selection SELECTION
    prefect deployment run stage2-tuning
    from flows.stage2 import stage2_tuning

One seed, argmax; the best model goes on to stage 3. Ranked on validation only.
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

CONFIG = Path("configs/encoder/stage2_batch_training_220m_770m.yaml")


class Stage2Settings(SweepSettings):
    """Stage 2: tune the models of the best families, rank by argmax F1 on validation, hand on the best model."""

    STAGE = "stage2"

    keep: Keep = Keep(num=1, by="model")
    """How many models go on to stage 3."""


@flow(name="stage2-tuning", flow_run_name="stage2 of {config.stem}")
def stage2_tuning(settings: Stage2Settings | None = None, config: Path = CONFIG) -> StageResult:
    """Tune the models of the best families, rank by argmax F1 on validation, hand on the best model.

    Args:
        settings: All settings at once; None: those in the file.
        config: YAML file of the settings, read where settings is None; the one in ..._small.yaml needs no weights.

    Raises:
        CodewardenError: what was wrong; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        return run_stage(stage_settings(Stage2Settings, settings, config), Argmax())


def main(argv: Sequence[str] | None = None) -> int:
    """The program; gives the exit code."""
    return run_stage_program(Stage2Settings, stage2_tuning, argv, module="flows.stage2", config=CONFIG, show=shown)


if __name__ == "__main__":
    sys.exit(main())
