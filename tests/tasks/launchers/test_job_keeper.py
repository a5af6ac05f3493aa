"""What is remembered and booked beside a job, over the deaths of its supervisors."""

from __future__ import annotations

import time

import pytest

from tasks.aws.settings import SageMakerSettings
from tasks.launchers.contract import JobState
from tasks.launchers.job_keeper import JobKeeper, others_end
from tasks.launchers.remote_state import REMOTE_FILE, RemoteState
from tasks.launchers.step_meter import StepMeter
from tasks.ledger_file import Ledger


def keeper(tmp_path, state: RemoteState, **settings: object) -> JobKeeper:
    return JobKeeper("x", SageMakerSettings(**settings), Ledger(tmp_path), tmp_path, state, StepMeter())


def described(status: str, secondary: str, reason: str = "") -> dict:
    told = {"TrainingJobName": "train-1", "TrainingJobStatus": status, "SecondaryStatus": secondary}
    return {**told, "FailureReason": reason}


def test_a_spot_job_without_a_machine_is_given_up_after_the_wait_that_settings_allow(tmp_path):
    waiting = RemoteState(attempt=1, job="train-1", ended=False, waiting_since=time.time() - 100)

    assert not keeper(tmp_path, waiting).gives_up()
    assert not keeper(tmp_path, waiting, on_demand_after_seconds=1000).gives_up()
    assert not keeper(tmp_path, waiting, on_demand_after_seconds=50, use_spot=False).gives_up()
    assert keeper(tmp_path, waiting, on_demand_after_seconds=50).gives_up()
    assert RemoteState.read(tmp_path).on_demand  # what a new supervisor launches next


def test_a_machine_ends_the_wait_and_the_next_one_is_spot_again(tmp_path):
    state = RemoteState(2, "train-2", ended=False, num_without_machine=1, waiting_since=1.0, on_demand=True)
    keeper(tmp_path, state).has_machine()

    assert RemoteState.read(tmp_path) == RemoteState(2, "train-2", ended=False)


def test_a_job_that_waited_out_goes_on_by_itself_only_on_demand(tmp_path):
    waited_out = described("Stopped", "MaxWaitTimeExceeded")
    assert keeper(tmp_path, RemoteState(1, "train-1", ended=False)).ended(waited_out).again_in_seconds is None
    end = keeper(tmp_path, RemoteState(1, "train-1", ended=False), on_demand_after_failures=1).ended(waited_out)
    assert (end.state, end.again_in_seconds) == (JobState.WAITED_OUT, 0)
    assert RemoteState.read(tmp_path).ended


@pytest.mark.parametrize("content", ["", "[]", '{"unknown": 1}', '{"attempt": 3'])
def test_a_memory_that_cannot_be_read_is_none(content, tmp_path):
    (tmp_path / REMOTE_FILE).write_text(content)
    assert RemoteState.read(tmp_path) == RemoteState()


def test_anothers_job_that_may_go_on_is_left_to_whoever_comes_first():
    capacity = described("Failed", "Failed", "CapacityError: none")
    assert others_end(capacity).state is JobState.GONE
    assert others_end(described("Stopped", "MaxRuntimeExceeded")).state is JobState.GONE
    assert others_end(described("Stopped", "Stopped")).state is JobState.STOPPED
    assert others_end(described("Completed", "Completed")).state is JobState.DONE
