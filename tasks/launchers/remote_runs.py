"""The runs of one store, seen from a run root here: how they stand, what forbids their launch, how they come home."""

from __future__ import annotations

from pathlib import Path

from models.errors import BuildDiffers, ObjectCorrupt, ObjectMissing, StoreError
from models.jobs.layout import RunPlan
from models.settings.fields import Settings
from models.store.openings import copy_openings
from models.store.s3 import S3Objects
from tasks.aws.remote_run import RemoteRun, RemoteRunState, question_uri, run_uri
from tasks.launchers.dispatch import opens_test
from tasks.launchers.remote_state import RemoteState


class RemoteRuns:
    """Runs in S3.

    Every method raises ``CloudRefused`` (not retried) and ``StoreUnavailable`` (retried) as S3 answers.

    Args:
        store: The store.
        runs_path: The run root here.
    """

    def __init__(self, store: S3Objects, runs_path: Path) -> None:
        self._store = store
        self._runs_path = runs_path

    def state(self, plan: RunPlan) -> RemoteRunState:
        """How a run stands, and others of its question."""
        return self._run(plan).state()

    def fetch(self, settings: Settings, plan: RunPlan) -> Path:
        """Bring a finished run home, with the openings it logged; gives its directory.

        Raises:
            ObjectMissing, ObjectCorrupt: what lies in S3 is not what the run left. Not retried.
        """
        self._run(plan).fetch(plan.run_path, settings, plan.run_key)
        if opens_test(settings):
            copy_openings(self._store, self._runs_path, run_key=plan.run_key)
        return plan.run_path

    def damage(self, settings: Settings, plan: RunPlan) -> StoreError | None:
        """Fetch a run that has a manifest in S3; what is wrong where it is damaged there, and needs its job again."""
        try:
            self.fetch(settings, plan)
        except (ObjectMissing, ObjectCorrupt) as error:
            return error
        return None

    def refuse_unmendable(self, plan: RunPlan, damage: StoreError | None) -> None:
        """A damaged run is worth one more job, and not one after the other.

        Raises:
            ObjectCorrupt: It is damaged, although a job was to mend it. Not retried.
        """
        if damage is not None and RemoteState.read(plan.run_path).unmendable:
            found = f"{damage}, also after a job was to mend it; delete all of it to make the run anew"
            raise ObjectCorrupt(str(run_uri(self._store.uri, plan)), "a run as its manifest lists it", found)

    def refuse_other_builds(self, plan: RunPlan, state: RemoteRunState) -> None:
        """As planning does for runs that lie here.

        Raises:
            BuildDiffers: Another build left an unfinished run, and none of the present one exists. Not retried.
        """
        if not state.unfinished_others or plan.reused is not None or plan.run_path.exists():
            return
        if state.finished or state.newest_step >= 0:
            return
        found = self._run(plan).note_other_builds(plan, state.unfinished_others)
        if found is not None:
            raise BuildDiffers(*found)

    def _run(self, plan: RunPlan) -> RemoteRun:
        return RemoteRun(self._store.at(question_uri(self._store.uri, plan)), plan.run_path.name)
