"""Writers that were succeeded while they were at work, or stood still: refused, and nothing that counts has changed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from models.errors import HeadConflict
from models.store import crash_points
from models.store.head import HEAD_KEY

AFTER_ITS_HEAD = ("after-head", "collection", "after-remote-head")
NO_COMPARE_HERE = "moves the head on disk without comparing"
NO_IF_MATCH = "drops If-Match"


def succeed(scene, step: int) -> None:
    """The next attempt, as another machine or process would run it, trains on to step 80."""
    store = scene.begin()
    assert store.newest_good().step == step
    for each in range(step + 10, 90, 10):
        scene.send(store, each, each)
    scene.reached_step = 80


def succeeded_on_this_disk(scene, point: str) -> None:
    """In the middle of saving step 70."""
    at(point, lambda: succeed(scene, 70 if point in AFTER_ITS_HEAD else 60))
    refused(scene.writer, scene, is_too_late=point in AFTER_ITS_HEAD)


def succeeded_on_another_machine(scene, point: str) -> None:
    """In the middle of sending step 70; what counts in S3 is not changed by the writer that comes back."""
    counted: list[dict[str, bytes]] = []
    first_machine = scene.folder

    def elsewhere() -> None:
        scene.folder = first_machine / "another"
        succeed(scene, 70 if point in AFTER_ITS_HEAD else 60)
        counted.append(what_counts(scene))
        scene.folder = first_machine

    at(point, elsewhere)
    refused(scene.writer, scene, is_too_late=point in AFTER_ITS_HEAD)
    scene.folder = first_machine / "another"
    assert counted == [what_counts(scene)]


def at(point: str, happens) -> None:
    def seen(reached: str) -> None:
        if reached == point:
            crash_points.observe(None)
            happens()

    crash_points.observe(seen)


def refused(store, scene, *, is_too_late: bool) -> None:
    """The save that was being made when another took over, or the next one where its head had moved."""
    if is_too_late:
        scene.send(store, 70, 70)
        scene.check_whole()
    with pytest.raises(HeadConflict):
        scene.send(store, 80 if is_too_late else 70, 70)


def what_counts(scene) -> dict[str, bytes]:
    """The head in S3 and all that it names."""
    head = scene.objects.get(f"checkpoints/{HEAD_KEY}").content
    keys = [key for name in json.loads(head)["generations"] for key in scene.objects.list(f"checkpoints/{name}/")]
    return {"head": head} | {key: scene.objects.get(key).content for key in keys}


def three_in_turns(scene) -> None:
    """Three machines; each takes over from the one before, and all go on trying to save."""
    home, first = scene.folder, scene.writer
    writers = [(home, first)]
    for name in ("second", "third"):
        scene.folder = home / name
        store = scene.begin()
        assert store.newest_good().step == 60
        writers.append((scene.folder, store))
    for folder, store in (writers[1], writers[0], writers[2], writers[1], writers[2], writers[0]):
        scene.folder = folder
        step = 70 if store is not writers[2][1] or scene.reached_step == 60 else 80
        if store is writers[2][1]:
            scene.send(store, step, step)
            scene.reached_step = step
        else:
            with pytest.raises(HeadConflict):
                scene.send(store, step, step)
    scene.folder = writers[2][0]


def at_the_same_time(scene) -> None:
    """Two machines start as the same attempt: one of them is told that it came too late."""
    home = scene.folder
    scene.begin()
    scene.folder = home / "another"
    with pytest.raises(HeadConflict, match=f"start as attempt {scene.attempt + 1}"):
        scene.open()
    scene.folder = home


PROCESS = """
import os, random, signal, sys
from pathlib import Path
from models.errors import HeadConflict
from models.jobs.stopping import StopSignal
from models.store import crash_points
from models.store.checkpoints import CheckpointStore
from models.store.mirrored import MirroredCheckpointStore
from models.store.s3 import S3Uri, open_s3

root, attempt, uri, point, number = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
common = {"attempt": attempt, "keep": 3, "identity": {"run_key": "r" * 8, "build_key": "b" * 8}}
if uri:
    store = MirroredCheckpointStore(root, open_s3(S3Uri.parse(uri)), **common)
else:
    store = CheckpointStore(root, **common)
stop = StopSignal()
stop.install()
store.take_over()
step = store.newest_good().step


def signalled(reached):
    if reached == point:
        if number == signal.SIGSTOP:
            crash_points.observe(None)
        os.kill(os.getpid(), number)


crash_points.observe(signalled)
try:
    for step in range(step + 10, step + 60, 10):
        for part in ("weights.safetensors", "random-1.json"):
            store.write_part(step, part, random.Random(f"{step}/{part}").randbytes(40 + step % 7))
        store.publish(step, best_step=step, metadata={"step": step, "history": [float(n) for n in range(step % 5)]})
        if uri:
            store.settle(60)
        if stop():
            print(step)
            break
except HeadConflict as error:
    print(type(error).__name__)
"""


def start(scene, point: str, number: int) -> subprocess.Popen[str]:
    """A process that is the next attempt, and sends itself a signal whenever it comes to a point (SIGSTOP: once)."""
    scene.attempt += 1
    uri = str(scene.objects.uri) if scene.objects is not None else ""
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(scene.root), str(scene.attempt), uri, point, str(int(number))],
        stdout=subprocess.PIPE,
        text=True,
    )


def stopped(scene, point: str, seconds: float = 0.0) -> None:
    """SIGSTOP in the middle of a save; another takes over; SIGCONT."""
    process = start(scene, point, signal.SIGSTOP)
    try:
        assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
        if scene.objects is not None:
            scene.folder = scene.folder / "another"
        succeed(scene, 60)
        counted = what_counts(scene) if scene.objects is not None else None
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)
        told, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert told.strip() == "HeadConflict"
    if counted is not None:
        assert what_counts(scene) == counted


def terminated_twice(scene) -> None:
    """SIGTERM at each part of the save it is making: the save is finished, and nothing more is begun."""
    process = start(scene, "temp-write", signal.SIGTERM)  # two parts, manifest and head: four signals
    told, _ = process.communicate(timeout=60)
    assert (process.returncode, told.strip()) == (0, "70")
    scene.reached_step = 70


def killed(scene, point: str) -> None:
    process = start(scene, point, signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    process.communicate()
    scene.reached_step = 70


LOCAL = [
    # name, strike, intervals lost, mutation it guards against
    *(
        (f"another process takes over at {point}", partial(succeeded_on_this_disk, point=point), 0, guards)
        for point, guards in (
            ("temp-write", ""),
            ("before-rename", ""),
            ("after-rename", ""),
            ("before-head", NO_COMPARE_HERE),
            ("after-head", "removes what a successor has saved"),
        )
    ),
    (
        "SIGSTOP in a save, a successor on the same disk, SIGCONT",
        partial(stopped, point="before-head"),
        0,
        NO_COMPARE_HERE,
    ),
    ("SIGTERM four times in one save", terminated_twice, 0, "ends at the second SIGTERM"),
    ("SIGKILL before the head moves", partial(killed, point="before-head"), 1),
    ("SIGKILL after the head moved", partial(killed, point="after-head"), 0),
]
MIRRORED = [
    *(
        (f"another machine takes over at {point}", partial(succeeded_on_another_machine, point=point), 0, guards)
        for point, guards in (
            ("mid-upload", ""),
            ("before-remote-manifest", ""),
            ("before-remote-head", NO_IF_MATCH),
            ("after-remote-head", "removes what a successor has sent"),
        )
    ),
    ("three machines in turns", three_in_turns, 0, "does not ask S3 who owns the run"),
    ("two machines start as the same attempt", at_the_same_time, 0),
    ("SIGSTOP in an upload, a successor elsewhere, SIGCONT", partial(stopped, point="mid-upload"), 0),
    (
        "SIGSTOP before the head in S3, a successor elsewhere, SIGCONT",
        partial(stopped, point="before-remote-head"),
        0,
        NO_IF_MATCH,
    ),
]
FAULTS = [*LOCAL, *MIRRORED]


@pytest.fixture
def scene(fault, request, s3_environment):
    return request.getfixturevalue("plain_scene" if str(fault) in {row[0] for row in LOCAL} else "s3_scene")


def test_fault(scene, fault):
    fault.strike(scene)
    scene.recover(fault)


@pytest.mark.long
@pytest.mark.parametrize("point", ["before-head", "mid-upload", "before-remote-head"])
def test_a_writer_that_stood_still_for_a_minute_is_refused(request, s3_environment, point):
    scene = request.getfixturevalue("plain_scene" if point == "before-head" else "s3_scene")
    stopped(scene, point, seconds=60.0)


def test_the_process_saves_what_the_small_training_saves(training):
    for step in (70, 80):
        for part in training.parts:
            assert random.Random(f"{step}/{part}").randbytes(40 + step % 7) == training.content(step, part)
        assert training.metadata(step) == {"step": step, "history": [float(n) for n in range(step % 5)]}
