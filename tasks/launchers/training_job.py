"""Jobs as training jobs on SageMaker, on demand or managed Spot.

A job is named ``<kind>-<run key>-<build>-<store>-<attempt>``, so asking for it twice is refused by SageMaker, and
whoever finds it there attaches, or takes it for its own by the token of its launch. A job that has ended unfinished is
followed by the next attempt on the same prefix of S3, which goes on from its newest checkpoint. Supervisors of one
machine are kept apart by ``launch.lock``, as for local jobs; what a killed one knew is in ``remote.json``.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from models.errors import (
    BudgetExceeded,
    CloudRefused,
    ObjectCorrupt,
    ObjectMissing,
    SettingsInvalid,
    StoreError,
)
from models.jobs.compute import resolved_compute
from models.jobs.layout import RunPlan, make_run_folder
from models.jobs.placement import Machine
from models.settings.fields import Settings
from models.settings.predict import PredictSettings
from models.settings.train import TrainSettings
from tasks.aws.bundle import code_bundle
from tasks.aws.channels import cargo_of
from tasks.aws.endings import is_ended
from tasks.aws.instances import check_ranks, machine_of
from tasks.aws.log_stream import LogStream
from tasks.aws.prices import Rate
from tasks.aws.remote_run import RemoteRunState
from tasks.aws.session import AwsSession
from tasks.aws.settings import SageMakerSettings
from tasks.aws.training_api import Answer, TrainingApi
from tasks.launchers.attached import AttachedJob
from tasks.launchers.contract import Event, JobEnd, JobState, LaunchedJob
from tasks.launchers.dispatch import Dispatch
from tasks.launchers.ended_job import EndedJob
from tasks.launchers.job_keeper import JobKeeper, others_end
from tasks.launchers.remote_job import Hooks, RemoteJob
from tasks.launchers.remote_state import RemoteState
from tasks.launchers.run_files import LAUNCH_LOCK_FILE, try_lock
from tasks.launchers.site import Site, open_site
from tasks.launchers.step_meter import StepMeter
from tasks.ledger_entries import Launch
from tasks.ledger_file import Ledger


@dataclass(frozen=True)
class _Order:
    """What is to be launched.

    Args:
        settings: The job, with the paths of this machine.
        plan: Its run.
        lock: Held by whoever launches it here.
        damage: Why its finished run in S3 cannot be brought home, where there is one.
    """

    settings: Settings
    plan: RunPlan
    lock: IO[bytes]
    damage: StoreError | None


class SageMakerTraining:
    """Runs jobs as training jobs; many threads may launch by one.

    Nothing is asked of AWS before the first launch.

    Args:
        settings: Instance, limits, places, money.
        runs_path: The run root here.
        session: Who asks; ``None``: as settings say.

    Raises:
        SettingsInvalid: the instance type is not known. Not retried.
    """

    def __init__(self, settings: SageMakerSettings, runs_path: Path, session: AwsSession | None = None) -> None:
        self.settings = settings
        self.runs_path = runs_path
        self._machine = machine_of(settings.instance_type)
        self._session = session
        self._ledger = Ledger(runs_path)
        self._opening = threading.Lock()
        self._opened: Site | None = None
        self._looked: dict[Path, RemoteRunState] = {}
        self._meters: dict[Path, StepMeter] = {}

    @property
    def machine(self) -> Machine:
        """What the instance type is."""
        return self._machine

    @property
    def is_mirroring(self) -> bool:
        """Its runs come from S3, so nothing is to be sent there."""
        return False

    @property
    def python(self) -> str | None:
        """Python of the image, where settings say it."""
        return self.settings.image_python

    def resolved(self, settings: Settings) -> Settings:
        """The same job with device and precision of the instance type.

        Raises:
            SettingsInvalid: the ranks do not fit the instances, or the precision not the GPU. Not retried.
        """
        if not isinstance(settings, TrainSettings | PredictSettings):
            return settings
        check_ranks(self.settings.instance_type, self.settings.num_instances, settings.compute.num_ranks)
        return settings.model_copy(update={"compute": resolved_compute(settings, self._machine)})

    def newest_step(self, plan: RunPlan) -> int:
        """Step of the newest checkpoint in S3; -1 where there is none.

        Raises:
            CloudRefused: no credentials, no rights, no such bucket. Not retried.
            StoreUnavailable: S3 does not answer. Retried.
        """
        state = self._site().runs.state(plan)
        self._looked[plan.run_path] = state  # a launch that follows need not look again
        return state.newest_step

    def launch(self, settings: Settings, plan: RunPlan) -> LaunchedJob:
        """Ask for the training job of ``plan``, or attach to the one that runs, or bring home what is finished in S3.

        Raises:
            SettingsInvalid: the job cannot travel, or the request is not acceptable. Not retried.
            BuildDiffers: another build left an unfinished run in S3, and none of the present one exists. Not retried.
            CloudRefused: credentials, rights, bucket, role, image or quota. Not retried.
            BudgetExceeded: it could cost more than is left, and does not run yet. Not retried.
            ObjectCorrupt: its finished run is damaged in S3, and a job did not mend it. Not retried.
            StoreUnavailable: AWS or the disk does not answer. Retried.
        """
        runs = self._site().runs
        state = self._looked.pop(plan.run_path, None) or runs.state(plan)
        runs.refuse_other_builds(plan, state)
        make_run_folder(plan.run_path)
        lock = try_lock(plan.run_path / LAUNCH_LOCK_FILE)
        if lock is None:
            return AttachedJob(plan.run_path)
        try:
            damage = runs.damage(settings, plan) if state.finished else None
            if state.finished and damage is None:
                return EndedJob(plan.run_path, JobEnd(JobState.DONE, "was finished in S3"), lock)
            runs.refuse_unmendable(plan, damage)
            return self._launch(_Order(settings, plan, lock, damage))
        except BaseException:
            lock.close()
            raise

    def _launch(self, order: _Order) -> LaunchedJob:
        """Walk the attempts to the first that runs, or can be made."""
        site, plan = self._site(), order.plan
        dispatch = Dispatch(self.settings, site.place, plan, cargo_of(order.settings), code_bundle(), site.git)
        dispatch.send_inputs(site.sending)
        dispatch.send_job(site.sending)
        known = RemoteState.read(plan.run_path)
        known = replace(known, waiting_since=known.waiting_since or time.time(), mending=order.damage is not None)
        for attempt in itertools.count(max(1, known.attempt + known.ended)):
            name = dispatch.job_name(attempt)
            is_known = known.job == name and not known.ended
            launch = known.launch if is_known else uuid.uuid4().hex
            state = replace(known, attempt=attempt, job=name, ended=False, launch=launch, unmendable=False)
            keeper = JobKeeper(name, self.settings, self._ledger, plan.run_path, state, self._meter(plan))
            with _leaving_no_job(site.api, name, launch):
                launched = self._attempt(site, dispatch, order, keeper, is_known=is_known)
            if launched is not None:
                return launched
        raise AssertionError("attempts do not end")

    def _attempt(
        self, site: Site, dispatch: Dispatch, order: _Order, keeper: JobKeeper, *, is_known: bool
    ) -> LaunchedJob | None:
        """Launch one attempt, or attach to it; ``None`` where it has ended and another is to follow."""
        answer, run_path, name = self._ask(site, dispatch, keeper), order.plan.run_path, keeper.name
        if answer is Answer.CREATED:
            return self._watched(order, keeper, attached=False)
        if answer is Answer.NO_ROOM:
            end = JobEnd(JobState.NO_CAPACITY, f"{name}: the quota of {self.settings.instance_type} is in use")
            return EndedJob(run_path, keeper.no_machine(end), order.lock, attached=False)
        description = site.api.describe(name)
        if not is_ended(description):
            is_ours = is_known and site.api.is_of_launch(name, keeper.state.launch)
            if not is_ours:
                keeper.not_ours()
            return self._watched(order, keeper, attached=not is_ours)
        keeper.book_end(description)
        keeper.remember(ended=True)
        is_done = description["TrainingJobStatus"] == "Completed" and site.runs.state(order.plan).finished
        if not is_done or site.runs.damage(order.settings, order.plan) is not None:
            return None
        return EndedJob(run_path, JobEnd(JobState.DONE, f"{name} is completed"), order.lock)

    def _ask(self, site: Site, dispatch: Dispatch, keeper: JobKeeper) -> Answer:
        """Book the job and ask for it; what was booked is taken back where it is not made."""
        use_spot = self.settings.use_spot and not keeper.state.on_demand
        name, launch = keeper.name, keeper.state.launch
        request = dispatch.request(name, use_spot=use_spot, flow_run=_flow_run(), launch=launch)
        try:
            keeper.book_launch(self._booking(name, dispatch.plan, site.rate, use_spot))
        except BudgetExceeded:
            if site.api.exists(name):  # to watch what another supervisor pays for costs nothing here
                return Answer.TAKEN
            raise
        try:
            answer = site.api.create(request, launch)
        except CloudRefused:  # after any other error the job may be there: the next launch finds it as its own
            keeper.not_ours()
            raise
        if answer is Answer.NO_ROOM:
            keeper.not_ours()
        return answer

    def _watched(self, order: _Order, keeper: JobKeeper, *, attached: bool) -> RemoteJob:
        """The running job, with what is to be done beside watching it."""
        site, name = self._site(), keeper.name
        hooks = Hooks(
            heard=keeper.meter.hear,
            has_machine=_nothing if attached else keeper.has_machine,
            gives_up=keeper.gives_up,
            ended=others_end if attached else keeper.ended,
            fetch=lambda: self._fetched_by(order, keeper),
        )
        return RemoteJob(
            name=name,
            run_path=order.plan.run_path,
            attached=attached,
            api=site.api,
            log=LogStream(site.session.client("logs"), name, num_hosts=self.settings.num_instances),
            hooks=hooks,
            least_pause_seconds=self.settings.poll_seconds,
            longest_wait_seconds=float(max(self.settings.max_wait_seconds, self.settings.max_run_seconds)),
            announcements=[] if attached else self._announcements(order, keeper),
            lock=order.lock,
        )

    def _announcements(self, order: _Order, keeper: JobKeeper) -> list[Event]:
        told = []
        if self.settings.use_spot and keeper.state.on_demand:
            told.append(f"{keeper.name} takes an on-demand machine, as Spot had none; it costs its full price")
        if order.damage is not None:
            told.append(f"the finished run in S3 is damaged ({order.damage}); {keeper.name} is launched to mend it")
        now = round(time.time(), 3)
        return [{"event": "notice", "time": now, "level": "warning", "message": message} for message in told]

    def _booking(self, name: str, plan: RunPlan, rate: Rate, use_spot: bool) -> Launch:
        return Launch(
            job_name=name,
            run_key=plan.run_key,
            kind=plan.kind,
            label=plan.label,
            instance_type=self.settings.instance_type,
            num_instances=self.settings.num_instances,
            use_spot=use_spot,
            max_run_seconds=self.settings.max_run_seconds,
            rate=rate,
            flow_run=_flow_run(),
            instead_of_spot=self.settings.use_spot and not use_spot,
        )

    def _fetched_by(self, order: _Order, keeper: JobKeeper) -> Path:
        """Fetch the run that a job has completed."""
        try:
            run_path = self._site().runs.fetch(order.settings, order.plan)
        except (ObjectMissing, ObjectCorrupt) as error:
            keeper.brought_home(error)
            raise
        keeper.brought_home(None)
        return run_path

    def _meter(self, plan: RunPlan) -> StepMeter:
        return self._meters.setdefault(plan.run_path, StepMeter())

    def _site(self) -> Site:
        """Opened at first use."""
        with self._opening:
            if self._opened is None:
                self._opened = open_site(self.settings, self.runs_path, self._session)
            return self._opened


@contextlib.contextmanager
def _leaving_no_job(api: TrainingApi, name: str, launch: str) -> Iterator[None]:
    """Whoever is ended while a job is launched leaves none behind that nobody watches.

    After an error that is retried the job is left: the next launch finds it as its own.
    """
    try:
        yield
    except (SettingsInvalid, BudgetExceeded):  # nothing was made
        raise
    except BaseException as error:
        if not getattr(error, "retryable", False):
            api.abandon(name, launch)
        raise


def _nothing() -> None:
    """What there is to do for the job of another supervisor."""


def _flow_run() -> str | None:
    """Id of the flow run that we are in."""
    from prefect.runtime import flow_run

    found = flow_run.get_id()
    return str(found) if found else None
