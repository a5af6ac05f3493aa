"""How a training job ended, from what SageMaker says of it. Pure.

The closed set of statuses is AWS's own; one that is not in it is an error, never "still running". The words of failure
reasons are not documented: those that are looked for were seen in public threads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from models.errors import EXIT_CRASHED, EXIT_INTERRUPTED, EXIT_REFUSED, JobCrashed
from models.jobs.failure_file import parse_failure
from tasks.aws.refusals import VALIDATION_ADVICE
from tasks.launchers.contract import JobEnd, JobState

RUNNING_STATUSES: Final = frozenset({"InProgress", "Stopping"})
ENDED_STATUSES: Final = frozenset({"Completed", "Failed", "Stopped"})
WAITING: Final = frozenset(
    {
        "Pending", "Starting", "LaunchingMLInstances", "PreparingTrainingStack", "Downloading",
        "DownloadingTrainingImage", "Interrupted", "Restarting", "Updating",
    }
)  # fmt: skip
"""Before training, and between two machines: the job itself cannot say anything."""
WITHOUT_MACHINE: Final = frozenset({"Pending", "Starting", "LaunchingMLInstances", "Interrupted", "Restarting"})
WORKING: Final = frozenset({"Training"})
"""The job's process runs."""
LEAVING: Final = frozenset(
    {"Uploading", "Stopping", "Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded", "Completed", "Failed"}
)
CAPACITY = re.compile(r"capacityerror|insufficient\s*(instance)?\s*capacity|unable to provision|no capacity", re.I)
EXIT_CODE = re.compile(r"exit code:?\s*(\d+)", re.I)
KILLED: Final = 128 + 9
TERMINATED: Final = 128 + 15
KILLED_ADVICE: Final = {
    KILLED: "killed (exit code 137), most likely out of memory: lower model.batch_size or take a larger instance "
    "(sagemaker.instance_type)",
    TERMINATED: "told to leave, and gone before it could say how it stands (exit code 143): look into its log",
}
"""For a job that SageMaker gives up as failed: a reclaimed machine's job begins again within the same training job."""
STATES: Final = {EXIT_REFUSED: JobState.REFUSED, EXIT_INTERRUPTED: JobState.INTERRUPTED}
"""Of a job that left no failure file, by its exit code; any other is a fault of its own."""
OUTCOMES: Final = {
    "interrupted": JobState.INTERRUPTED,
    "refused": JobState.REFUSED,
    "crashed": JobState.CRASHED,
}


def is_ended(description: Mapping[str, Any]) -> bool:
    """Whether a described job has ended.

    Raises:
        JobCrashed: a status that AWS's service model did not have. Not retried.
    """
    status, secondary = str(description["TrainingJobStatus"]), str(description.get("SecondaryStatus", "Pending"))
    if status not in RUNNING_STATUSES | ENDED_STATUSES:
        raise JobCrashed(f"{description['TrainingJobName']}: SageMaker says it is {status!r}, which is no known status")
    if secondary not in WAITING | WORKING | LEAVING:
        raise JobCrashed(f"{description['TrainingJobName']}: SageMaker says {secondary!r}, which is no known status")
    return status in ENDED_STATUSES


def transitions_of(description: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The statuses that a job entered so far, each with what SageMaker said then."""
    entered = description.get("SecondaryStatusTransitions") or []
    return [(str(one["Status"]), " ".join(str(one.get("StatusMessage", "")).split())) for one in entered]


def status_of(description: Mapping[str, Any]) -> str:
    """The status as the ledger keeps it: SageMaker's, or the limit that a stopped job passed."""
    status, secondary = str(description["TrainingJobStatus"]), str(description.get("SecondaryStatus", ""))
    return secondary if status == "Stopped" and secondary else status


def num_interruptions_of(description: Mapping[str, Any]) -> int:
    """How often a job's machine was taken away."""
    return sum(status == "Interrupted" for status, _ in transitions_of(description))


def ending_of(description: Mapping[str, Any]) -> JobEnd:
    """How a job that has ended ended.

    Args:
        description: As ``DescribeTrainingJob`` answers.
    """
    status, name = str(description["TrainingJobStatus"]), str(description["TrainingJobName"])
    if status == "Completed":
        return JobEnd(JobState.DONE, f"{name} is completed")
    if status == "Stopped":
        return _stopped(description, name)
    return _failed(str(description.get("FailureReason", "")), name)


def _stopped(description: Mapping[str, Any], name: str) -> JobEnd:
    """``Stopped`` is what a job is called that was stopped, and one that passed a limit."""
    secondary, stopping = str(description.get("SecondaryStatus", "")), description.get("StoppingCondition", {})
    if secondary == "MaxWaitTimeExceeded":
        longest = stopping.get("MaxWaitTimeInSeconds", "?")
        return JobEnd(JobState.WAITED_OUT, f"{name} waited and ran for {longest} s, its longest time as a Spot job")
    if secondary == "MaxRuntimeExceeded":
        longest = stopping.get("MaxRuntimeInSeconds", "?")
        return JobEnd(JobState.INTERRUPTED, f"{name} was ended after {longest} s, its longest time")
    return JobEnd(
        JobState.STOPPED, f"{name} was stopped at SageMaker by someone else; run it again if that was not meant"
    )


def _failed(reason: str, name: str) -> JobEnd:
    told = parse_failure(reason)
    if told is not None:
        state = OUTCOMES.get(str(told["outcome"]), JobState.CRASHED)
        return JobEnd(state, str(told["message"] or ""), told["error"], bool(told["retryable"]))
    shown = " ".join(reason.split()) or "SageMaker gives no reason"
    if CAPACITY.search(reason):
        return JobEnd(JobState.NO_CAPACITY, f"{name}: {shown}")
    if reason.startswith("ClientError"):
        return JobEnd(JobState.REFUSED, f"{name}: {_advice(reason)} (it says: {shown})", "CloudRefused")
    if reason.startswith("InternalServerError"):
        return JobEnd(JobState.KILLED, f"{name}: {shown}")
    found = EXIT_CODE.search(reason)
    code = int(found[1]) if found else EXIT_CRASHED
    return JobEnd(STATES.get(code, JobState.CRASHED), f"{name}: {KILLED_ADVICE.get(code, shown)}")


def _advice(reason: str) -> str:
    """What to do about what SageMaker could not begin with."""
    lower = reason.lower()
    if "no s3 objects found" in lower:
        return (
            "an input is not found: where something under inputs/ of the store was deleted, delete all of inputs/ and "
            "run it again; else the execution role may not list the bucket (docs/aws-setup.md)"
        )
    found = (advice for words, advice in VALIDATION_ADVICE if re.search(words, lower))
    return next(found, "image, role, channels or instance do not fit; change what it names")
