"""What is done beside watching a job that we launched: its ledger entries, what is remembered, what follows its end."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.errors import StoreError
from tasks.aws.capacity import next_launch
from tasks.aws.endings import ending_of, transitions_of
from tasks.aws.settings import SageMakerSettings
from tasks.launchers.contract import JobEnd, JobState
from tasks.launchers.remote_state import RemoteState
from tasks.launchers.step_meter import StepMeter
from tasks.ledger_entries import End, Launch
from tasks.ledger_file import Ledger


class JobKeeper:
    """Keeps one job's books.

    Args:
        name: Name of the job.
        settings: How long to wait for machines, and for which.
        ledger: Where its cost is booked.
        run_path: The run directory here.
        state: What is remembered, this job included.
        meter: Counts its steps, and those of earlier attempts.
    """

    def __init__(
        self,
        name: str,
        settings: SageMakerSettings,
        ledger: Ledger,
        run_path: Path,
        state: RemoteState,
        meter: StepMeter,
    ) -> None:
        self.name = name
        self.state = state
        self.meter = meter
        self._settings = settings
        self._ledger = ledger
        self._run_path = run_path
        self._was_on_demand = state.on_demand
        self._repeated_before = meter.num_repeated
        self._is_booked = False

    def book_launch(self, launch: Launch) -> None:
        """Book the job and remember it, before it is asked for: whoever is killed then knows what it may find.

        Raises:
            BudgetExceeded: It could cost more than is left. Not retried.
        """
        self._ledger.book_launch(launch, self._settings.budget)
        self._is_booked = True
        self.remember()

    def remember(self, **changes: Any) -> None:
        """Change what is remembered."""
        self.state = replace(self.state, **changes)
        self.state.write(self._run_path)

    def has_machine(self) -> None:
        """The job was given a machine: the wait is over, and the next one is Spot again."""
        if self.state.num_without_machine or self.state.waiting_since is not None or self.state.on_demand:
            self.remember(num_without_machine=0, waiting_since=None, on_demand=False)

    def gives_up(self) -> bool:
        """Whether a Spot job without a machine has waited for as long as settings say; the next is on demand then."""
        if self.state.waiting_since is None:
            self.remember(waiting_since=time.time())
        longest = self._settings.on_demand_after_seconds
        if longest is None or not self._settings.use_spot or self._was_on_demand or self._waited_seconds() < longest:
            return False
        self.remember(on_demand=True)
        return True

    def ended(self, description: dict[str, Any]) -> JobEnd:
        """Book how the job ended, and settle what follows an end without a machine."""
        self.book_end(description)
        self.remember(ended=True)
        end = ending_of(description)
        if end.state is JobState.NO_CAPACITY:
            return self.no_machine(end)
        if end.state is JobState.WAITED_OUT:
            settled = self.no_machine(end)
            return settled if self.state.on_demand else end
        return end

    def no_machine(self, end: JobEnd) -> JobEnd:
        """Count a launch without a machine; the end says when to launch again."""
        num_failures = self.state.num_without_machine + 1
        following = next_launch(
            self._settings,
            num_failures=num_failures,
            waited_seconds=self._waited_seconds(),
            on_demand=self._was_on_demand,
        )
        self.remember(num_without_machine=num_failures, on_demand=following.on_demand, ended=True)
        return replace(end, again_in_seconds=following.again_in_seconds)

    def book_end(self, description: dict[str, Any]) -> None:
        """Book the end of a described job."""
        self._ledger.book_end(
            End(
                job_name=description["TrainingJobName"],
                status=_status(description),
                training_seconds=description.get("TrainingTimeInSeconds"),
                billable_seconds=description.get("BillableTimeInSeconds"),
                repeated_steps=self.meter.num_repeated - self._repeated_before,
                seconds_per_step=self.meter.seconds_per_step,
                num_interruptions=sum(status == "Interrupted" for status, _ in transitions_of(description)),
            )
        )

    def brought_home(self, error: StoreError | None) -> None:
        """Remember whether the run of a completed job came home, or what was the matter."""
        if self.state.mending:
            self.remember(mending=error is not None, unmendable=error is not None)

    def not_ours(self) -> None:
        """Take back booking and memory of a job that was not made by us; its number can be asked for again."""
        if self._is_booked:
            self._ledger.book_end(End(self.name, "NotCreated", None, None))
        self.remember(attempt=self.state.attempt - 1, job=None, ended=True)

    def _waited_seconds(self) -> float:
        since = self.state.waiting_since
        return max(0.0, time.time() - since) if since is not None else 0.0


def others_end(description: dict[str, Any]) -> JobEnd:
    """How another supervisor's job ended: where it may go on, whoever comes first launches it again."""
    end = ending_of(description)
    if end.state in (JobState.DONE, JobState.REFUSED, JobState.CRASHED, JobState.STOPPED):
        return end
    return JobEnd(JobState.GONE, end.message)


def _status(description: dict[str, Any]) -> str:
    """The status, or the limit that a stopped job passed."""
    status, secondary = str(description["TrainingJobStatus"]), str(description.get("SecondaryStatus", ""))
    return secondary if status == "Stopped" and secondary else status
