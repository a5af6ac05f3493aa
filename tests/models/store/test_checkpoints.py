"""What is asked of a run's checkpoints beside surviving faults (``faults``): names, best, identity, what is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import BuildDiffers, HeadConflict, ObjectCorrupt, ObjectMissing, StoreUnavailable
from models.store import checkpoints, folders, generations
from models.store.checkpoints import CheckpointStore
from models.store.head import published_head, published_step

STEPS = (10, 20, 30, 40, 50, 60)
BEST_STEP = 30


@pytest.fixture
def root(tmp_path, training) -> Path:
    """The checkpoints of a run that keeps three; step 30 is the best since step 30."""
    root = tmp_path / "run" / "checkpoints"
    store = training.store(root, 1, keep=3)
    store.take_over()
    for step in STEPS:
        training.save(store, step, best_step=min(step, BEST_STEP))
    return root


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_nothing_is_loaded_when_all_is_damaged_and_the_store_says_why(root, training):
    flip(root / "step-000000030-a1" / "weights.safetensors")  # the best of all of them
    store = training.store(root, 2)
    store.take_over()
    assert store.newest_good() is None
    assert [entry.step for entry in store.skipped] == [60, 50, 40, 30]
    assert all("step-000000030-a1" in entry.reason for entry in store.skipped)
    training.save(store, 1, None)
    assert training.store(root, 3).newest_good().step == 1


def test_after_a_walk_back_the_older_generation_still_finds_its_own_best(tmp_path, training):
    _walk_back_to_an_older_best(tmp_path / "checkpoints", training)


def test_mutation_keeping_only_the_newest_best_turns_the_walk_back_red(tmp_path, training, monkeypatch):
    monkeypatch.setattr(CheckpointStore, "_own_best", lambda self, name: None)
    with pytest.raises(AssertionError):
        _walk_back_to_an_older_best(tmp_path / "checkpoints", training)


def _walk_back_to_an_older_best(root: Path, training) -> None:
    store = training.store(root, 1, keep=2)
    store.take_over()
    for step, best_step in ((10, 10), (20, 10), (30, 10), (40, 40)):
        training.save(store, step, best_step)
    flip(root / "step-000000040-a1" / "weights.safetensors")
    loaded = training.store(root, 2).newest_good()
    assert loaded is not None
    assert (loaded.step, loaded.best_step) == (30, 10)
    training.check(loaded)


def test_bytes_that_rot_after_they_were_verified_are_not_read(root, training):
    loaded = training.store(root, 2).newest_good()
    flip(root / "step-000000060-a1" / "weights.safetensors")
    with pytest.raises(ObjectCorrupt):
        loaded.read("weights.safetensors")
    with pytest.raises(ObjectMissing):
        loaded.read("optimizer.pt")


def test_a_head_that_landed_although_the_disk_said_no_is_read_back(tmp_path, training, monkeypatch):
    root = tmp_path / "checkpoints"
    store = training.store(root, 1, keep=1)
    store.take_over()
    real = checkpoints.LocalObjects.compare_and_set
    calls = []

    def lands_and_fails_once(self, key, content, expected_version):
        version = real(self, key, content, expected_version)
        calls.append(version)
        if len(calls) == 1:
            raise StoreUnavailable("timed out")
        return version

    monkeypatch.setattr(checkpoints.LocalObjects, "compare_and_set", lands_and_fails_once)
    training.save(store, 1, 1)
    training.save(store, 2, 1)
    assert training.store(root, 2).newest_good().step == 2


def test_old_generations_that_cannot_be_removed_are_told_and_fail_nothing(tmp_path, training, monkeypatch):
    store = training.store(tmp_path / "checkpoints", 1, keep=1)
    store.take_over()
    training.save(store, 1, None)

    def refuse(self, name: str) -> None:
        raise StoreUnavailable("read-only")

    monkeypatch.setattr(folders.GenerationFolders, "remove", refuse)
    assert "read-only" in training.save(store, 2, None).problem


def test_a_part_that_a_rank_failed_to_write_stops_the_publishing(tmp_path, training):
    store = training.store(tmp_path / "checkpoints", 1)
    store.take_over()
    store.write_part(1, "weights.safetensors", b"w")
    with pytest.raises(ObjectMissing, match="random-1"):
        store.publish(1, best_step=None, metadata={}, parts=training.parts)
    store.discard(1)
    with pytest.raises(ObjectMissing, match="no part"):
        store.publish(1, best_step=None, metadata={})
    assert store.newest_good() is None


@pytest.mark.parametrize("name", ["optimizer.pt", "state.pkl", "../x.json", "manifest.json", ".hidden.json", "noext"])
def test_a_part_that_could_run_code_or_leave_the_folder_is_not_written(tmp_path, training, name):
    store = training.store(tmp_path / "checkpoints", 1)
    with pytest.raises(ValueError, match="plain file name"):
        store.write_part(1, name, b"")


def test_a_best_step_that_was_never_published_is_refused(root, training):
    store = training.store(root, 2)
    store.take_over()
    with pytest.raises(ValueError, match="best_step=35"):
        training.save(store, 70, 35)


def test_a_step_saved_twice_by_one_attempt_gets_a_name_of_its_own(tmp_path, training):
    root = tmp_path / "checkpoints"
    store = training.store(root, 1)
    store.take_over()
    assert training.save(store, 5, None).name == "step-000000005-a1"
    assert training.save(store, 5, 5).name == "step-000000005-a1-r1"
    loaded = training.store(root, 2).newest_good()
    assert (loaded.name, loaded.best_name) == ("step-000000005-a1-r1", "step-000000005-a1-r1")


def test_checkpoints_of_another_run_are_refused_with_the_differing_key_named(root, training):
    identity = {"run_key": "another", "build_key": "b" * 8}
    store = CheckpointStore(root, attempt=2, keep=2, identity=identity)
    with pytest.raises(BuildDiffers, match="run_key: was rrrrrrrr, is another"):
        store.take_over()
    with pytest.raises(BuildDiffers):
        store.newest_good()


def test_who_only_watches_sees_the_published_step_and_nothing_where_the_head_is_damaged(root, training):
    assert published_step(root) == 60
    assert published_head(root).newest.startswith("step-000000060-")
    content = (root / "head.json").read_bytes()
    for damaged in (b"", b"{", b"[1]", content.replace(b"60", b"61", 1), content[:-9]):
        (root / "head.json").write_bytes(damaged)
        assert published_step(root) is None
    (root / "head.json").unlink()
    assert published_step(root) is None
    assert published_step(root / "nowhere") is None


def test_a_head_that_names_no_generation_has_no_published_step(tmp_path):
    CheckpointStore(tmp_path, attempt=1, keep=2, identity={}).take_over()
    assert published_step(tmp_path) is None
    assert published_head(tmp_path).attempt == 1


def test_a_generation_name_survives_being_written_and_read():
    for name in (generations.GenerationName(3, 12), generations.GenerationName(10, 10**10, 2)):
        assert generations.GenerationName.parse(str(name)) == name
    assert str(generations.GenerationName(3, 12)) == "step-000000012-a3"
    assert generations.GenerationName.parse("step-12-a3") is None
    assert generations.GenerationName.parse("../step-000000012-a3") is None


KILLED = """
import os, signal, sys
from pathlib import Path
from models.store import crash_points
from models.store.checkpoints import CheckpointStore

root, point, attempt = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = CheckpointStore(root, attempt=attempt, keep=1, identity={})
store.take_over()
loaded = store.newest_good()
step = loaded.step if loaded is not None else 0
for step in range(step + 1, step + 4):
    if step % 3 == 0:
        crash_points.observe(lambda seen: os.kill(os.getpid(), signal.SIGKILL) if seen == point else None)
    store.write_part(step, "weights.safetensors", b"%d" % step * 1000)
    store.publish(step, best_step=step, metadata={"step": step})
"""


def test_processes_killed_at_each_point_leave_a_run_that_goes_on(tmp_path):
    root = tmp_path / "checkpoints"
    reached_step = 0
    points = ("temp-write", "before-rename", "after-rename", "before-head", "after-head", "collection")
    for attempt, point in enumerate(points, start=1):
        ended = subprocess.run([sys.executable, "-c", KILLED, str(root), point, str(attempt)], check=False)
        assert ended.returncode == -9, point
        loaded = CheckpointStore(root, attempt=attempt + 1, keep=1, identity={}).newest_good()
        assert loaded is not None
        assert loaded.skipped == []
        assert loaded.read("weights.safetensors") == b"%d" % loaded.step * 1000
        assert loaded.step >= reached_step
        reached_step = loaded.step
    assert reached_step >= 6


def test_a_head_conflict_says_which_attempt_to_start_as(root, training):
    with pytest.raises(HeadConflict, match="start as attempt 2"):
        training.store(root, 1).take_over()
