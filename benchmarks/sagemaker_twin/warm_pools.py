"""Machines that stay warm after a job, for the next one of the same shape."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.sagemaker_twin.training_job import TrainingJob


@dataclass
class WarmPool:
    """What a finished job left warm.

    Args:
        job: The job.
        reused_by: Name of the job that took the machines over.
        reused_at: When [s since 1970].
    """

    job: TrainingJob
    reused_by: str | None = None
    reused_at: float | None = None

    def status(self) -> dict[str, Any] | None:
        """WarmPoolStatus; ``None`` where nothing was to be kept warm."""
        if not self.job.request["ResourceConfig"].get("KeepAlivePeriodInSeconds"):
            return None
        if not self.job.ended.is_set():
            return {"Status": "InUse"}
        if self.job.status != "Completed" or self.job.end_time is None:
            return {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 0}
        until = self.job.end_time + self.job.keep_alive_seconds
        held_seconds = min(self.reused_at or time.time(), until) - self.job.end_time
        told = {"ResourceRetainedBillableTimeInSeconds": math.ceil(max(0.0, held_seconds))}
        if self.reused_by is not None:
            return {"Status": "Reused", "ReusedByJob": self.reused_by, **told}
        return {"Status": "Available" if time.time() < until else "Terminated", **told}

    def fits(self, request: dict[str, Any]) -> bool:
        """Whether a new job of this request may take the machines over."""
        status = self.status()
        if status is None or status["Status"] != "Available":
            return False
        return _shape(self.job.request) == _shape(request)

    def reuse(self, job_name: str) -> None:
        """A new job has the machines."""
        self.reused_by = job_name
        self.reused_at = time.time()


def _shape(request: dict[str, Any]) -> tuple[Any, ...]:
    resources = request["ResourceConfig"]
    machines = tuple(resources.get(name) for name in ("InstanceType", "InstanceCount", "VolumeSizeInGB"))
    return (*machines, bool(resources.get("KeepAlivePeriodInSeconds")), request["RoleArn"], request.get("VpcConfig"))
