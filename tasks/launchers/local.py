"""Jobs as child processes on this machine.

The child stays in the process group of its supervisor: Prefect cancels a run by signalling its group. It is tied to the
supervising thread (``tied_child``), so a supervisor that is killed leaves no orphan. Two locks keep a run to one child:

- ``launch.lock`` is held by the supervisor from before the start until after the end. Who finds it held attaches.
- ``lock`` is held by the child itself for its life. A child may outlive its supervisor by the seconds it needs to save,
  so who finds it held attaches too, and launches when it is free.

The kernel frees both at any death. Neither is ever deleted.

A run may be mirrored in S3 while it is made here; its child then finds credentials with us (``aws_profile``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.jobs.contract import LOCK_FILE
from models.jobs.layout import CHECKPOINTS_FOLDER, RunPlan, is_finished, make_run_folder
from models.jobs.placement import Placement
from models.settings.fields import Settings
from models.store.filesystem import disk_errors
from models.store.head import published_step
from models.store.s3 import S3Uri
from tasks.aws.remote_run import run_uri
from tasks.launchers.attached import AttachedJob
from tasks.launchers.aws_profile import PrivateProfile
from tasks.launchers.child_job import ChildJob
from tasks.launchers.contract import JobEnd, JobState, LaunchedJob
from tasks.launchers.ended_job import EndedJob
from tasks.launchers.environment import job_environment
from tasks.launchers.remote_runs import RemoteRuns
from tasks.launchers.run_files import LAUNCH_LOCK_FILE, is_locked, try_lock

if TYPE_CHECKING:
    from tasks.aws.session import AwsSession

JOB_FILE = "job.json"
PLACEMENT_FILE = "placement.json"


class LocalProcess:
    """Runs jobs as children of this process.

    Args:
        runs_path: The run root, told to the job.
        command: What runs a job file.
        store: Where runs are mirrored in S3, in the layout of training jobs; ``None``: the disk is all there is.
        session: Who writes there; goes with ``store``.
    """

    machine = None
    python = None

    @property
    def is_mirroring(self) -> bool:
        """Whether what it runs is kept in S3 too."""
        return self._mirror is not None

    def __init__(
        self,
        runs_path: Path,
        command: Sequence[str] = (sys.executable, "-m", "models"),
        *,
        store: S3Uri | None = None,
        session: AwsSession | None = None,
    ) -> None:
        self.runs_path = runs_path
        self.command = tuple(command)
        self._mirror = (store, session) if store is not None and session is not None else None

    def resolved(self, settings: Settings) -> Settings:
        """The job as it is: it resolves by itself what depends on this machine."""
        return settings

    def newest_step(self, plan: RunPlan) -> int:
        """Step of the newest checkpoint; -1 when there is none, or the head is damaged until the job recovers it."""
        step = published_step(plan.run_path / CHECKPOINTS_FOLDER)
        return -1 if step is None else step

    def launch(self, settings: Settings, plan: RunPlan) -> LaunchedJob:
        """Start the job in ``plan.run_path``, or attach to the supervisor or child that holds it.

        Raises:
            SettingsInvalid: no run can lie in the run directory. Not retried.
            CloudRefused: the run is to be mirrored, and there are no credentials. Not retried.
            StoreUnavailable: the disk refuses. Retried.
        """
        make_run_folder(plan.run_path)
        launch_lock = try_lock(plan.run_path / LAUNCH_LOCK_FILE)
        if launch_lock is None:
            return AttachedJob(plan.run_path)
        if is_locked(plan.run_path / LOCK_FILE):
            launch_lock.close()
            return AttachedJob(plan.run_path)
        profile = None
        try:
            if self._mirror is not None and self._brought_home(settings, plan):
                return EndedJob(plan.run_path, JobEnd(JobState.DONE, "was finished in S3"), launch_lock)
            environment = job_environment(settings, os.environ)
            command = self._command(settings, plan)
            if self._mirror is not None:
                store, session = self._mirror
                command += ["--placement", str(_write_placement(plan, store, session.region))]
                profile = PrivateProfile(session)
                environment |= profile.environment(os.environ)
            return ChildJob(plan.run_path, command, environment, launch_lock, profile)
        except BaseException:  # or a retry in this process would attach to nobody
            if profile is not None:
                profile.remove()
            launch_lock.close()
            raise

    def _brought_home(self, settings: Settings, plan: RunPlan) -> bool:
        """Whether another machine finished the run; it is here then. One that is finished here is only sent."""
        assert self._mirror is not None
        store, session = self._mirror
        runs = RemoteRuns(session.objects(store), self.runs_path)
        if is_finished(plan.run_path) or not runs.state(plan).finished:
            return False
        return runs.damage(settings, plan) is None

    def _command(self, settings: Settings, plan: RunPlan) -> list[str]:
        """What to run; the job's settings are left in a file of the run directory."""
        job_path = plan.run_path / JOB_FILE
        with disk_errors(job_path):
            _write_atomically(job_path, settings.model_dump_json(indent=2) + "\n")
        command = [*self.command, str(job_path), "--run-dir", str(plan.run_path), "--runs", str(self.runs_path)]
        return [*command, "--reuse-build"] if plan.reused is not None else command


def _write_placement(plan: RunPlan, store: S3Uri, region: str) -> Path:
    """Tell the job where its run is mirrored; gives the file. Openings are logged here, where reports read them."""
    path = plan.run_path / PLACEMENT_FILE
    placement = Placement(run_uri=str(run_uri(store, plan)), region=region, run_key=plan.run_key)
    with disk_errors(path):
        _write_atomically(path, placement.model_dump_json(indent=1) + "\n")
    return path


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)
