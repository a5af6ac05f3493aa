"""Stage 3, final sweep: the last hyperparameters, and the threshold.

    python -m flows.stage3 --config configs/encoder/stage3_final_sweep_220m_small.yaml --data DATA --selection SELECTION
    prefect deployment run stage3-sweep
    from flows.stage3 import stage3_sweep

One threshold for all technologies, chosen on validation by F1. The three best configurations go on to stage 4, and
``<model>_final_sweep_latest`` in the run root's pointers names this ranking: stage 4 takes its thresholds there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from prefect import flow

from models.settings.decision import ThresholdSweep
from models.settings.rank import Keep
from tasks.pointer_store import pointers_of
from tasks.program import say_own_errors_in_a_line
from tasks.stages import StageResult, run_stage, run_stage_program, shown, stage_settings
from tasks.sweep_settings import SweepSettings
from tasks.termination import noting_termination
from tasks.thresholds import point_to_thresholds

CONFIG = Path("configs/encoder/stage3_final_sweep_220m.yaml")


class Stage3Settings(SweepSettings):
    """Stage 3: the last hyperparameters and the threshold, ranked by F1 on validation at each trial's threshold."""

    STAGE = "stage3"
    TAG = "final_sweep"

    threshold: ThresholdSweep = ThresholdSweep()
    """Thresholds that are tried; one is chosen for all technologies."""
    keep: Keep = Keep(num=3, by="configuration")
    """How many configurations go on to stage 4."""


@flow(name="stage3-sweep", flow_run_name="stage3 of {config.stem}")
def stage3_sweep(settings: Stage3Settings | None = None, config: Path = CONFIG) -> StageResult:
    """The last hyperparameters and the threshold, ranked by F1 on validation; the three best go on.

    Args:
        settings: All settings at once; None: those in the file.
        config: YAML file of the settings, read where settings is None; the one in ..._small.yaml needs no weights.

    Raises:
        CodewardenError: what was wrong; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        settings = stage_settings(Stage3Settings, settings, config)
        result = run_stage(settings, settings.threshold)
        point_to_thresholds(pointers_of(settings.runs.resolve(), settings.sagemaker), result)
        return result


def main(argv: Sequence[str] | None = None) -> int:
    """The program; gives the exit code."""
    return run_stage_program(Stage3Settings, stage3_sweep, argv, module="flows.stage3", config=CONFIG, show=shown)


if __name__ == "__main__":
    sys.exit(main())
