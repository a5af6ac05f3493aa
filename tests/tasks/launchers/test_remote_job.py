"""A training job while it is watched: what it waits for is told, and AWS being away ends nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.errors import JobCrashed, StoreUnavailable
from tasks.aws.log_stream import LogLine
from tasks.launchers.contract import JobEnd, JobState
from tasks.launchers.remote_job import Hooks, RemoteJob
from tasks.launchers.run_files import try_lock

AWAY = StoreUnavailable("training job x: AWS does not answer")


def described(status: str, *entered: str) -> dict[str, Any]:
    transitions = [{"Status": one, "StatusMessage": f"about {one}"} for one in entered]
    told = {"TrainingJobName": "x", "TrainingJobStatus": status, "SecondaryStatus": entered[-1]}
    return {**told, "SecondaryStatusTransitions": transitions}


class Api:
    """Answers as told, the last answer for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.stopped: list[str] = []

    def describe(self, name: str) -> dict[str, Any]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stop(self, name: str) -> None:
        self.stopped.append(name)


class Log:
    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)

    def expect_new_stream(self) -> None:
        pass

    def read(self) -> list[LogLine]:
        lines, self.lines = self.lines, []
        return [LogLine("algo-2" if line.startswith("second: ") else "algo-1", line) for line in lines]


def watched(run_path: Path, api: Api, log: Log | None = None, **hooks: Any) -> RemoteJob:
    doing = {
        "heard": lambda event: None,
        "has_machine": lambda: None,
        "gives_up": lambda: False,
        "ended": lambda description: JobEnd(JobState.STOPPED),
        "fetch": lambda: run_path,
    }
    lock = try_lock(run_path / "launch.lock")
    assert lock is not None
    return RemoteJob("x", run_path, False, api, log or Log(), Hooks(**doing | hooks), 0.01, 60.0, [], lock)  # type: ignore[arg-type]


def all_events(job: RemoteJob) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []
    for _ in range(500):
        heard += job.events(0.05)
        if job.wait(0).state is not JobState.RUNNING:
            return heard
    raise AssertionError("it does not end")


def test_every_status_it_passed_is_told_and_waiting_is_no_silence(tmp_path):
    started, trained = ("Starting", "Downloading"), ("Starting", "Downloading", "Training", "Interrupted", "Starting")
    machines: list[int] = []
    api = Api(
        described("InProgress", *started),
        described("InProgress", *trained),
        described("Completed", *trained, "Completed"),
    )
    job = watched(tmp_path, api, has_machine=lambda: machines.append(1))
    heard = all_events(job)
    job.close()

    notices = [event["message"].split()[2].rstrip(":") for event in heard if event["event"] == "notice"]
    assert notices == [*trained, "Completed"]
    assert machines == [1]
    assert next(event["status"] for event in heard if event["event"] == "waiting") == "Downloading"


def test_aws_being_away_is_told_once_and_ends_nothing(tmp_path):
    running = described("InProgress", "Training")
    job = watched(tmp_path, Api(running, AWAY, AWAY, AWAY, described("Stopped", "Training", "Stopped")))
    heard = all_events(job)
    job.close()

    assert len([event for event in heard if "goes on, and is looked at again" in event.get("message", "")]) == 1
    assert [event["status"] for event in heard if event["event"] == "waiting"][:3] == ["AWS does not answer"] * 3


def test_an_unknown_status_is_an_error(tmp_path):
    job = watched(tmp_path, Api(described("InProgress", "Dreaming")))
    with pytest.raises(JobCrashed, match="no known status"):
        job.events(1.0)
    job.close()


def test_a_wait_that_is_given_up_stops_the_job_and_is_a_lack_of_machines(tmp_path):
    waiting = described("InProgress", "Starting")
    api = Api(waiting, waiting, described("Stopped", "Starting", "Stopped"))
    job = watched(tmp_path, api, gives_up=lambda: True)
    all_events(job)
    end = job.wait(0)
    job.close()

    assert api.stopped == ["x"]
    assert (end.state, end.again_in_seconds) == (JobState.NO_CAPACITY, 0.0)


def test_who_watches_it_anew_writes_its_log_from_its_beginning_and_keeps_that_of_earlier_jobs(tmp_path):
    (tmp_path / "log.txt").write_text("--- training job before\nold\n--- training job x\nhalf of it\n")
    log = Log("a line", '{"event": "step", "step": 1, "time": 0.5}', "second: died", "another")
    job = watched(tmp_path, Api(described("InProgress", "Training"), described("Stopped", "Training", "Stopped")), log)
    heard = all_events(job)
    job.close()

    assert (tmp_path / "log.txt").read_text() == (
        "--- training job before\nold\n--- training job x\na line\n[algo-2] second: died\nanother\n"
    )
    assert [event["step"] for event in heard if event["event"] == "step"] == [1]
    assert '"step": 1' in (tmp_path / "progress.jsonl").read_text()
