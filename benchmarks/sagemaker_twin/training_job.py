"""One training job as the API tells of it: status, transitions, times, ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.sagemaker_twin.billing import billable_seconds, training_seconds

LONGEST_REASON = 1024
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "Training job interrupted, waiting for Spot capacity",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
}
TERMINAL = frozenset({"Completed", "Failed", "Stopped"})


@dataclass(frozen=True)
class Ending:
    """How a job ends.

    Args:
        status: TrainingJobStatus.
        secondary: SecondaryStatus.
        reason: FailureReason.
    """

    status: str
    secondary: str
    reason: str | None = None

    @classmethod
    def failed(cls, reason: str) -> Ending:
        """Failed, for a reason of at most 1024 characters; the rest is lost, as in the API."""
        return cls("Failed", "Failed", reason[:LONGEST_REASON])

    @classmethod
    def stopped(cls, secondary: str = "Stopped") -> Ending:
        """Stopped, by someone or by a limit."""
        return cls("Stopped", secondary)


class TrainingJob:
    """State of a job; every method may be called from any thread.

    Args:
        request: The request that made it.
        arn: Its name in full.
        spot_discount: Share that Spot takes off the bill.
    """

    def __init__(self, request: dict[str, Any], arn: str, spot_discount: float) -> None:
        self.request = request
        self.arn = arn
        self.created = time.time()
        self.stop_requested = threading.Event()
        self.ended = threading.Event()
        self.keep_alive_seconds = request["ResourceConfig"].get("KeepAlivePeriodInSeconds", 0)
        self._spot_discount = spot_discount
        self._lock = threading.RLock()
        self._status = "InProgress"
        self._secondary = "Starting"
        self._transitions: list[dict[str, Any]] = []
        self._reason: str | None = None
        self._training_start: float | None = None
        self._training_end: float | None = None
        self._modified = self.created
        self._machine_seconds = 0.0
        self._final_metrics: list[dict[str, Any]] = []
        self.num_starts = 0
        self.move("Starting")

    @property
    def name(self) -> str:
        """TrainingJobName."""
        return str(self.request["TrainingJobName"])

    @property
    def spot(self) -> bool:
        """Whether it runs on managed Spot."""
        return bool(self.request.get("EnableManagedSpotTraining"))

    @property
    def status(self) -> str:
        """TrainingJobStatus."""
        with self._lock:
            return self._status

    @property
    def secondary(self) -> str:
        """SecondaryStatus."""
        with self._lock:
            return self._secondary

    @property
    def end_time(self) -> float | None:
        """TrainingEndTime [s since 1970]; ``None`` before the end."""
        with self._lock:
            return self._training_end

    def move(self, secondary: str) -> None:
        """Enter a secondary status; the last one ends."""
        with self._lock:
            now = time.time()
            if self._transitions:
                self._transitions[-1]["EndTime"] = now
            message = MESSAGES[secondary]
            self._transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": message})
            self._secondary = secondary
            self._modified = now
            if secondary == "Downloading" and self._training_start is None:
                self._training_start = now

    def request_stop(self) -> bool:
        """Someone wants it to end; False when it has ended already."""
        with self._lock:
            if self._status in TERMINAL:
                return False
            if self._status != "Stopping":
                self._status = "Stopping"
                self.move("Stopping")
            self.stop_requested.set()
            return True

    def spend(self, machine_seconds: float) -> None:
        """Time on machines that is over [s]."""
        with self._lock:
            self._machine_seconds += machine_seconds

    def finish(self, ending: Ending, final_metrics: list[dict[str, Any]]) -> None:
        """The end; nothing changes after it."""
        with self._lock:
            self._final_metrics = final_metrics
            self.move(ending.secondary)
            self._transitions[-1]["EndTime"] = self._training_end = self._modified
            self._status = ending.status
            self._reason = ending.reason
        self.ended.set()

    def describe(self) -> dict[str, Any]:
        """DescribeTrainingJob."""
        with self._lock:
            output = self.request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
            told: dict[str, Any] = {
                **{name: value for name, value in self.request.items() if name != "Tags"},
                "TrainingJobArn": self.arn,
                "ModelArtifacts": {"S3ModelArtifacts": f"{output}/{self.name}/output/model.tar.gz"},
                "TrainingJobStatus": self._status,
                "SecondaryStatus": self._secondary,
                "SecondaryStatusTransitions": [dict(one) for one in self._transitions],
                "CreationTime": self.created,
                "LastModifiedTime": self._modified,
                "FailureReason": self._reason,
                "TrainingStartTime": self._training_start,
                "TrainingEndTime": self._training_end,
                "FinalMetricDataList": self._final_metrics or None,
                "EnableNetworkIsolation": bool(self.request.get("EnableNetworkIsolation")),
                "EnableManagedSpotTraining": self.spot,
            }
            if self._training_end is not None and self._machine_seconds:
                told["TrainingTimeInSeconds"] = training_seconds(self._machine_seconds)
                told["BillableTimeInSeconds"] = billable_seconds(
                    self._machine_seconds, spot=self.spot, spot_discount=self._spot_discount
                )
            return _without_nothing(told)

    def summary(self) -> dict[str, Any]:
        """An entry of ListTrainingJobs."""
        told = self.describe()
        names = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime")
        return {name: told[name] for name in (*names, "TrainingJobStatus", "SecondaryStatus") if name in told}


def _without_nothing(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None}
