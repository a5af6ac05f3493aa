"""How a flow runs its jobs: each in its place, with the patience of the settings, under one run root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from models.errors import CloudRefused, StoreUnavailable
from models.jobs.keys import missing_inputs
from models.jobs.layout import is_finished
from models.settings.fields import Settings
from tasks.artifacts import publish_markdown
from tasks.jobs import RunReference, finished_run, run_job
from tasks.launch_checks import launch_checks
from tasks.launchers.places import Places
from tasks.launchers.planning import plan_at
from tasks.run_settings import RunSettings, ignored_place


class FlowJobs:
    """The jobs of one flow.

    Args:
        settings: Of the flow.
    """

    def __init__(self, settings: RunSettings) -> None:
        self.runs_path = settings.runs.resolve()
        self.places = Places(settings, self.runs_path)
        self._how: dict[str, Any] = {"patience": settings.patience, "reuse_build": settings.reuse_build}
        self._reuse_build = settings.reuse_build
        self._settings = settings
        self._checked = False

    def preflight(self, *jobs: Settings) -> None:
        """Look, once, at all that is known to go wrong, before money is spent on those of ``jobs`` that are sent away.

        Jobs that are finished are found, not launched; where all are, AWS is not asked.

        Raises:
            SettingsInvalid: something forbids the launch; all of it is named. Not retried.
            CloudRefused: the same, as AWS said it. Not retried.
            StoreUnavailable: AWS does not answer. Retried.
        """
        log = get_run_logger()
        ignored = ignored_place(self._settings)
        if ignored is not None:
            log.warning(ignored)
        away = [job for job in jobs if self.places.of(job).machine is not None and not self._is_finished(job)]
        if not away or self._checked:
            return
        for level, line in launch_checks(self._settings.sagemaker, away, self.runs_path):
            log.log(level, "preflight: %s", line)
        self._checked = True

    def _is_finished(self, job: Settings) -> bool:
        """Whether it was run before; a job whose inputs are still to be made was not."""
        if missing_inputs(job):
            return False
        _, plan = plan_at(self.places.of(job), job, self.runs_path, reuse_build=self._reuse_build)
        return is_finished(plan.run_path)

    def publish_costs(self) -> None:
        """What the jobs of this flow run that were sent away cost, as an artifact; nothing where none was."""
        if self._settings.where != "sagemaker":
            return
        from tasks.ledger_file import Ledger
        from tasks.ledger_report import cost_markdown
        from tasks.ledger_totals import totals_of

        run_id = flow_run.get_id()
        if totals_of(Ledger(self.runs_path).entries(), run_id).attempts:
            self._book_storage()
        entries = Ledger(self.runs_path).entries()
        markdown = cost_markdown(entries, run_id, self._settings.sagemaker.budget)
        publish_markdown("training-costs", markdown, "training jobs of this flow run, and the budget")
        sums = totals_of(entries, run_id)
        get_run_logger().info(
            "its training jobs: $%.4f ($%.4f saved by Spot, %d interruptions); python -m tasks.ledger report says more",
            sums.spent_usd,
            sums.saved_usd,
            sums.num_interruptions,
        )

    def _book_storage(self) -> None:
        """What the store holds now; that it cannot be measured must not hide how the flow ended."""
        from tasks.aws.session import open_session, store_uri
        from tasks.ledger import StorageSettings, book_measured_storage

        sagemaker = self._settings.sagemaker
        try:
            measured = StorageSettings(store=str(store_uri(sagemaker)), runs=self.runs_path, region=sagemaker.region)
            line = book_measured_storage(measured, open_session(sagemaker).client("s3"))
        except (CloudRefused, StoreUnavailable) as error:
            line = f"the storage was not measured ({error}); python -m tasks.ledger storage does it"
        get_run_logger().info(line.strip())

    def run(self, job: Settings, title: str | None = None) -> RunReference:
        """Run one job, or find it finished."""
        return finished_run(run_job(job, self.runs_path, **self._how, launcher=self.places.of(job), title=title))

    def submit(
        self, job: Settings, after: list[PrefectFuture[Any]], title: str | None = None
    ) -> PrefectFuture[RunReference]:
        """Start one in the flow's task runner."""
        how = {**self._how, "launcher": self.places.of(job), "title": title}
        future: PrefectFuture[RunReference] = run_job.submit(job, self.runs_path, **how, wait_for=after)
        return future

    def check(self, job: Settings) -> str:
        """Plan a job without running it; its run key.

        Raises:
            SettingsInvalid: it cannot be run as it is. Not retried.
            BuildDiffers: other code began it. Not retried.
        """
        _, plan = plan_at(self.places.of(job), job, self.runs_path, reuse_build=self._reuse_build)
        return plan.run_key


@contextmanager
def flow_jobs(settings: RunSettings) -> Iterator[FlowJobs]:
    """The jobs of a flow; at the end, however it ends, what they cost is published."""
    jobs = FlowJobs(settings)
    try:
        yield jobs
    finally:
        jobs.publish_costs()
