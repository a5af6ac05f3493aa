"""What the four stages share: settings from a file, a sweep, its leaderboard in the UI, its result.

The order of things in one stage is in its flow; how a sweep runs is in ``sweeps.py``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from prefect.logging import get_run_logger
from pydantic import BaseModel, ConfigDict

from models.errors import NoClearWinner
from models.jobs.layout import plan_run
from models.settings.command_line import parse_command
from models.settings.decision import RankingRule
from models.settings.documents import load_settings
from models.settings.fields import Settings
from models.settings.selection import RANKING_FILE, SELECTION_FILE
from tasks.artifacts import publish_markdown
from tasks.dry_run import check
from tasks.dry_run import dry_run as dry_run_of
from tasks.first_inputs import refuse_missing_inputs
from tasks.foreseen_jobs import UNKNOWN_KEY
from tasks.jobs import RunReference
from tasks.launchers.places import placed_by_environment
from tasks.leaderboard import curve_markdown, leaderboard_markdown, leaderboard_text, plan_text, sentences
from tasks.program import ProgramOptions, run_program
from tasks.run_settings import PLACE_ENVIRONMENT, SAGEMAKER_ALIASES
from tasks.run_view import link_trials
from tasks.sweep_plan import plan_sweep, refuse_faulty_grid, train_job
from tasks.sweep_settings import SweepSettings
from tasks.sweeps import Sweep, run_sweep

SWEEP_FILE = "threshold_sweep_results.json"
ALIASES = {
    "data": "findings.data",
    "num-threads": "compute.num_threads",
    "device": "compute.device",
    "num-ranks": "compute.num_ranks",
    **SAGEMAKER_ALIASES,
}
"""Flat flags of the stages' programs for what people set most."""
S = TypeVar("S", bound=SweepSettings)


class StageResult(BaseModel):
    """What a stage leaves.

    Args:
        stage: Its name.
        records: Run directory of each model's records.
        trials: Training run of each finished trial, by label.
        failures: What each failed trial said, by label.
        ranking: The ranking of the finished ones.
        table: The leaderboard, as text.
    """

    model_config = ConfigDict(frozen=True)

    stage: str
    records: dict[str, Path]
    trials: dict[str, RunReference]
    failures: dict[str, str]
    ranking: RunReference
    table: str

    @property
    def selection_path(self) -> Path:
        """What the next stage reads."""
        return self.ranking.run_path / SELECTION_FILE

    def read_ranking(self) -> dict[str, Any]:
        """Content of ``ranking.json``."""
        ranking: dict[str, Any] = json.loads((self.ranking.run_path / RANKING_FILE).read_bytes())
        return ranking


def run_stage(settings: SweepSettings, decision: RankingRule, *, no_clear_winner: str = "best") -> StageResult:
    """Run the sweep of a stage and publish its leaderboard, and its threshold curve where one was swept.

    Raises:
        SettingsInvalid: weights, data or a trial's settings are not as they must be; nothing was trained. Not retried.
        TooManyTrialsFailed: more trials failed than may. Not retried.
        NoClearWinner: several cannot be told apart and ``stop`` is asked for; the ranking is kept. Not retried.
    """
    plan = plan_sweep(settings)
    sweep = run_sweep(settings, plan, decision, no_clear_winner=no_clear_winner)
    result = _result(settings.STAGE, sweep)
    ranking = result.read_ranking()
    publish_markdown(f"{settings.STAGE}-leaderboard", leaderboard_markdown(ranking), f"{settings.STAGE}: leaderboard")
    link_trials(settings.runs.resolve(), result.ranking.run_path)
    if decision.kind == "sweep":
        publish_curve(settings.STAGE, result, ranking)
    log = get_run_logger()
    for sentence in sentences(ranking):
        log.info(sentence)
    if ranking["first"] is None:
        raise NoClearWinner(settings.STAGE, ranking["best_set"]["configurations"], confidence=ranking["confidence"])
    log.info("selection for the next stage: %s", result.selection_path)
    return result


def publish_curve(stage: str, result: StageResult, ranking: Mapping[str, Any]) -> None:
    """The threshold curve of the configuration that came first."""
    first = ranking["configurations"][0]
    label = first["trials"][str(first["median_seed"])]
    found = json.loads((result.ranking.run_path / "trials" / label / SWEEP_FILE).read_bytes())
    publish_markdown(f"{stage}-threshold-curve", curve_markdown(label, found), f"{stage}: F1 over the threshold")


def stage_settings(settings_class: type[S], settings: S | None, config: Path) -> S:
    """The settings given, or those in the file; where jobs run is also said by the process' environment.

    Raises:
        SettingsInvalid: the file does not say a whole grid; names file and key. Not retried.
    """
    if settings is not None:
        return placed_by_environment(settings)
    loaded = load_settings(settings_class, config)
    refuse_faulty_grid(loaded, config)
    return placed_by_environment(loaded)


def dry_run(settings: SweepSettings) -> str:
    """Every trial as it would be run, what is missing, and where trials are sent away, the requests and the price."""
    text = planned_text(settings)
    if settings.where != "sagemaker":
        return text
    sys.stdout.write(f"{text}\n")
    return dry_run_of(settings, foreseen_jobs(settings))


def planned_text(settings: SweepSettings) -> str:
    """Every trial as it would be run, and what is missing; nothing is made or trained."""
    plan = plan_sweep(settings)
    return plan_text([(trial.label, trial.model) for trial in plan.trials], plan.missing, plan.announcements) + "\n"


def foreseen_jobs(settings: SweepSettings) -> list[Settings]:
    """The jobs of a sweep as far as they are known before it runs: records, and trials whose weights are at hand."""
    plan = plan_sweep(settings)
    runs_path = settings.runs.resolve()
    records = {
        model: plan_run(job, runs_path).run_path if job.data.is_dir() else runs_path / job.kind / UNKNOWN_KEY
        for model, job in plan.data.items()
    }
    made = {job.model_dump_json(): job for job in plan.data.values() if job.data.is_dir()}
    trials = [train_job(settings, trial, records[trial.model]) for trial in plan.trials if trial.model in records]
    return [*made.values(), *trials]


def run_stage_program(
    settings_class: type[S],
    stage: Callable[[S, Path], StageResult],
    argv: Sequence[str] | None,
    *,
    module: str,
    config: Path,
    show: Callable[[Any], str],
) -> int:
    """A stage as a program: settings from flags and file, the flow, its table; gives the exit code.

    Args:
        settings_class: Of the stage.
        stage: The flow.
        argv: Arguments; ``None``: those of this process.
        module: How the program is called.
        config: File that is read where ``--config`` names no other.
        show: What is printed of the result.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    named = config_among(given)
    if named is None and config.is_file():
        given = ["--config", str(config), *given]
    source = named or config
    settings, options = parse_command(
        settings_class,
        ProgramOptions,
        given,
        prog=f"python -m {module}",
        aliases=ALIASES,
        environment=PLACE_ENVIRONMENT,
    )

    def run() -> str:
        refuse_faulty_grid(settings, source)
        if options.check:
            return check(settings, foreseen_jobs(settings))
        if options.dry_run:  # which trials there are does not hang on data
            return dry_run(settings)
        refuse_missing_inputs([settings.findings], settings.runs.resolve())
        return show(stage(settings, source))

    return run_program(run)


def config_among(arguments: Sequence[str]) -> Path | None:
    """The file that ``--config`` names, if it is given."""
    for at, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag == "--config":
            return Path(value or next(iter(arguments[at + 1 :]), ""))
    return None


def shown(result: StageResult) -> str:
    """What a stage's program prints at its end."""
    return f"{result.table}\n\nselection: {result.selection_path}\n"


def _result(stage: str, sweep: Sweep) -> StageResult:
    ranking = json.loads((sweep.ranking.run_path / RANKING_FILE).read_bytes())
    return StageResult(
        stage=stage,
        records=sweep.records,
        trials=sweep.trials,
        failures=sweep.failures,
        ranking=sweep.ranking,
        table=leaderboard_text(ranking),
    )
