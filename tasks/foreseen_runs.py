"""A flow's jobs before it runs, for the plan and the estimate: what is not made yet is where it would lie."""

from __future__ import annotations

from pathlib import Path

from models.jobs.keys import missing_inputs
from models.jobs.labels import label_of
from models.jobs.layout import is_finished, plan_run
from models.settings.fields import Settings
from tasks.foreseen_jobs import UNKNOWN_KEY
from tasks.run_settings import RunSettings


class ForeseenRuns:
    """Jobs so far, and where the next ones would find their runs.

    Args:
        settings: Of the flow.
    """

    def __init__(self, settings: RunSettings) -> None:
        self.jobs: list[Settings] = []
        self._runs_path = settings.runs.resolve()
        self._reuse_build = settings.reuse_build

    def add(self, job: Settings) -> Path:
        """Take a job; its run directory, or a name that is nowhere while the run is not finished."""
        self.jobs.append(job)
        if not missing_inputs(job):
            path = plan_run(job, self._runs_path, reuse_build=self._reuse_build).run_path
            if is_finished(path):
                return path
        kind = str(getattr(job, "kind"))  # noqa: B009  every job has one; Settings itself does not
        return self._runs_path / kind / UNKNOWN_KEY / f"{label_of(job)}-{len(self.jobs)}"
