"""How a training job ended, from what SageMaker says."""

from __future__ import annotations

import pytest

from models.errors import JobCrashed
from models.jobs.failure_file import failure_text
from tasks.aws.endings import LEAVING, WAITING, WORKING, ending_of, is_ended
from tasks.launchers.contract import JobState


def described(status: str, secondary: str, reason: str = "") -> dict:
    return {
        "TrainingJobName": "train-1",
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary,
        "FailureReason": reason,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90},
    }


def failure(outcome: str, *, retryable: bool = False) -> str:
    told = {"outcome": outcome, "error": "SomeError", "retryable": retryable, "message": 'with "quotes"', "step": 7}
    return f"AlgorithmError: {failure_text(told)}, exit code: 75"


@pytest.mark.parametrize(
    ("status", "secondary", "reason", "state"),
    [
        ("Completed", "Completed", "", JobState.DONE),
        ("Stopped", "MaxWaitTimeExceeded", "", JobState.WAITED_OUT),
        ("Stopped", "MaxRuntimeExceeded", "", JobState.INTERRUPTED),
        ("Stopped", "Stopped", "", JobState.STOPPED),
        ("Failed", "Failed", failure("interrupted"), JobState.INTERRUPTED),
        ("Failed", "Failed", failure("refused"), JobState.REFUSED),
        ("Failed", "Failed", failure("crashed"), JobState.CRASHED),
        ("Failed", "Failed", "CapacityError: Unable to provision requested ML compute capacity.", JobState.NO_CAPACITY),
        ("Failed", "Failed", "ClientError: Cannot pull algorithm container.", JobState.REFUSED),
        ("Failed", "Failed", "InternalServerError: We encountered an internal error.", JobState.KILLED),
        ("Failed", "Failed", "AlgorithmError: , exit code: 137", JobState.CRASHED),
        ("Failed", "Failed", "AlgorithmError: , exit code: 143", JobState.CRASHED),
        ("Failed", "Failed", "AlgorithmError: , exit code: 75", JobState.INTERRUPTED),
        ("Failed", "Failed", "AlgorithmError: , exit code: 2", JobState.REFUSED),
        ("Failed", "Failed", "AlgorithmError: , exit code: 1", JobState.CRASHED),
        ("Failed", "Failed", "", JobState.CRASHED),
    ],
)
def test_each_end_is_one_of_the_closed_set(status, secondary, reason, state):
    description = described(status, secondary, reason)

    assert is_ended(description)
    assert ending_of(description).state is state


def test_a_job_that_was_killed_for_want_of_memory_is_not_launched_again_and_again():
    end = ending_of(described("Failed", "Failed", "AlgorithmError: , exit code: 137"))
    assert not end.retryable
    assert "out of memory: lower model.batch_size" in end.message
    assert "sagemaker.instance_type" in end.message


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        (
            "Cannot pull algorithm container. Either the image a/b:1 does not exist or …",
            "build and push it (docs/image.md)",
        ),
        ("Data download failed: PermanentRedirect (301): The bucket is in this region: eu-west-1.", "jobs' own region"),
        ('No S3 objects found under S3 URL "s3://b/inputs/x"; the role "r" …', "delete all of inputs/"),
        ("Something new.", "change what it names"),
    ],
)
def test_what_a_job_could_not_begin_with_is_told_with_what_to_do(reason, advice):
    end = ending_of(described("Failed", "Failed", f"ClientError: {reason}"))
    assert (end.state, end.error) == (JobState.REFUSED, "CloudRefused")
    assert advice in end.message
    assert reason in end.message


def test_a_job_that_told_its_end_is_believed_word_by_word():
    end = ending_of(described("Failed", "Failed", failure("crashed", retryable=True)))
    assert (end.error, end.message, end.retryable) == ("SomeError", 'with "quotes"', True)


def test_every_status_of_the_service_model_is_known_and_another_is_an_error():
    import botocore.session

    model = botocore.session.get_session().get_service_model("sagemaker")
    assert set(model.shape_for("SecondaryStatus").enum) == WAITING | WORKING | LEAVING
    for secondary in WAITING | WORKING:
        assert not is_ended(described("InProgress", secondary))
    with pytest.raises(JobCrashed, match="'Dreaming', which is no known status"):
        is_ended(described("InProgress", "Dreaming"))
    with pytest.raises(JobCrashed, match="'Deleting', which is no known status"):
        is_ended(described("Deleting", "Completed"))
