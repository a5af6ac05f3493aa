"""Where the jobs of a flow of retrieval are run, or only foreseen: its steps are written once for both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from models.jobs.labels import label_of
from models.settings.fields import Settings
from tasks.flow_jobs import FlowJobs
from tasks.foreseen_jobs import UNKNOWN_KEY
from tasks.foreseen_runs import ForeseenRuns
from tasks.jobs import RunReference
from tasks.retrieval_settings import TrainedFlowSettings
from tasks.slots import Chain, run_chains

T = TypeVar("T")


class JobPlace(Protocol):
    """Where the jobs of a flow are run, or foreseen."""

    def run(self, job: Settings, title: str | None = None) -> RunReference:
        """One job."""

    def run_side_by_side(self, chains: Mapping[str, Chain[T]]) -> dict[str, T]:
        """Chains of jobs; what each returns."""


class RunJobs:
    """Jobs are run, or found finished.

    Args:
        jobs: Of the flow.
        slots: Chains at a time.
    """

    def __init__(self, jobs: FlowJobs, slots: int) -> None:
        self._jobs = jobs
        self._slots = slots

    def run(self, job: Settings, title: str | None = None) -> RunReference:
        """One job."""
        return self._jobs.run(job, title=title)

    def run_side_by_side(self, chains: Mapping[str, Chain[T]]) -> dict[str, T]:
        """Chains of jobs; what each returns."""
        return run_chains(chains, self._jobs.submit, num_slots=self._slots).of_all()


class ForeseeJobs:
    """Jobs are only noted.

    Args:
        settings: Of the flow.
    """

    def __init__(self, settings: TrainedFlowSettings) -> None:
        self._foreseen = ForeseenRuns(settings)

    @property
    def jobs(self) -> list[Settings]:
        """Those noted so far, in order."""
        return self._foreseen.jobs

    def run(self, job: Settings, title: str | None = None) -> RunReference:  # noqa: ARG002  as where it is run
        """One job; its run may be nowhere yet."""
        path = self._foreseen.add(job)
        kind = str(getattr(job, "kind"))  # noqa: B009  every job has one; Settings itself does not
        return RunReference(
            kind=kind, label=label_of(job), run_key=UNKNOWN_KEY, run_path=path, manifest_sha256="", numbers={}
        )

    def run_side_by_side(self, chains: Mapping[str, Chain[T]]) -> dict[str, T]:
        """Chains of jobs, one after the other."""
        return {name: self._driven(chain) for name, chain in chains.items()}

    def _driven(self, chain: Chain[T]) -> T:
        job = next(chain)
        while True:
            try:
                job = chain.send(self.run(job))
            except StopIteration as end:
                result: T = end.value
                return result
