"""A job is watched to its end: interruptions, silence, cancellation, and who may launch."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import replace

import pytest

from models.errors import (
    CapacityMissing,
    JobCrashed,
    JobHung,
    JobInterrupted,
    JobRefused,
    JobStopped,
    SpotWaitExceeded,
)
from models.jobs.layout import OtherBuild, is_finished
from models.settings.fields import Settings
from tasks.launchers.contract import JobEnd, JobState
from tasks.launchers.ended_job import EndedJob
from tasks.launchers.run_files import is_locked, tail
from tasks.supervision import SupervisionSettings, SupervisorEnding, TakenOver, supervise

PATIENCE = SupervisionSettings(
    start_silence_seconds=20.0, train_silence_seconds=1.0, save_silence_seconds=5.0, grace_seconds=1.0
)


class StubSettings(Settings):
    kind: str = "stub"
    num_threads: int = 3


SETTINGS = StubSettings()


def attempts(plan) -> list[int]:
    return [int(pid) for pid in (plan.run_path / "attempts.txt").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_job_is_launched_once_and_its_events_are_heard_in_order(stub_launcher, plan):
    heard: list[dict] = []

    done = supervise(stub_launcher("--steps", "3"), SETTINGS, plan, PATIENCE, heard.append)

    assert (done.run_path, done.num_launches) == (plan.run_path, 1)
    assert [e["event"] for e in heard] == ["phase", "phase", "step", "step", "step", "epoch"]
    assert is_finished(plan.run_path)


def test_twenty_kills_that_each_got_further_cost_no_retry(stub_launcher, plan):
    launcher = stub_launcher("--steps", "21", "--kill-each", "1")

    done = supervise(launcher, SETTINGS, plan, PATIENCE, lambda _: None)

    assert done.num_launches == 21
    assert len(attempts(plan)) == 21
    assert launcher.newest_step(plan) == 21


def test_a_damaged_head_is_no_step_and_ends_no_supervision(stub_launcher, plan):
    head_path = plan.run_path / "checkpoints" / "head.json"
    head_path.parent.mkdir(parents=True)
    head_path.write_bytes(b'{"newest": "step-0000')
    launcher = stub_launcher("--steps", "2")
    assert launcher.newest_step(plan) == -1

    supervise(launcher, SETTINGS, plan, PATIENCE, lambda _: None)

    assert launcher.newest_step(plan) == 2


def test_kills_that_get_no_further_are_raised_for_a_retry_with_delay(stub_launcher, plan):
    with pytest.raises(JobInterrupted, match="SIGKILL") as raised:
        supervise(stub_launcher("--kill-at-start"), SETTINGS, plan, PATIENCE, lambda _: None)

    assert raised.value.retryable
    assert len(attempts(plan)) == 3  # the first finished a phase that none had; then two in a row without


def test_a_job_that_stands_still_is_ended_although_it_ignores_sigterm(stub_launcher, plan):
    with pytest.raises(JobHung, match="phase 'train'"):
        supervise(stub_launcher("--hang", "--ignore-sigterm"), SETTINGS, plan, PATIENCE, lambda _: None)

    assert not is_alive(attempts(plan)[0])


def test_a_job_that_never_says_anything_is_ended_too(stub_launcher, plan, tmp_path):
    launcher = stub_launcher()
    launcher.command = ("sh", "-c", "exec sleep 60")
    patience = PATIENCE.model_copy(update={"start_silence_seconds": 0.5})

    with pytest.raises(JobHung, match="phase 'start'"):
        supervise(launcher, SETTINGS, plan, patience, lambda _: None)


@pytest.mark.parametrize(
    ("outcome", "more", "error", "retryable"),
    [
        ("refused:2", (), JobRefused, False),
        ("crashed:1", (), JobCrashed, False),
        ("crashed:1", ("--retryable",), JobInterrupted, True),
        ("done:0", (), JobCrashed, False),  # it says so, and there is no manifest
        ("refused:0", (), JobRefused, False),  # the file decides, not the code
    ],
)
def test_each_end_becomes_its_error(stub_launcher, plan, outcome, more, error, retryable):
    launcher = stub_launcher("--outcome", outcome, *more)

    with pytest.raises(error) as raised:
        supervise(launcher, SETTINGS, plan, PATIENCE, lambda _: None)

    assert type(raised.value) is error
    assert raised.value.retryable is retryable
    assert len(attempts(plan)) == 1


def test_an_outcome_that_an_earlier_attempt_left_does_not_count(stub_launcher, plan):
    plan.run_path.mkdir(parents=True)
    (plan.run_path / "outcome.json").write_text('{"outcome": "refused", "message": "old", "error": null}')
    launcher = stub_launcher()
    launcher.command = ("false",)

    with pytest.raises(JobCrashed, match="exit code 1"):
        supervise(launcher, SETTINGS, plan, PATIENCE, lambda _: None)


def test_a_segfault_is_a_crash_and_not_an_interruption(stub_launcher, plan):
    launcher = stub_launcher()
    launcher.command = ("sh", "-c", "kill -SEGV $$")

    with pytest.raises(JobCrashed, match="SIGSEGV"):
        supervise(launcher, SETTINGS, plan, PATIENCE, lambda _: None)


def test_whatever_ends_the_supervisor_ends_the_job(stub_launcher, plan):
    def cancel(event: dict) -> None:
        if event["event"] == "step":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        supervise(stub_launcher("--steps", "9", "--step-seconds", "0.2"), SETTINGS, plan, PATIENCE, cancel)

    assert not is_alive(attempts(plan)[0])
    assert '"interrupted"' in (plan.run_path / "outcome.json").read_text()  # it was given time to save


def test_nothing_is_launched_again_by_a_process_that_is_being_ended(stub_launcher, plan):
    ending = threading.Event()

    def interrupt(event: dict) -> None:
        if event["event"] == "step":
            ending.set()
            os.kill(attempts(plan)[-1], signal.SIGTERM)

    with pytest.raises(SupervisorEnding) as raised:
        supervise(
            stub_launcher("--steps", "9", "--step-seconds", "0.2"),
            SETTINGS,
            plan,
            PATIENCE,
            interrupt,
            keep_going=lambda: not ending.is_set(),
        )

    assert not raised.value.retryable
    assert len(attempts(plan)) == 1


def test_a_supervisor_that_is_told_to_end_stops_its_job_with_time_to_save(stub_launcher, plan):
    """In a task's thread no exception comes: only being asked says so."""
    ending = threading.Event()

    def hear(event: dict) -> None:
        if event["event"] == "step":
            ending.set()

    with pytest.raises(SupervisorEnding):
        supervise(
            stub_launcher("--steps", "99", "--step-seconds", "0.2"),
            SETTINGS,
            plan,
            PATIENCE,
            hear,
            keep_going=lambda: not ending.is_set(),
        )

    assert not is_alive(attempts(plan)[0])
    assert '"interrupted"' in (plan.run_path / "outcome.json").read_text()


def test_two_supervisors_of_one_run_have_one_child(stub_launcher, plan):
    launcher = stub_launcher("--steps", "5", "--step-seconds", "0.2")
    heard: list[list[dict]] = [[], []]
    results = []

    def watch(number: int) -> None:
        results.append(supervise(launcher, SETTINGS, plan, PATIENCE, heard[number].append))

    threads = [threading.Thread(target=watch, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert len(attempts(plan)) == 1
    assert sorted(result.num_launches for result in results) == [0, 1]
    for events in heard:  # the one that attached follows the copy
        assert [e["step"] for e in events if e["event"] == "step"] == [1, 2, 3, 4, 5]


def test_one_that_attached_takes_over_what_is_left_unfinished(stub_launcher, plan):
    heard: list[dict] = []
    refused = []

    def first() -> None:
        try:
            supervise(
                stub_launcher("--steps", "9", "--step-seconds", "0.2", "--hang"),
                SETTINGS,
                plan,
                PATIENCE,
                lambda _: None,
            )
        except JobHung as error:
            refused.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    deadline = time.monotonic() + 10
    while not is_locked(plan.run_path / "lock") and time.monotonic() < deadline:
        time.sleep(0.02)
    done = supervise(stub_launcher("--steps", "3"), SETTINGS, plan, PATIENCE, heard.append)
    thread.join(timeout=10)

    assert len(refused) == 1
    assert done.num_launches == 1
    notices = [e["message"] for e in heard if e["event"] == "notice"]
    assert any("following" in message for message in notices)
    assert any("taking over" in message for message in notices)


def test_a_job_is_told_that_it_continues_another_build_only_when_it_does(stub_launcher, plan):
    other = OtherBuild(plan.run_path, finished=False, differences=["x changed"])
    launcher = stub_launcher()
    launcher.command = ("sh", "-c", 'echo "$@" >&2; exit 2', "job")

    for one in (plan, replace(plan, reused=other)):
        with pytest.raises(JobRefused):
            supervise(launcher, SETTINGS, one, PATIENCE, lambda _: None)

    told = [line for line in tail(plan.run_path / "log.txt", 50).splitlines() if not line.startswith("---")]
    assert ["--reuse-build" in line for line in told] == [False, True]


def test_a_launch_that_fails_holds_nothing(stub_launcher, plan, monkeypatch):
    monkeypatch.setattr("tasks.launchers.child_job.sys.executable", "/no/such/python")
    with pytest.raises(FileNotFoundError):
        stub_launcher().launch(SETTINGS, plan)
    monkeypatch.undo()

    assert supervise(stub_launcher(), SETTINGS, plan, PATIENCE, lambda _: None).num_launches == 1


def test_the_job_sees_its_threads_and_no_secrets(stub_launcher, plan, monkeypatch):
    monkeypatch.setenv("PREFECT_API_KEY", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("MY_TOKEN", "secret")

    supervise(stub_launcher(), SETTINGS, plan, PATIENCE, lambda _: None)

    environment = json.loads((plan.run_path / "environment.json").read_text())
    assert environment["OMP_NUM_THREADS"] == "3"
    assert not [name for name, value in environment.items() if value == "secret" or name.startswith("PREFECT")]


def test_what_a_library_prints_goes_to_the_log_and_not_among_the_events(stub_launcher, plan):
    heard: list[dict] = []

    supervise(stub_launcher(), SETTINGS, plan, PATIENCE, heard.append)

    log = tail(plan.run_path / "log.txt", 50)
    assert "a library prints this" in log
    assert "and logs this" in log
    assert all("event" in event for event in heard)


class ScriptedLauncher:
    """A place whose jobs end as told, one after the other; each reaches the step that is told with it."""

    machine = None

    def __init__(self, *ends: tuple[JobEnd, int]) -> None:
        self.ends = list(ends)
        self.step = -1
        self.num_launches = 0

    def resolved(self, settings):
        return settings

    def newest_step(self, plan):
        return self.step

    def launch(self, settings, plan):
        self.num_launches += 1
        end, self.step = self.ends.pop(0)
        plan.run_path.mkdir(parents=True, exist_ok=True)
        return EndedJob(plan.run_path, end, (plan.run_path / "launch.lock").open("ab"), attached=False)


def no_machine(again_in_seconds: float | None, state: JobState = JobState.NO_CAPACITY) -> JobEnd:
    return JobEnd(state, "no machine", again_in_seconds=again_in_seconds)


def test_a_lack_of_machines_costs_no_retry_until_the_launcher_has_had_enough(plan):
    heard: list[dict] = []
    launcher = ScriptedLauncher(*[(no_machine(0.0), -1)] * 9, (no_machine(None), -1))

    with pytest.raises(CapacityMissing) as raised:
        supervise(launcher, SETTINGS, plan, PATIENCE, heard.append)

    assert raised.value.retryable
    assert launcher.num_launches == 10
    assert len([event for event in heard if "costs no retry" in event["message"]]) == 9


def test_a_spot_job_that_waited_out_goes_on_at_once_only_where_it_got_further(plan):
    waited_out = no_machine(None, JobState.WAITED_OUT)
    launcher = ScriptedLauncher((waited_out, 5), (waited_out, 9), (waited_out, 9))

    with pytest.raises(SpotWaitExceeded) as raised:
        supervise(launcher, SETTINGS, plan, PATIENCE, lambda _: None)

    assert raised.value.retryable
    assert launcher.num_launches == 3


def test_a_job_that_someone_stopped_is_not_launched_again(plan):
    launcher = ScriptedLauncher((JobEnd(JobState.STOPPED, "stopped by someone"), 5))

    with pytest.raises(JobStopped) as raised:
        supervise(launcher, SETTINGS, plan, PATIENCE, lambda _: None)

    assert not raised.value.retryable


def test_a_job_that_another_machine_took_over_is_not_launched_again_and_says_so(plan):
    launcher = ScriptedLauncher((JobEnd(JobState.CRASHED, "moved by another writer", error="HeadConflict"), 5))

    with pytest.raises(TakenOver, match=r"another machine runs this job now.*nothing is lost") as raised:
        supervise(launcher, SETTINGS, plan, PATIENCE, lambda _: None)

    assert not raised.value.retryable
    assert launcher.num_launches == 1


def test_a_job_is_stopped_by_whoever_is_ended_before_it_was_followed(plan):
    """Such as a listener that hears the first notice, that of an attachment."""
    stopped: list[float] = []

    class Attached(EndedJob):
        def stop(self, grace_seconds):
            stopped.append(grace_seconds)

    class Launcher(ScriptedLauncher):
        def launch(self, settings, plan):
            made = super().launch(settings, plan)
            return Attached(made.run_path, made.end, made.lock, attached=True)

    def cancel(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        supervise(Launcher((JobEnd(JobState.RUNNING), -1)), SETTINGS, plan, PATIENCE, cancel)
    assert stopped == [PATIENCE.grace_seconds]


def test_a_supervisor_that_waits_for_a_machine_hears_that_it_is_to_end(plan):
    launcher = ScriptedLauncher((no_machine(3600.0), -1))
    told = iter([True, True, True])

    with pytest.raises(SupervisorEnding):
        supervise(launcher, SETTINGS, plan, PATIENCE, lambda _: None, keep_going=lambda: next(told, False))


def test_a_job_that_says_it_waits_is_not_silent(plan):
    """A remote job without a machine cannot speak; whoever watches it says so."""

    class Waiting(EndedJob):
        num_looks = 0

        def events(self, wait_seconds):
            self.num_looks += 1
            time.sleep(0.02)
            return [{"event": "waiting", "status": "Starting"}] if self.num_looks % 2 and self.num_looks < 20 else []

        def wait(self, deadline_seconds):
            return self.end if self.num_looks >= 20 else JobEnd(JobState.RUNNING)

    class Launcher(ScriptedLauncher):
        def launch(self, settings, plan):
            made = super().launch(settings, plan)
            return Waiting(made.run_path, made.end, made.lock, attached=False)

    patience = PATIENCE.model_copy(update={"start_silence_seconds": 0.25})
    with pytest.raises(JobStopped):
        supervise(Launcher((JobEnd(JobState.STOPPED), -1)), SETTINGS, plan, patience, lambda _: None)
