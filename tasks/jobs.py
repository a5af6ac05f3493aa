"""The one Prefect task behind every kind of job: named, retried, watched, and cached by its run directory.

Prefect keeps no results here (``NO_CACHE``): a finished run is found by its key, verified, and shown as ``Cached``.
What crosses the border of a task is settings, numbers and references.
"""

from __future__ import annotations

import hashlib
import logging
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Completed
from prefect.tasks import exponential_backoff
from pydantic import BaseModel, ConfigDict

from models.errors import SettingsInvalid
from models.jobs.contract import MANIFEST_FILE
from models.jobs.labels import label_of
from models.jobs.layout import RunPlan, is_finished, is_mirrored, read_result
from models.jobs.registry import model_kind_of
from models.settings.balance import BalanceSettings
from models.settings.fields import Settings
from models.settings.findings import FindingsSettings
from models.settings.predict import PredictSettings
from models.settings.preprocess import PreprocessSettings
from models.settings.rank import RankSettings
from models.settings.retrieval import BoostSettings, EmbedSettings, MineSettings, RetrieveSettings, ScoreSettings
from models.settings.train import TrainSettings
from tasks.launchers.contract import Event, Launcher
from tasks.launchers.local import LocalProcess
from tasks.launchers.planning import plan_at
from tasks.progress import Progress, ProgressMeter, log_line
from tasks.supervision import SupervisionSettings, supervise
from tasks.terminal import ProgressView, progress_view
from tasks.termination import told_to_end

ARTIFACT_EVERY_SECONDS = 3.0
QUIET_LOG_SECONDS = 30.0
"""A line of progress is logged when nothing else was for so long."""


class RunReference(BaseModel):
    """A finished run, small enough to cross a task's border.

    Args:
        kind: Kind of job.
        label: What people call the run.
        run_key: Hex digest of the question it answers.
        run_path: Its directory.
        manifest_sha256: Digest of its manifest, and so of all its bytes.
        numbers: The small numbers of its ``result.json``.
        cached: Whether it was found finished.
    """

    model_config = ConfigDict(frozen=True)

    kind: str
    label: str
    run_key: str
    run_path: Path
    manifest_sha256: str
    numbers: dict[str, Any]
    cached: bool = False


def job_name(settings: Settings) -> str:
    """What a person calls this job, such as ``train gnn seed 42``."""
    if isinstance(settings, TrainSettings):
        if settings.model.kind == "patch_ranker":
            return f"train patch_ranker without {settings.train_data.parent.name} seed {settings.seed}"
        fold = "" if settings.left_out_fold is None else f" without fold {settings.left_out_fold}"
        weighted = "" if settings.weights is None else ", weighted"
        return f"train {settings.model.kind} seed {settings.seed}{fold}{weighted}"
    if isinstance(settings, PreprocessSettings | FindingsSettings):
        return f"{settings.kind} {settings.source}"
    if isinstance(settings, RankSettings):
        return f"rank {settings.stage}"
    if isinstance(settings, PredictSettings):
        splits = [*settings.splits, *(["test"] if settings.open_test else [])]
        return f"predict {_model_name(settings)} {', '.join(splits)}"
    if isinstance(settings, ScoreSettings):
        return f"score {label_of(settings)} by {_model_name(settings)}"
    if isinstance(settings, EXPLAINED_BY_LABEL):
        return f"{settings.kind} {label_of(settings)}"
    return str(getattr(settings, "kind", type(settings).__name__))


EXPLAINED_BY_LABEL = BalanceSettings | EmbedSettings | MineSettings | RetrieveSettings | BoostSettings
"""Jobs that people call by what their runs are called."""


def _model_name(settings: PredictSettings | ScoreSettings) -> str:
    """Kind of the model that is asked, or the folder of a run that cannot be read: planning the job says why."""
    try:
        return str(model_kind_of(settings))
    except SettingsInvalid:
        return settings.model_run.name


def name_task_run(parameters: dict[str, Any]) -> str:
    """Name of the task run, for Prefect."""
    return str(parameters.get("title") or job_name(parameters["settings"]))


def is_retryable(_task: Any, _run: TaskRun, state: State[Any]) -> bool:
    """Whether a later attempt could succeed: the error's own word, and nothing else."""
    error = state.result(raise_on_failure=False)
    return bool(getattr(error, "retryable", False))


@task(
    name="job",
    task_run_name=name_task_run,  # type: ignore[arg-type]  # its protocol fits no plain function
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=5),
    retry_jitter_factor=0.3,
    retry_condition_fn=is_retryable,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def run_job(
    settings: Settings,
    runs_path: Path,
    *,
    launcher: Launcher | None = None,
    patience: SupervisionSettings | None = None,
    reuse_build: bool = False,
    title: str | None = None,
) -> RunReference | State[RunReference]:
    """Run a job of any kind, or find its finished run. Call it through ``finished_run``.

    Args:
        settings: Settings of the job.
        runs_path: The run root.
        launcher: Where it runs; a child process here by default.
        patience: Limits of silence and of idle attempts.
        reuse_build: Go on with an unfinished run that other code began.
        title: What people see; by default ``job_name``.

    Returns:
        A reference to the run; when it was found finished, a state named ``Cached`` that holds the reference.

    Raises:
        SettingsInvalid: an input does not exist. Not retried.
        BuildDiffers: other code began this run. Not retried.
        JobRefused: the job refused its settings or data. Not retried.
        JobCrashed: the job ended by an error of its own. Not retried.
        JobInterrupted: interrupted without getting further. Retried.
        JobHung: silent for too long, and ended. Retried.
        CapacityMissing, SpotWaitExceeded: no machine was to be had. Retried.
        JobStopped: someone stopped the remote job. Not retried.
        BudgetExceeded: it could cost more than the budget leaves. Not retried.
        CloudRefused: AWS refuses: rights, region, quota, image. Not retried.
    """
    log = get_run_logger()
    place = launcher or LocalProcess(runs_path)
    settings, plan = plan_at(place, settings, runs_path, reuse_build=reuse_build)
    if is_finished(plan.run_path) and (is_mirrored(plan.run_path) or not place.is_mirroring):
        log.info("Cached: %s was finished before; its manifest verifies, nothing is run", plan.run_path)
        reference = refer_to(plan, cached=True)
        return Completed(name="Cached", message=f"finished before in {plan.run_path}", data=reference)
    _tell_plan(plan, log)
    with progress_view(title or job_name(settings)) as view:
        reporter = ProgressReporter(log, view)
        supervised = supervise(
            place,
            settings,
            plan,
            patience or SupervisionSettings(),
            reporter.hear,
            keep_going=lambda: not told_to_end(),
        )
        reporter.done()
    again = f" after {supervised.num_launches} launches" if supervised.num_launches > 1 else ""
    log.info("done%s: %s", again, supervised.run_path)
    return refer_to(plan, cached=False)


def finished_run(answer: RunReference | State[RunReference]) -> RunReference:
    """The reference in what ``run_job`` gave: a call that finds a finished run gives a state."""
    if isinstance(answer, RunReference):
        return answer
    reference = answer.result()
    assert isinstance(reference, RunReference)
    return reference


def refer_to(plan: RunPlan, *, cached: bool) -> RunReference:
    """Reference to the finished run of ``plan``."""
    return RunReference(
        kind=plan.kind,
        label=plan.label,
        run_key=plan.run_key,
        run_path=plan.run_path,
        manifest_sha256=hashlib.sha256((plan.run_path / MANIFEST_FILE).read_bytes()).hexdigest(),
        numbers=read_result(plan.run_path)["numbers"],
        cached=cached,
    )


class ProgressReporter:
    """Carries the events of one job to the log, the terminal and a progress artifact.

    Args:
        log: Logger of the task run.
        view: Terminal, or nothing.
    """

    def __init__(self, log: logging.Logger | logging.LoggerAdapter[Any], view: ProgressView) -> None:
        self._log = log
        self._view = view
        self._meter = ProgressMeter()
        self._artifact: UUID | None = None
        self._moved_seconds = -ARTIFACT_EVERY_SECONDS
        self._logged_seconds = time.monotonic()
        self._unreachable = False

    def hear(self, event: Event) -> None:
        """Pass on one event."""
        progress = self._meter.hear(event)
        self._view.show(progress)
        now_seconds = time.monotonic()
        line = log_line(event)
        if line is None and now_seconds - self._logged_seconds > QUIET_LOG_SECONDS:
            line = str(progress)
        if line is not None:
            self._log.log(logging.WARNING if event.get("level") == "warning" else logging.INFO, line)
            self._logged_seconds = now_seconds
        if now_seconds - self._moved_seconds >= ARTIFACT_EVERY_SECONDS:
            self._moved_seconds = now_seconds
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):  # or a server that is away holds us for a minute
                self._move_artifact(progress)

    def done(self) -> None:
        """The job is done: all of it."""
        self._move_artifact(Progress(1.0, None, "done"))

    def _move_artifact(self, progress: Progress) -> None:
        """Move the artifact; a server that is away for a while must not end a training."""
        percent = 100 * progress.share
        try:
            if self._artifact is None:
                found = create_progress_artifact(percent, description=str(progress), _sync=True)  # type: ignore[call-arg]
                assert isinstance(found, UUID)
                self._artifact = found
            else:
                update_progress_artifact(self._artifact, percent, str(progress), _sync=True)  # type: ignore[call-arg]
            self._unreachable = False
        except (httpx.HTTPError, PrefectException) as error:
            if not self._unreachable:
                self._log.warning("the progress artifact could not be moved (%s); the job goes on", error)
            self._unreachable = True


def _tell_plan(plan: RunPlan, log: logging.Logger | logging.LoggerAdapter[Any]) -> None:
    """Say where the run lies, and what other builds left."""
    log.info("run directory %s", plan.run_path)
    for other in plan.others:
        if other is plan.reused:
            log.warning("continuing %s of another build: %s", other.path, "; ".join(other.differences))
        elif other.finished:
            log.info("%s answers the same for another build (%s)", other.path, "; ".join(other.differences))
