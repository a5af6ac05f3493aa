"""The encoder pipeline: stages 1 to 4, each reading what the one before it selected.

    python -m flows.pipeline --config configs/encoder/pipeline_small.yaml --data DATA
    prefect deployment run encoder-pipeline
    from flows.pipeline import encoder_pipeline

Killed anywhere and started again it goes on where it was: finished trials are found, the interrupted one continues.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from prefect import flow
from pydantic import BaseModel, ConfigDict, PositiveInt

from flows import stage1, stage2, stage3, stage4
from models.settings.command_line import parse_command
from models.settings.documents import load_settings
from models.settings.fields import INCIDENTAL, Settings
from tasks.dry_run import check, dry_run
from tasks.first_inputs import refuse_missing_inputs
from tasks.launchers.places import placed_by_environment
from tasks.program import ProgramOptions, run_program, say_own_errors_in_a_line
from tasks.run_settings import PLACE_ENVIRONMENT, SAGEMAKER_ALIASES, RunSettings
from tasks.stages import StageResult, config_among, foreseen_jobs, planned_text, shown, stage_settings
from tasks.sweep_plan import plan_sweep
from tasks.sweep_settings import SweepSettings
from tasks.termination import noting_termination

CONFIG = Path("configs/encoder/pipeline.yaml")

S = TypeVar("S", bound=SweepSettings)


class PipelineSettings(RunSettings):
    """Stages 1 to 4 of the encoder pipeline, each from its own file."""

    stage1: Path = stage1.CONFIG
    """Settings of stage 1, broad candidate selection."""
    stage2: Path = stage2.CONFIG
    """Settings of stage 2, focused tuning."""
    stage3: Path = stage3.CONFIG
    """Settings of stage 3, final sweep with thresholds."""
    stage4: Path = stage4.CONFIG
    """Settings of stage 4, champion over several seeds."""
    data: Path | None = None
    """Folder of the findings, for all stages; empty: what each file says."""
    slots: Annotated[PositiveInt | None, INCIDENTAL] = None
    """Trials at a time on this machine, for all stages; empty: what each file says [trials]."""
    allow_network: Annotated[bool, INCIDENTAL] = False
    """Let weights and tokenizers of every model be fetched from the hub; off: folders and the local cache only."""


class PipelineResult(BaseModel):
    """What the pipeline leaves: the result of each stage, and the champion."""

    model_config = ConfigDict(frozen=True)

    stages: dict[str, StageResult]
    last: stage4.Stage4Result
    champion_path: Path


@flow(name="encoder-pipeline", flow_run_name="pipeline of {config.stem}")
def encoder_pipeline(settings: PipelineSettings | None = None, config: Path = CONFIG) -> PipelineResult:
    """Broad selection, tuning, threshold sweep, champion over several seeds: four stages, one frozen model.

    Args:
        settings: All settings at once; None: those in the file.
        config: YAML file of the settings, read where settings is None; the one in ..._small.yaml needs no weights.

    Raises:
        CodewardenError: what was wrong; ``retryable`` tells whether running again may help.
    """
    say_own_errors_in_a_line()
    with noting_termination():
        settings = placed_by_environment(settings or load_settings(PipelineSettings, config))
        # All that could be missing in a later stage is looked for before the first one begins.
        first = stage_of(stage1.Stage1Settings, settings, settings.stage1)
        second = stage_of(stage2.Stage2Settings, settings, settings.stage2)
        third = stage_of(stage3.Stage3Settings, settings, settings.stage3)
        fourth = stage_of(stage4.Stage4Settings, settings, settings.stage4)
        for stage in (first, second, third, fourth):
            plan_sweep(stage).require_all()
        broad = stage1.stage1_broad(first, settings.stage1)
        tuned = stage2.stage2_tuning(_selecting(second, broad), settings.stage2)
        swept = stage3.stage3_sweep(_selecting(third, tuned), settings.stage3)
        last = stage4.stage4_champion(_selecting(fourth, swept), settings.stage4)
    return PipelineResult(
        stages={result.stage: result for result in (broad, tuned, swept)},
        last=last,
        champion_path=last.champion_path,
    )


def stage_of(settings_class: type[S], settings: PipelineSettings, path: Path) -> S:
    """A stage's settings from its file, with what is said for all stages."""
    stage = stage_settings(settings_class, None, path)
    changes: dict[str, Any] = {name: getattr(settings, name) for name in RunSettings.model_fields}
    changes["allow_network"] = settings.allow_network or stage.allow_network
    if settings.data is not None:
        changes["findings"] = stage.findings.model_copy(update={"data": settings.data})
    if settings.slots is not None:
        changes["slots"] = settings.slots
    return stage.model_copy(update=changes)


def _selecting(stage: S, before: StageResult) -> S:
    return stage.model_copy(update={"selection": before.selection_path})


def main(argv: Sequence[str] | None = None) -> int:
    """The program: settings from flags and file, the flow, its tables; gives the exit code."""
    given = sys.argv[1:] if argv is None else argv
    settings, options = parse_command(
        PipelineSettings,
        ProgramOptions,
        given,
        prog="python -m flows.pipeline",
        aliases=SAGEMAKER_ALIASES,
        environment=PLACE_ENVIRONMENT,
    )
    config = config_among(given) or CONFIG
    if options.check:
        return run_program(lambda: check(settings, _all_jobs(_stages(settings))))
    return run_program(lambda: _dry_run(settings) if options.dry_run else _run(settings, config))


def _run(settings: PipelineSettings, config: Path) -> str:
    refuse_missing_inputs([stage.findings for stage in _stages(settings)], settings.runs.resolve())
    return _shown(encoder_pipeline(settings, config))


def _stages(settings: PipelineSettings) -> list[SweepSettings]:
    return [
        stage_of(stage1.Stage1Settings, settings, settings.stage1),
        stage_of(stage2.Stage2Settings, settings, settings.stage2),
        stage_of(stage3.Stage3Settings, settings, settings.stage3),
        stage_of(stage4.Stage4Settings, settings, settings.stage4),
    ]


def _dry_run(settings: PipelineSettings) -> str:
    stages = _stages(settings)
    head = "As listed; from stage 2 on, the selection of the stage before says what is tried.\n"
    text = head + "".join(f"\n{stage.STAGE}: {planned_text(stage)}" for stage in stages)
    if settings.where != "sagemaker":
        return text
    sys.stdout.write(f"{text}\n")
    return dry_run(settings, _all_jobs(stages))


def _all_jobs(stages: Sequence[SweepSettings]) -> list[Settings]:
    """As listed, each once: stages make the same records."""
    jobs = [job for stage in stages for job in foreseen_jobs(stage)]
    return list({job.model_dump_json(): job for job in jobs}.values())


def _shown(result: PipelineResult) -> str:
    return "".join(f"{shown(stage)}\n" for stage in result.stages.values()) + stage4.shown(result.last)


if __name__ == "__main__":
    sys.exit(main())
