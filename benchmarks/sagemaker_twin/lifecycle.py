"""A job from its creation to its end, through every machine it gets and loses."""

from __future__ import annotations

import re
import shutil
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sagemaker_twin import refusals
from benchmarks.sagemaker_twin.aws_clients import AwsClients
from benchmarks.sagemaker_twin.errors import JobFailure
from benchmarks.sagemaker_twin.eviction import Cause, Cluster, Eviction
from benchmarks.sagemaker_twin.faults import FaultBoard, FaultPlan
from benchmarks.sagemaker_twin.machines import Machines, start_machines
from benchmarks.sagemaker_twin.metrics import Metrics
from benchmarks.sagemaker_twin.namespaces import Isolation
from benchmarks.sagemaker_twin.options import TwinOptions
from benchmarks.sagemaker_twin.training_job import Ending, TrainingJob
from benchmarks.sagemaker_twin.transfer import upload_archive

LOOK_SECONDS = 0.05
LONGEST_FAILURE = 1024
END_SECONDS = 5.0


@dataclass(frozen=True)
class Surroundings:
    """What all jobs of a twin share.

    Args:
        clients: Of moto.
        folder: Disks of the jobs.
        options: Times and rates.
        isolation: How jobs are set apart.
        container_aws: Variables by which a container reaches AWS.
        faults: What is to go wrong.
    """

    clients: AwsClients
    folder: Path
    options: TwinOptions
    isolation: Isolation
    container_aws: dict[str, str]
    faults: FaultBoard


class JobRun:
    """Sees one job through, in a thread of its own.

    Args:
        job: The job.
        index: Number of the job in this twin.
        around: What all jobs share.
        warm: Whether it takes over machines that were kept warm.
    """

    def __init__(self, job: TrainingJob, index: int, around: Surroundings, *, warm: bool) -> None:
        self._job = job
        self._index = index
        self._around = around
        self._warm = warm
        self._folder = around.folder / job.name
        self._plan: FaultPlan = around.faults.plan_for(job.name)
        self._reclaims = list(self._plan.reclaims)
        self._metrics = Metrics(job.request["AlgorithmSpecification"].get("MetricDefinitions", []), job.name)
        self._hearing = threading.Lock()
        self._cluster = Cluster()
        self._trained_seconds = 0.0
        self._stalled_until: float | None = None
        self._twin_ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name=job.name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """The twin ends: kill the containers, leave the state as it is. Returns at once."""
        self._twin_ends.set()
        self._job.stop_requested.set()  # what waits, waits for this

    def join(self) -> None:
        """Wait until the containers are gone."""
        self._thread.join(END_SECONDS)

    def _run(self) -> None:
        try:
            ending = self._see_through()
        except JobFailure as failure:
            ending = Ending.failed(str(failure))
        except Exception:  # noqa: BLE001  a bug of the twin must end the job, or its test waits for ever
            traceback.print_exc()
            ending = Ending.failed(f"InternalServerError: the twin itself failed: {traceback.format_exc(limit=-3)}")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        if ending is not None:
            self._job.finish(ending, self._metrics.final())

    def _see_through(self) -> Ending | None:
        if self._plan.refusal and (reason := refusals.failure_reason(self._plan.refusal, self._job.request)):
            raise JobFailure(reason)
        while True:
            if (ending := self._get_machine()) is not None:
                return ending
            self._cluster = Cluster()
            got_at = time.monotonic()
            machines = start_machines(self._job, self._index, self._around, self._folder)
            try:
                ending = self._on_machines(machines)
            finally:
                machines.give_back()
                self._job.spend(time.monotonic() - got_at)
            if ending is not None or self._twin_ends.is_set():
                return ending
            if self._job.stop_requested.is_set():
                return Ending.stopped()
            self._job.move("Interrupted")

    def _get_machine(self) -> Ending | None:
        """Wait for machines; an ending when none come."""
        if self._job.secondary == "Interrupted":
            self._job.move("Starting")
        if not self._warm or self._job.num_starts:
            self._job.stop_requested.wait(self._around.options.starting_seconds)
        if self._job.stop_requested.is_set():
            return Ending.stopped()
        if self._job.num_starts == 0 and self._around.faults.lacks_capacity(self._plan):
            return Ending.failed(refusals.NO_CAPACITY)
        if self._waited_too_long() or (self._plan.exceed_max_wait and not self._reclaims):
            self._job.move("Stopping")
            return Ending.stopped(Cause.MAX_WAIT)
        self._job.num_starts += 1
        return None

    def _on_machines(self, machines: Machines) -> Ending | None:
        """One start of the job; ``None`` when its machines were taken away."""
        self._job.move("Downloading")
        machines.fetch()
        if self._job.stop_requested.is_set():
            return Ending.stopped()
        self._job.move("Training")
        began = time.monotonic()
        if self._stalled_until is None:
            self._stalled_until = began + self._plan.stall_sync_seconds
        machines.train(self._cluster, self._hear, self._stalled_until)
        while self._cluster.running():
            if self._twin_ends.wait(LOOK_SECONDS):
                self._cluster.end()
                return None
            self._enforce_limits(began)
        codes = self._cluster.join()
        self._trained_seconds += time.monotonic() - began
        eviction = self._cluster.eviction
        machines.settle(once_more=self._cluster.lets_sync)
        if eviction is not None and eviction.cause is Cause.RECLAIM:
            return None
        return self._wrap_up(machines, eviction, next((code for code in codes if code), 0))

    def _wrap_up(self, machines: Machines, eviction: Eviction | None, exit_code: int) -> Ending:
        if eviction is not None and eviction.cause in {Cause.STOP, Cause.MAX_RUNTIME, Cause.MAX_WAIT}:
            ending = Ending.stopped(eviction.cause)
        elif exit_code == 0:
            ending = Ending("Completed", "Completed")
        else:
            ending = Ending.failed(f"AlgorithmError: {machines.failure()[:LONGEST_FAILURE]}, exit code: {exit_code}")
        self._job.move("Uploading")
        self._metrics.publish(self._around.clients)
        output = self._job.request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        for name, folders in machines.results().items():
            upload_archive(self._around.clients, folders, f"{output}/{self._job.name}/output/{name}.tar.gz")
        return ending

    def _hear(self, line: str) -> None:
        """A line of the output: metrics, and what was planned to follow it."""
        self._metrics.read(line)
        plan = self._plan
        with self._hearing:  # hosts print at the same time
            reclaim = next((one for one in self._reclaims if re.search(one.on_log, line)), None)
            if reclaim is not None:
                notice = 0.0 if reclaim.hard else reclaim.notice_seconds
                if self._cluster.evict(Eviction(Cause.RECLAIM, notice, reclaim.final_sync)):
                    self._reclaims.remove(reclaim)
                return
        if plan.crash is not None and re.search(plan.crash, line):
            self._cluster.evict(Eviction(Cause.CRASH, 0.0))
        elif plan.stop_after is not None and re.search(plan.stop_after, line):
            self._job.request_stop()

    def _enforce_limits(self, began: float) -> None:
        limit = self._job.request["StoppingCondition"].get("MaxRuntimeInSeconds", 86400)
        stop_seconds = self._around.options.stop_seconds
        if self._job.stop_requested.is_set():
            self._cluster.evict(Eviction(Cause.STOP, stop_seconds))
        elif self._trained_seconds + time.monotonic() - began > limit:
            self._cluster.evict(Eviction(Cause.MAX_RUNTIME, stop_seconds))
        elif self._waited_too_long():
            self._cluster.evict(Eviction(Cause.MAX_WAIT, stop_seconds))

    def _waited_too_long(self) -> bool:
        limit = self._job.request["StoppingCondition"].get("MaxWaitTimeInSeconds")
        return limit is not None and time.time() - self._job.created > limit
