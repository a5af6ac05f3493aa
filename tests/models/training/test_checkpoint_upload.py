"""Training whose checkpoints go to S3: what a machine that vanishes costs, and what S3 may do meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from models.errors import HeadConflict, Interrupted
from models.jobs.contract import JobContext, JobResult
from models.jobs.events import EventStream
from models.settings.train import TrainSettings
from models.store import crash_points
from models.store.generations import GenerationName
from models.store.openings import read_openings
from models.store.remote_checkpoints import remote_attempt, remote_head
from models.store.s3 import S3Objects
from models.training import job
from models.training.gnn import GraphObjective

Document = Callable[..., dict[str, Any]]
EVERY_STEPS = 2


class Crash(BaseException):
    """The process died here."""


@pytest.fixture(autouse=True)
def no_observer_left():
    yield
    crash_points.observe(None)


@dataclass
class Machine:
    """A disk on which a training of a second runs, mirrored to S3."""

    disk: Path
    objects: S3Objects
    document: Document
    num_steps: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    def train(self, *, stop_after: int = 0, die_at: str = "", occurrence: int = 0, **options: Any) -> JobResult:
        """One attempt, as it would be started on this disk, to its end or death."""
        seen: list[str] = []

        def watch(point: str) -> None:
            seen.append(point)
            if point == die_at and seen.count(point) == occurrence:
                raise Crash(point)

        crash_points.observe(watch)
        self.disk.mkdir(exist_ok=True)
        context = JobContext(
            self.disk,
            self.disk.parent,
            EventStream(self.disk / "progress.jsonl", self),
            stop_requested=lambda: bool(stop_after) and seen.count("mid-step") >= stop_after - 1,
            attempt=remote_attempt(self.objects) + 1,
            mirror=self.objects,
            notice_seconds=30.0,
        )
        changes = {"checkpoints": {"every_steps": EVERY_STEPS, **options.pop("checkpoints", {})}, **options}
        settings = TrainSettings.model_validate(self.document(**changes))
        try:
            return job.run(settings, context, objective_class=GraphObjective)
        finally:
            self.num_steps = seen.count("mid-step")
            crash_points.observe(None)
            context.events.close()

    def write(self, text: str) -> int:
        self.events.append(json.loads(text))
        return len(text)

    def flush(self) -> None:
        pass

    def notices(self) -> list[str]:
        return [event["message"] for event in self.events if event["event"] == "notice"]


@pytest.fixture
def machine(tmp_path: Path, s3_objects: S3Objects, train_document: Document) -> Callable[[str], Machine]:
    """Machines by name; one of a new name has an empty disk."""
    return lambda name: Machine(tmp_path / name, s3_objects, train_document)


def check_same(machine: Machine, result: JobResult, undisturbed: Path) -> None:
    """Every file that a finished training leaves, byte for byte."""
    names = list(result.files)
    assert len(names) > 2
    assert [name for name in names if (machine.disk / name).read_bytes() != (undisturbed / name).read_bytes()] == []
    finished = json.loads((undisturbed / "manifest.json").read_text())["files"]
    assert set(names) <= set(finished)


def sent_step(objects: S3Objects) -> int:
    head = remote_head(objects)
    name = GenerationName.parse(head.newest) if head is not None and head.newest is not None else None
    return name.step if name is not None else 0


def test_machines_that_vanish_cost_an_interval_and_a_step_and_no_byte(machine, s3_objects, undisturbed):
    deaths = [("mid-step", 4), ("mid-upload", 9), ("before-remote-manifest", 1), ("mid-step", 5), ("evaluation", 1)]
    for number, (die_at, occurrence) in enumerate(deaths):
        begun_at = sent_step(s3_objects)
        vanishing = machine(f"vanishing-{number}")
        with pytest.raises(Crash):
            vanishing.train(die_at=die_at, occurrence=occurrence, checkpoints={"overlap_steps": 1})
        assert begun_at + vanishing.num_steps - sent_step(s3_objects) <= EVERY_STEPS + 1
    last = machine("last")
    result = last.train(checkpoints={"overlap_steps": 1})
    check_same(last, result, undisturbed)
    assert result.record["resumed_at_step"] > 0
    assert result.record["num_uploads"] > 0
    assert result.record["upload_problem"] is None
    assert sent_step(s3_objects) == result.numbers["num_steps"]
    progress = s3_objects.get("progress.jsonl").content
    assert (last.disk / "progress.jsonl").read_bytes().startswith(progress)


def test_asked_to_leave_it_does_so_once_its_checkpoint_is_in_s3(machine, s3_objects, undisturbed):
    with pytest.raises(Interrupted) as caught:
        machine("first").train(stop_after=3, checkpoints={"every_steps": None, "every_seconds": 1e6})
    assert caught.value.step == sent_step(s3_objects) == 3
    second = machine("second")
    result = second.train()
    assert "resumed at step 3 from step-000000003-a1" in second.notices()
    check_same(second, result, undisturbed)


def test_while_s3_is_away_it_trains_on_and_says_so_once_and_again_when_it_is_back(
    machine, s3_objects, s3_faults, undisturbed, monkeypatch
):
    only = machine("only")

    def plan(method: str, path: str):
        if "progress.jsonl" not in path and method == "PUT" and "step-000000002" in path:
            s3_faults.plan = lambda method, path: (503, "SlowDown")
        return

    told = only.write

    def mended_after_the_second_epoch(text: str) -> int:
        event = json.loads(text)
        if event["event"] == "notice" and "on this disk only" in event["message"]:
            s3_faults.mend()
        if event["event"] == "epoch":
            time.sleep(0.5)  # longer than patience lasts
        return told(text)

    s3_faults.plan = plan
    monkeypatch.setattr(only, "write", mended_after_the_second_epoch)
    result = only.train()
    check_same(only, result, undisturbed)
    about = [notice for notice in only.notices() if "checkpoints " in notice]
    assert [notice.split(":")[0] for notice in about] == [
        "checkpoints are kept on this disk only",
        "checkpoints reach their mirror again",
    ]
    assert result.record["num_failed_uploads"] > 0
    assert result.record["upload_problem"] is None
    assert sent_step(s3_objects) == result.numbers["num_steps"]


def test_training_ends_with_its_results_where_s3_refuses_to_the_end(machine, s3_faults, undisturbed):
    only = machine("only")

    def plan(method: str, path: str):
        return (403, "AccessDenied") if method == "PUT" and "step-" in path else None

    s3_faults.plan = plan
    result = only.train()
    check_same(only, result, undisturbed)
    assert "s3:PutObject" in result.record["upload_problem"]
    assert any("before its last checkpoint had reached its mirror" in notice for notice in only.notices())


def test_training_never_gets_further_ahead_of_an_upload_than_it_may(machine, s3_faults):
    only, seen = machine("only"), []

    def slow(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("model.safetensors"):
            time.sleep(0.2)
            steps = [event["step"] for event in only.events if event["event"] == "step"]
            seen.append((GenerationName.parse(path.split("/")[-2]).step, max(steps)))

    s3_faults.plan = slow
    result = only.train(checkpoints={"every_steps": 1, "overlap_steps": 2})
    assert seen
    assert all(step <= sending + 2 for sending, step in seen)
    assert result.record["seconds_waiting_for_uploads"] > 0


def test_a_second_machine_that_takes_over_ends_the_first(machine, s3_objects, monkeypatch):
    first = machine("first")
    told = first.write

    def taken_over(text: str) -> int:
        event = json.loads(text)
        if event["event"] == "epoch" and event["epoch"] == 0:
            with pytest.raises(Interrupted):
                machine("second").train(stop_after=1)
        return told(text)

    monkeypatch.setattr(first, "write", taken_over)
    with pytest.raises(HeadConflict):
        first.train()
    assert remote_head(s3_objects).attempt == 2


def test_sealed_records_are_opened_in_the_log_of_the_store(
    records_path: Path, tmp_path: Path, s3_objects: S3Objects, train_document: Document
):
    document = train_document(test_data=str(records_path / "test.jsonl"), model={"epochs": 1})
    context = JobContext(tmp_path, tmp_path, EventStream(), openings=s3_objects.child("shared"))
    job.run(TrainSettings.model_validate(document), context, objective_class=GraphObjective)
    assert [opening.purpose for opening in read_openings(s3_objects.child("shared"))] == ["after training"]
    assert read_openings(tmp_path) == []
