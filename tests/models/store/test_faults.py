"""The fault table: each fault, whether the run recovers, the steps it loses, and that no bad byte is ever loaded.

The run saved steps 10, 20 … 60 and keeps three; step 30 is the best since step 30. So 30 (best), 40, 50, 60 are kept.
"""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import BuildDiffers, HeadConflict, ObjectCorrupt, ObjectMissing, StoreUnavailable
from models.store import checkpoints, filesystem, folders, generations, manifest
from models.store.checkpoints import CheckpointStore
from models.store.head import HEAD_KEY, Head, published_head, published_step
from models.store.sealed import seal

STEPS = (10, 20, 30, 40, 50, 60)
BEST_STEP = 30
HEADS = "heads"


@pytest.fixture
def root(tmp_path, training) -> Path:
    """The checkpoints of the run, with the head after each step beside them."""
    root = tmp_path / "run" / "checkpoints"
    heads = tmp_path / HEADS
    heads.mkdir()
    store = training.store(root, 1, keep=3)
    store.take_over()
    for step in STEPS:
        training.save(store, step, best_step=min(step, BEST_STEP))
        shutil.copy(root / HEAD_KEY, heads / f"{step}.json")
    return root


def newest(root: Path) -> Path:
    return root / "step-000000060-a1"


def truncate(root: Path) -> None:
    os.truncate(newest(root) / "weights.safetensors", 7)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def flip_part(root: Path) -> None:
    flip(newest(root) / "weights.safetensors")


def flip_manifest(root: Path) -> None:
    path = newest(root) / "manifest.json"
    path.write_text(path.read_text().replace('"step": 60', '"step": 61'))


def remove_part(root: Path) -> None:
    (newest(root) / "random-1.json").unlink()


def remove_manifest(root: Path) -> None:
    (newest(root) / "manifest.json").unlink()


def remove_generation(root: Path) -> None:
    shutil.rmtree(newest(root))


def folder_in_place_of_part(root: Path) -> None:
    (newest(root) / "random-1.json").unlink()
    (newest(root) / "random-1.json").mkdir()


def rename_older_to_newest(root: Path) -> None:
    shutil.rmtree(newest(root))
    shutil.copytree(root / "step-000000040-a1", newest(root))


def damage_two(root: Path) -> None:
    flip_part(root)
    flip(root / "step-000000050-a1" / "random-1.json")


class Bomb:
    """Leaves a file behind if anyone unpickles it."""

    def __init__(self, fuse: Path) -> None:
        self.fuse = fuse

    def __reduce__(self):
        return (Path.touch, (self.fuse,))


def plant_pickle(root: Path) -> None:
    (newest(root) / "optimizer.pt").write_bytes(pickle.dumps(Bomb(root / "exploded")))


def pickle_in_place_of_part(root: Path) -> None:
    (newest(root) / "weights.safetensors").write_bytes(pickle.dumps(Bomb(root / "exploded")))


def pickle_in_the_manifest(root: Path) -> None:
    """The whole manifest is forged, digests and seal included."""
    plant_pickle(root)
    folder = newest(root)
    body = {**manifest.asdict(checkpoints.GenerationFolders(root, filesystem.LocalFilesystem()).manifest(folder.name))}
    body["files"]["optimizer.pt"] = manifest.asdict(manifest.digest_file(folder / "optimizer.pt"))
    (folder / "manifest.json").write_bytes(seal(body))


def part_outside_the_folder(root: Path) -> None:
    folder = newest(root)
    body = {**manifest.asdict(checkpoints.GenerationFolders(root, filesystem.LocalFilesystem()).manifest(folder.name))}
    (root / "outside.json").write_text("{}")
    body["files"]["../outside.json"] = manifest.asdict(manifest.digest_file(root / "outside.json"))
    (folder / "manifest.json").write_bytes(seal(body))


def remove_head(root: Path) -> None:
    (root / HEAD_KEY).unlink()


def empty_head(root: Path) -> None:
    (root / HEAD_KEY).write_bytes(b"")


def garbage_head(root: Path) -> None:
    (root / HEAD_KEY).write_bytes(bytes(range(256)))


def flip_head(root: Path) -> None:
    path = root / HEAD_KEY
    path.write_text(path.read_text().replace("step-000000060-a1", "step-000000050-a1"))


def nested_head(root: Path) -> None:
    (root / HEAD_KEY).write_bytes(b"[" * 100_000)


def stale_head(root: Path) -> None:
    shutil.copy(root.parent.parent / HEADS / "50.json", root / HEAD_KEY)


def stale_head_of_collected_generations(root: Path) -> None:
    shutil.copy(root.parent.parent / HEADS / "20.json", root / HEAD_KEY)


def leftover_staging(root: Path) -> None:
    shutil.copytree(newest(root), root / ".staging" / "step-000000070-a1")


def none(root: Path) -> None:
    pass


FAULTS = [
    # fault, step resumed from, what is said to be skipped
    (none, 60, []),
    (truncate, 50, ["step-000000060-a1"]),
    (flip_part, 50, ["step-000000060-a1"]),
    (flip_manifest, 50, ["step-000000060-a1"]),
    (remove_part, 50, ["step-000000060-a1"]),
    (remove_manifest, 50, ["step-000000060-a1"]),
    (remove_generation, 50, ["step-000000060-a1"]),
    (folder_in_place_of_part, 50, ["step-000000060-a1"]),
    (rename_older_to_newest, 50, ["step-000000060-a1"]),
    (damage_two, 40, ["step-000000060-a1", "step-000000050-a1"]),
    (plant_pickle, 50, ["step-000000060-a1"]),
    (pickle_in_place_of_part, 50, ["step-000000060-a1"]),
    (pickle_in_the_manifest, 50, ["step-000000060-a1"]),
    (part_outside_the_folder, 50, ["step-000000060-a1"]),
    (remove_head, 60, ["head.json"]),
    (empty_head, 60, ["head.json"]),
    (garbage_head, 60, ["head.json"]),
    (flip_head, 60, ["head.json"]),
    (nested_head, 60, ["head.json"]),
    (stale_head, 50, []),
    (stale_head_of_collected_generations, 60, ["step-000000020-a1", "step-000000010-a1"]),
    (leftover_staging, 60, []),
]


@pytest.mark.parametrize(("fault", "step", "skipped"), FAULTS, ids=[fault.__name__ for fault, _, _ in FAULTS])
def test_a_fault_is_recovered_from_without_loading_a_bad_byte(root, training, fault, step, skipped):
    fault(root)
    store = training.store(root, 2, keep=3)
    store.take_over()
    loaded = store.newest_good()
    assert loaded is not None
    assert loaded.step == step
    assert [entry.name for entry in loaded.skipped] == skipped
    assert all(entry.reason for entry in loaded.skipped)
    training.check(loaded)
    # The run goes on, forgets what was damaged, and the next attempt has nothing to skip.
    training.save(store, loaded.step + 10, loaded.best_step)
    again = training.store(root, 3, keep=3)
    again.take_over()
    reloaded = again.newest_good()
    assert reloaded is not None
    assert (reloaded.step, reloaded.best_step, again.skipped) == (step + 10, BEST_STEP, [])
    training.check(reloaded)
    head = Head.from_bytes((root / HEAD_KEY).read_bytes())
    assert sorted(head.generations) == sorted(path.name for path in root.glob("step-*"))
    assert not (root / "exploded").exists()


def test_every_reader_comes_to_the_same_generation_as_the_writer(root, training):
    damage_two(root)
    writer = training.store(root, 2)
    writer.take_over()
    other_rank = training.store(root, 2)
    assert other_rank.newest_good().name == writer.newest_good().name == "step-000000040-a1"


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
    kept = CheckpointStore._kept

    def only_newest_best(self, lineage, *, own_best):
        monkeypatch.setattr(CheckpointStore, "_own_best", lambda self, name: None)
        return kept(self, lineage, own_best=own_best)

    monkeypatch.setattr(CheckpointStore, "_kept", only_newest_best)
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


def test_mutation_a_skipped_digest_lets_a_flipped_byte_through(root, training, monkeypatch):
    def only_size(path: Path, expected: manifest.FileDigest) -> None:
        assert path.stat().st_size == expected.size_bytes

    monkeypatch.setattr(folders, "verify_file", only_size)
    monkeypatch.setattr(folders, "digest_bytes", lambda content: _any_digest())
    flip_part(root)
    with pytest.raises(AssertionError):
        training.check(training.store(root, 2).newest_good())


class _AnyDigest:
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


def _any_digest() -> _AnyDigest:
    return _AnyDigest()


def test_bytes_that_rot_after_they_were_verified_are_not_read(root, training):
    loaded = training.store(root, 2).newest_good()
    flip_part(root)
    with pytest.raises(ObjectCorrupt):
        loaded.read("weights.safetensors")
    with pytest.raises(ObjectMissing):
        loaded.read("optimizer.pt")


class Refusals:
    """Makes one system call fail at its nth use, as a disk would."""

    def __init__(self, monkeypatch, name: str, number: int) -> None:
        self.countdown: int | None = None
        real = getattr(os, name)

        def refuse(*args, **kwargs):
            if self.countdown is not None:
                self.countdown -= 1
                if self.countdown < 0:
                    raise OSError(number, os.strerror(number))
            return real(*args, **kwargs)

        monkeypatch.setattr(filesystem.os, name, refuse)


@pytest.mark.parametrize(
    ("call", "number", "advice"),
    [
        ("write", errno.ENOSPC, "free some space"),
        ("fsync", errno.EIO, "dmesg"),
        ("open", errno.EROFS, "read-only"),
    ],
)
def test_a_disk_that_refuses_at_any_moment_costs_only_that_save(tmp_path, training, monkeypatch, call, number, advice):
    refusals = Refusals(monkeypatch, call, number)
    num_refused = 0
    for countdown in range(30):
        root = tmp_path / str(countdown) / "checkpoints"
        store = training.store(root, 1, keep=1)
        store.take_over()
        training.save(store, 1, 1)
        refusals.countdown = countdown
        try:
            training.save(store, 2, 1)
        except StoreUnavailable as error:
            num_refused += 1
            assert advice in str(error)
            assert error.retryable
        else:
            break
        finally:
            refusals.countdown = None
        found = training.store(root, 2).newest_good()
        assert found is not None
        assert found.step >= 1
        training.check(found)
        # The disk is well again: the same process saves on.
        training.save(store, 3, 1)
        found = training.store(root, 2).newest_good()
        assert (found.step, found.skipped) == (3, [])
        training.check(found)
    assert 5 < num_refused < 30


def test_a_full_disk_is_not_kept_full_by_the_save_that_failed(tmp_path, training, monkeypatch):
    root = tmp_path / "checkpoints"
    store = training.store(root, 1, keep=1)
    store.take_over()
    training.save(store, 1, 1)
    before = sorted(path.relative_to(root) for path in root.rglob("*"))
    real = filesystem.LocalFilesystem.write

    def no_room_for_the_head(self, path: Path, content: bytes) -> None:
        if path.name == HEAD_KEY:
            raise StoreUnavailable("the disk is full")
        real(self, path, content)

    monkeypatch.setattr(filesystem.LocalFilesystem, "write", no_room_for_the_head)
    with pytest.raises(StoreUnavailable):
        training.save(store, 2, 1)
    assert sorted(path.relative_to(root) for path in root.rglob("*")) == before


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
