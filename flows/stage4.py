r"""Stage 4, champion: the best configurations over several seeds, one of them frozen, then the sealed test opened once.

    python -m flows.stage4 --config configs/encoder/stage4_champion_codet5p220m_small.yaml --data DATA \
        --selection SELECTION
    prefect deployment run stage4-champion
    from flows.stage4 import stage4_champion

Nothing is tuned here: thresholds come from stage 3 through a pointer, seeds are the same for every configuration, and
the seed with the median F1 is the one that is frozen. Only then is the test split opened, for champion, runner-up and
baselines.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from prefect import flow
from pydantic import Field, NonNegativeInt

from models.settings.decision import FrozenThreshold
from models.settings.rank import Keep
from tasks.finals import Final, freeze, measure_finalists
from tasks.program import say_own_errors_in_a_line
from tasks.stages import StageResult, run_stage, run_stage_program, stage_settings
from tasks.sweep_plan import plan_sweep
from tasks.sweep_settings import SweepSettings
from tasks.termination import noting_termination
from tasks.thresholds import frozen_ranking

CONFIG = Path("configs/encoder/stage4_champion_codet5p220m.yaml")


class Stage4Settings(SweepSettings):
    """Stage 4: the best configurations over several seeds at frozen thresholds; a champion; the test, opened once."""

    STAGE = "stage4"
    TAG = "champion"

    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] = (41, 42, 43, 44, 45)
    """Seeds of each configuration, the same for all; replicates, never something to choose by."""
    threshold_from: str = "{model}_final_sweep_latest"
    """Pointer to the ranking whose sweep chose the thresholds; {model} stands for the model's name."""
    no_clear_winner: Literal["cheapest", "stop"] = "cheapest"
    """Where several cannot be told apart from the best: freeze the cheapest of them and say so, or freeze nothing."""
    max_failed_trials: NonNegativeInt = 0
    """Trials that may fail; a configuration that lacks a seed is not ranked."""
    keep: Keep = Keep(num=1, by="configuration")
    """How many configurations become champion."""
    open_test: str | None = "stage 4: final measurement"
    """Purpose of opening the sealed test split, written into openings.jsonl; empty: it stays sealed."""


class Stage4Result(StageResult):
    """What stage 4 leaves beside its ranking: the finalists' measurement and the frozen champion."""

    final: Final
    champion_path: Path
    """champion.json."""


@flow(name="stage4-champion", flow_run_name="stage4 of {config.stem}")
def stage4_champion(settings: Stage4Settings | None = None, config: Path = CONFIG) -> Stage4Result:
    """The best configurations over several seeds at frozen thresholds; a champion; the test, opened once.

    Args:
        settings: All settings at once; None: those in the file.
        config: YAML file of the settings, read where settings is None; the one in ..._small.yaml needs no weights.

    Raises:
        CodewardenError: what was wrong; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        settings = stage_settings(Stage4Settings, settings, config)
        models = [trial.model for trial in plan_sweep(settings).trials]
        thresholds_path = frozen_ranking(settings, settings.threshold_from, models)
        ranked = run_stage(settings, FrozenThreshold(ranking=thresholds_path), no_clear_winner=settings.no_clear_winner)
        final = measure_finalists(settings, ranked, open_test=settings.open_test or None)
        champion_path = freeze(settings, ranked, final)
    return Stage4Result(**dict(ranked), final=final, champion_path=champion_path)


def main(argv: Sequence[str] | None = None) -> int:
    """The program; gives the exit code."""
    return run_stage_program(Stage4Settings, stage4_champion, argv, module="flows.stage4", config=CONFIG, show=shown)


def shown(result: Stage4Result) -> str:
    """What the program prints at its end."""
    return f"{result.table}\n\n{result.final.table}\n\nchampion: {result.champion_path}\n"


if __name__ == "__main__":
    sys.exit(main())
