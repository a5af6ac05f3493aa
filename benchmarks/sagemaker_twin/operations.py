"""The operations of the training API."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from benchmarks.sagemaker_twin import refusals
from benchmarks.sagemaker_twin.errors import ApiError
from benchmarks.sagemaker_twin.lifecycle import JobRun, Surroundings
from benchmarks.sagemaker_twin.request_rules import check_role, check_rules
from benchmarks.sagemaker_twin.training_job import TERMINAL, TrainingJob
from benchmarks.sagemaker_twin.validation import check_request
from benchmarks.sagemaker_twin.warm_pools import WarmPool

ACCOUNT = "123456789012"
DEFAULT_PAGE = 10
Answer = dict[str, Any]


class TrainingApi:
    """All jobs of a twin, and what may be asked of them.

    Args:
        around: What all jobs share.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._lock = threading.RLock()
        self._jobs: dict[str, TrainingJob] = {}
        self._runs: dict[str, JobRun] = {}
        self._pools: dict[str, WarmPool] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._num_created = 0
        self.calls: Counter[str] = Counter()
        self._operations: dict[str, Callable[[Answer], Answer]] = {
            "CreateTrainingJob": self._create,
            "DescribeTrainingJob": self._describe,
            "StopTrainingJob": self._stop,
            "ListTrainingJobs": self._list,
            "UpdateTrainingJob": self._update,
            "DeleteTrainingJob": self._delete,
            "AddTags": self._add_tags,
            "ListTags": self._list_tags,
            "DeleteTags": self._delete_tags,
        }

    def knows(self, operation: str, request: Answer) -> bool:
        """Whether it is ours; tags are, where they are a training job's."""
        if operation.endswith("Tags"):
            return ":training-job/" in str(request.get("ResourceArn", ""))
        return operation in self._operations

    def answer(self, operation: str, request: Answer) -> Answer:
        """Do it.

        Raises:
            ApiError: The service refuses.
        """
        check_request(operation, request)
        return self._operations[operation](request)

    def jobs(self) -> list[Answer]:
        """All jobs as DescribeTrainingJob tells them, in the order of their creation, with the number of starts."""
        with self._lock:
            return [{**job.describe(), "NumStarts": job.num_starts} for job in self._jobs.values()]

    def end_now(self) -> None:
        """Kill all that runs."""
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            run.end()
        for run in runs:
            run.join()

    def _create(self, request: Answer) -> Answer:
        name = request["TrainingJobName"]
        arn = f"arn:aws:sagemaker:{self._around.clients.region}:{ACCOUNT}:training-job/{name}"
        check_rules(request)
        plan = self._around.faults.plan_for(name)
        if plan.refusal and (refusal := refusals.refused_creation(plan.refusal, request, arn)):
            raise refusal
        check_role(self._around.clients, request["RoleArn"])
        with self._lock:
            if name in self._jobs:
                raise ApiError(
                    "ResourceInUse",
                    "Training job names must be unique within an AWS account and region, and a training job with this "
                    f"name already exists ({self._jobs[name].arn})",
                )
            warm = next((pool for pool in self._pools.values() if pool.fits(request)), None)
            if warm is not None:
                warm.reuse(name)
            job = TrainingJob(request, arn, self._around.options.spot_discount)
            self._jobs[name] = job
            self._pools[name] = WarmPool(job)
            self._tags[arn] = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
            run = self._runs[name] = JobRun(job, self._num_created, self._around, warm=warm is not None)
            self._num_created += 1
        run.start()
        return {"TrainingJobArn": arn}

    def _describe(self, request: Answer) -> Answer:
        job = self._job(request)
        pool = self._pools[job.name].status()
        return job.describe() | ({} if pool is None else {"WarmPoolStatus": pool})

    def _stop(self, request: Answer) -> Answer:
        job = self._job(request)
        if not job.request_stop():
            raise ApiError(
                "ValidationException",
                f"The request was rejected because the training job is in status {job.status}.",
            )
        return {}

    def _list(self, request: Answer) -> Answer:
        with self._lock:
            entries = [self._summary(job) for job in self._jobs.values()]
        chosen = [entry for entry in entries if _is_asked_for(entry, request)]
        keys = {"Name": "TrainingJobName", "Status": "TrainingJobStatus"}
        key = keys.get(request.get("SortBy", ""), "CreationTime")
        chosen.sort(key=lambda entry: entry[key], reverse=request.get("SortOrder", "Descending") == "Descending")
        start = int(request.get("NextToken", "0"))
        end = start + request.get("MaxResults", DEFAULT_PAGE)
        more = {"NextToken": str(end)} if end < len(chosen) else {}
        return {"TrainingJobSummaries": chosen[start:end], **more}

    def _update(self, request: Answer) -> Answer:
        job = self._job(request)
        if "ResourceConfig" in request:
            status = self._pools[job.name].status()
            if status is None or status["Status"] not in {"InUse", "Available"}:
                raise ApiError("ValidationException", f"The training job {job.name} has no warm pool to update.")
            job.keep_alive_seconds = request["ResourceConfig"]["KeepAlivePeriodInSeconds"]
        return {"TrainingJobArn": job.arn}

    def _delete(self, request: Answer) -> Answer:
        job = self._job(request)
        if job.status not in TERMINAL:
            raise ApiError(
                "ValidationException",
                f"The request was rejected because the training job is in status {job.status}.",
            )
        with self._lock:
            del self._jobs[job.name], self._runs[job.name], self._pools[job.name], self._tags[job.arn]
        return {}

    def _add_tags(self, request: Answer) -> Answer:
        tags = self._tags_of(request)
        tags |= {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def _list_tags(self, request: Answer) -> Answer:
        return {"Tags": [{"Key": key, "Value": value} for key, value in self._tags_of(request).items()]}

    def _delete_tags(self, request: Answer) -> Answer:
        tags = self._tags_of(request)
        for key in request["TagKeys"]:
            tags.pop(key, None)
        return {}

    def _summary(self, job: TrainingJob) -> Answer:
        pool = self._pools[job.name].status()
        return job.summary() | ({} if pool is None else {"WarmPoolStatus": pool})

    def _job(self, request: Answer) -> TrainingJob:
        with self._lock:
            job = self._jobs.get(request["TrainingJobName"])
        if job is None:
            raise ApiError("ValidationException", "Requested resource not found.")
        return job

    def _tags_of(self, request: Answer) -> dict[str, str]:
        with self._lock:
            tags = self._tags.get(request["ResourceArn"])
        if tags is None:
            raise ApiError("ValidationException", "Requested resource not found.")
        return tags


def _is_asked_for(entry: Answer, request: Answer) -> bool:
    after = {"CreationTimeAfter": "CreationTime", "LastModifiedTimeAfter": "LastModifiedTime"}
    before = {"CreationTimeBefore": "CreationTime", "LastModifiedTimeBefore": "LastModifiedTime"}
    return (
        request.get("NameContains", "").lower() in entry["TrainingJobName"].lower()
        and request.get("StatusEquals", entry["TrainingJobStatus"]) == entry["TrainingJobStatus"]
        and request.get("WarmPoolStatusEquals") in (None, entry.get("WarmPoolStatus", {}).get("Status"))
        and all(entry[key] > request.get(name, float("-inf")) for name, key in after.items())
        and all(entry[key] < request.get(name, float("inf")) for name, key in before.items())
    )
