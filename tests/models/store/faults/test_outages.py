"""S3 that is away, slow or refuses for longer than a call is tried again, and clocks that jump: training goes on."""

from __future__ import annotations

import itertools
import threading
import time
from functools import partial
from typing import Any

import pytest

from models.errors import CloudRefused, StoreUnavailable
from models.store import s3_calls
from models.store.head import HEAD_KEY
from models.store.remote_checkpoints import remote_head
from models.store.s3_calls import Patience

PLENTY_SECONDS = 60.0
SLOW_DOWN = (503, "SlowDown")
SENT = "step-000000060-a1"
YEAR_SECONDS = 365 * 86400.0
BY_RESTART = "the job is started again"


def save_three(scene) -> None:
    for step in (70, 80, 90):
        scene.save(scene.writer, step, 70)
        assert scene.writer.newest_good().step == step
    scene.reached_step = 90


def fail_twice(scene) -> None:
    """Two uploads have failed, each after S3 was asked for as long as a call is tried again."""
    while scene.writer.uploads.num_failed < 2:
        assert not scene.writer.settle(0.5)
    assert scene.writer.problem


def away(scene, fault: Any) -> None:
    """Three saves while S3 does not answer; it comes back; then the machine is lost."""
    scene.s3_faults.always(fault)
    save_three(scene)
    fail_twice(scene)
    scene.s3_faults.mend()
    assert remote_head(scene.objects).newest == SENT
    assert scene.writer.settle(PLENTY_SECONDS)
    assert scene.writer.problem is None
    scene.lose_disk()


def away_and_dead(scene, is_disk_lost: bool) -> None:
    """With the machine goes what was saved during the outage: the only case in which one costs steps."""
    scene.s3_faults.always(SLOW_DOWN)
    save_three(scene)
    fail_twice(scene)

    def die(method: str, path: str) -> None:
        raise scene.crash("gone")

    scene.s3_faults.plan = die
    with pytest.raises(scene.crash):
        scene.writer.settle(PLENTY_SECONDS)
    scene.s3_faults.mend()
    if is_disk_lost:
        scene.lose_disk()


def away_for_ten_minutes(scene) -> None:
    """By a clock of its own; calls are tried for as long as they really are."""
    clock = Clock()
    scene.objects = scene.objects.at(scene.objects.uri, patience=Patience())
    scene.writer = scene.begin()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(s3_calls, "time", clock)
        scene.s3_faults.plan = lambda method, path: SLOW_DOWN if clock.monotonic() < 600 else None
        save_three(scene)
        assert scene.writer.settle(PLENTY_SECONDS)
    assert scene.writer.uploads.num_failed >= 9  # calls that were tried for a minute each
    scene.lose_disk()


class Clock:
    """Nobody waits by it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def slow(scene) -> None:
    """The first upload stands still while three saves are made."""
    is_waiting, may_go_on = threading.Event(), threading.Event()

    def hold(method: str, path: str) -> None:
        if method == "PUT" and "step-000000070" in path:
            is_waiting.set()
            may_go_on.wait(PLENTY_SECONDS)

    scene.s3_faults.plan = hold
    save_three(scene)
    assert is_waiting.wait(PLENTY_SECONDS)
    assert remote_head(scene.objects).newest == SENT
    may_go_on.set()
    assert scene.writer.settle(PLENTY_SECONDS)
    scene.lose_disk()


def flaky(scene, fault: Any) -> None:
    """Every third request fails, from taking over to the last save."""
    turn = itertools.count()
    scene.s3_faults.plan = lambda method, path: fault if next(turn) % 3 == 0 else None
    scene.writer = scene.begin()
    assert scene.writer.newest_good().step == 60
    scene.send(scene.writer, 70, 70)
    scene.reached_step = 70
    assert scene.writer.uploads.num_failed == 0
    scene.s3_faults.mend()
    scene.lose_disk()


def lose_answers(scene) -> None:
    """Each kind of write is done, and its answer lost: parts, manifest, head."""
    seen: set[str] = set()

    def once_each(method: str, path: str) -> str | None:
        key = path.rpartition("/")[2]
        if method != "PUT" or key in seen:
            return None
        seen.add(key)
        return scene.s3_faults.LOST

    scene.s3_faults.plan = once_each
    scene.send(scene.writer, 70, 70)
    assert HEAD_KEY in seen
    assert scene.writer.uploads.num_failed == 0
    scene.reached_step = 70
    scene.lose_disk()


def away_at_the_start(scene, fault: Any, error: type[Exception]) -> None:
    """Nobody takes over without asking; nothing was changed here or there."""
    scene.s3_faults.always(fault)
    with pytest.raises(error) as refused:
        scene.begin()
    assert refused.value.retryable == (error is StoreUnavailable)
    scene.s3_faults.mend()
    assert remote_head(scene.objects).attempt == 2


def away_in_the_middle_of_bringing(scene) -> None:
    """The disk is lost; S3 goes away after the first parts have come."""
    scene.lose_disk()
    scene.s3_faults.plan = lambda method, path: SLOW_DOWN if method == "GET" and path.endswith(".safetensors") else None
    with pytest.raises(StoreUnavailable):
        scene.begin()
    scene.s3_faults.mend()


def jump(scene) -> None:
    """The wall clock goes a year forward, then two back, whenever anybody asks it; S3 fails twice beside."""
    jumps = itertools.cycle([YEAR_SECONDS, -YEAR_SECONDS])
    real = time.time
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time", lambda: real() + next(jumps))
        scene.s3_faults.first(2, SLOW_DOWN, method="PUT")
        scene.writer = scene.begin()
        assert scene.writer.newest_good().step == 60
        scene.s3_faults.first(2, SLOW_DOWN, method="PUT")
        scene.send(scene.writer, 70, 70)
        assert scene.writer.uploads.num_failed == 0
        scene.send(scene.writer, 80, 70)
    scene.reached_step = 80
    scene.lose_disk()


GIVES_UP = "lets an outage of S3 end the training"

FAULTS = [
    # name, strike, intervals lost, mutation it guards against, what is told, who must do what
    ("S3 answers 500 for longer than it is asked", partial(away, fault=(500, "InternalError")), 0, GIVES_UP),
    (
        "S3 answers 503 for longer than it is asked",
        partial(away, fault=SLOW_DOWN),
        0,
        "sends the newest without its best",
    ),
    ("S3 times out for longer than it is asked", partial(away, fault="timeout"), 0, GIVES_UP),
    ("S3 answers 503 for ten minutes", away_for_ten_minutes, 0, GIVES_UP),
    ("S3 is slow while three saves are made", slow, 0),
    ("the machine is lost during an outage", partial(away_and_dead, is_disk_lost=True), 3),
    ("the process dies during an outage", partial(away_and_dead, is_disk_lost=False), 0),
    ("every third request fails with 503", partial(flaky, fault=SLOW_DOWN), 0, "asks S3 only once"),
    ("every third request times out", partial(flaky, fault="timeout"), 0, "asks S3 only once"),
    ("writes to S3 are done, their answers lost", lose_answers, 0, "does not read back what it may have written"),
    (
        "S3 is away when a job starts",
        partial(away_at_the_start, fault=SLOW_DOWN, error=StoreUnavailable),
        0,
        "",
        (),
        BY_RESTART,
    ),
    ("S3 goes away while checkpoints are brought", away_in_the_middle_of_bringing, 0, "", (), BY_RESTART),
    (
        "rights are missing when a job starts",
        partial(away_at_the_start, fault=(403, "AccessDenied"), error=CloudRefused),
        0,
        "",
        (),
        "a person gives the rights, then " + BY_RESTART,
    ),
    (
        "rights are taken away for a while",
        partial(away, fault=(403, "AccessDenied")),
        0,
        "",
        (),
        "a person gives the rights; training goes on",
    ),
    (
        "the clock is so wrong that S3 refuses",
        partial(away, fault=(403, "RequestTimeTooSkewed")),
        0,
        "",
        (),
        "a person sets the clock; training goes on",
    ),
    ("the clock jumps by a year, forward and back", jump, 0, "waits by the wall clock"),
]


def test_fault(s3_scene, fault):
    fault.strike(s3_scene)
    s3_scene.recover(fault)
