"""Checkpoints that outlive their machine: on this disk first, in S3 behind it, and back on a disk that is empty."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest

from models.errors import BuildDiffers, CloudRefused, HeadConflict, ObjectCorrupt, StoreUnavailable
from models.store import crash_points, remote_checkpoints
from models.store.generations import GenerationName
from models.store.head import Head
from models.store.mirrored import MirroredCheckpointStore
from models.store.remote_checkpoints import MirroredLog, remote_attempt, remote_head
from models.store.s3 import S3Objects

IDENTITY = {"run_key": "r" * 8, "build_key": "b" * 8}
PLENTY_SECONDS = 30.0


class Machine:
    """A disk, with the run of one key mirrored to S3; its progress is a file that grows by a line a step."""

    def __init__(self, disk: Path, objects: S3Objects, training) -> None:
        self.root = disk / "checkpoints"
        self.root.mkdir(parents=True, exist_ok=True)
        self.objects = objects
        self.training = training
        self.log = MirroredLog(disk / "progress.jsonl", "progress.jsonl", size_key="size")

    def begin(self, *, keep: int = 2, identity: dict[str, str] = IDENTITY, attempt: int = 0) -> MirroredCheckpointStore:
        """The next attempt, as who counts attempts would start it."""
        here = max((name.attempt for name in self._names()), default=0)
        store = MirroredCheckpointStore(
            self.root,
            self.objects,
            attempt=attempt or max(remote_attempt(self.objects), here) + 1,
            keep=keep,
            identity=identity,
            log=self.log,
            retry_seconds=0.05,
        )
        store.take_over()
        return store

    def save(self, store: MirroredCheckpointStore, step: int, best_step: int | None) -> None:
        self.log.path.write_bytes(b"%d\n" * step % tuple(range(step)))
        for part in self.training.parts:
            store.write_part(step, part, self.training.content(step, part))
        metadata = {**self.training.metadata(step), "size": self.log.path.stat().st_size}
        store.publish(step, best_step=best_step, metadata=metadata, parts=self.training.parts)

    def sent(self, store: MirroredCheckpointStore, step: int, best_step: int | None) -> None:
        self.save(store, step, best_step)
        assert store.settle(PLENTY_SECONDS)

    def check(self, loaded) -> None:
        """All bytes of the generation and of its best, here; and the log in S3 as far as it knows it."""
        assert {**loaded.metadata, "size": None} == {**self.training.metadata(loaded.step), "size": None}
        for part in self.training.parts:
            assert loaded.read(part) == self.training.content(loaded.step, part)
            if loaded.best_step is not None:
                assert loaded.read_best(part) == self.training.content(loaded.best_step, part)

    def _names(self) -> list[GenerationName]:
        parsed = [GenerationName.parse(path.name) for path in self.root.iterdir()]
        return [name for name in parsed if name is not None]


@pytest.fixture
def machine(s3_objects, training, tmp_path):
    """Makes machines by name; one of a new name has an empty disk."""
    return lambda name: Machine(tmp_path / name, s3_objects, training)


def remote_names(objects: S3Objects) -> list[str]:
    return sorted({key.split("/")[1] for key in objects.list("checkpoints/step-")})


def await_problem(store: MirroredCheckpointStore) -> None:
    deadline_seconds = time.monotonic() + PLENTY_SECONDS
    while store.problem is None:
        assert time.monotonic() < deadline_seconds
        time.sleep(0.01)


def check_remote(objects: S3Objects, training) -> Head:
    """All that the head in S3 names is there, whole, and as it was saved."""
    head = remote_head(objects)
    assert head is not None
    log = objects.get("progress.jsonl").content if head.newest else b""
    for name in head.generations:
        parsed = GenerationName.parse(name)
        assert parsed is not None
        for part in training.parts:
            assert objects.get(f"checkpoints/{name}/{part}").content == training.content(parsed.step, part)
        assert objects.version(f"checkpoints/{name}/manifest.json") is not None
        assert log.startswith(b"%d\n" * parsed.step % tuple(range(parsed.step)))
    assert {head.newest, head.best} - {None} <= set(head.generations)
    return head


def test_a_fresh_machine_goes_on_from_what_another_had_sent(machine, s3_objects, training):
    first = machine("a")
    store = first.begin()
    assert store.newest_good() is None
    for step, best_step in ((1, 1), (2, 1), (3, 1), (4, 1)):
        first.sent(store, step, best_step)
    assert check_remote(s3_objects, training).generations == (
        "step-000000001-a1",
        "step-000000003-a1",
        "step-000000004-a1",
    )
    assert remote_names(s3_objects) == ["step-000000001-a1", "step-000000003-a1", "step-000000004-a1"]
    second = machine("b")
    store = second.begin()
    loaded = store.newest_good()
    assert (loaded.step, loaded.best_step, store.skipped) == (4, 1, [])
    second.check(loaded)
    second.sent(store, 5, 5)
    assert check_remote(s3_objects, training).newest == "step-000000005-a2"
    assert remote_attempt(s3_objects) == 2


def test_the_head_in_s3_is_the_document_it_is_on_disk(machine, s3_objects):
    store = machine("a").begin()
    machine("a").sent(store, 1, 1)
    here = Head.from_bytes((machine("a").root / "head.json").read_bytes())
    there = remote_head(s3_objects)
    assert (here.newest, here.best, here.generations, here.identity, here.attempt) == (
        *(there.newest, there.best, there.generations, there.identity, there.attempt),
    )


def test_a_disk_that_survived_keeps_what_s3_has_not_and_sends_it(machine, s3_objects, s3_faults, training):
    first = machine("a")
    store = first.begin()
    first.sent(store, 1, 1)
    s3_faults.always((503, "SlowDown"))
    first.save(store, 2, 2)
    await_problem(store)
    s3_faults.mend()
    shutil.copytree(first.root.parent, first.root.parent.with_name("survivor"))  # the process has died here
    assert store.settle(PLENTY_SECONDS)
    s3_objects.put("checkpoints/head.json", s3_objects.get("checkpoints/head.json").content)
    survivor = machine("survivor")
    store = survivor.begin()
    assert store.newest_good().step == 2
    assert store.settle(PLENTY_SECONDS)
    assert check_remote(s3_objects, training).newest == "step-000000002-a1"


def test_only_here_and_newer_is_sent_at_the_next_start(machine, s3_objects, s3_faults, training):
    first = machine("a")
    store = first.begin()
    s3_faults.plan = lambda method, path: (503, "SlowDown") if "step-" in path else None
    first.save(store, 1, 1)
    await_problem(store)
    frozen = machine("frozen")
    shutil.copytree(first.root.parent, frozen.root.parent, dirs_exist_ok=True)
    assert remote_head(s3_objects).newest is None
    s3_faults.mend()
    # The old process is fenced off by the new attempt, whichever of them S3 hears first.
    again = frozen.begin(attempt=2)
    assert again.newest_good().step == 1
    assert again.settle(PLENTY_SECONDS)
    assert check_remote(s3_objects, training).newest == "step-000000001-a1"


def test_a_disk_that_was_left_behind_takes_what_others_did_since(machine, s3_objects, training):
    left, other = machine("left"), machine("other")
    store = left.begin()
    left.sent(store, 1, 1)
    left.sent(store, 2, 1)
    store = other.begin()
    other.newest_good = store.newest_good()
    other.sent(store, 3, 3)
    store = left.begin()
    loaded = store.newest_good()
    assert (loaded.name, loaded.best_step) == ("step-000000003-a2", 3)
    left.check(loaded)
    left.sent(store, 4, 3)
    assert sorted(path.name for path in left.root.glob("step-*")) == ["step-000000003-a2", "step-000000004-a3"]
    check_remote(s3_objects, training)


def damage(objects: S3Objects, key: str, how: str) -> None:
    content = objects.get(key).content
    if how == "missing":
        objects.delete(key)
    elif how == "truncated":
        objects.put(key, content[: len(content) // 2])
    else:
        objects.put(key, bytes([content[0] ^ 1]) + content[1:])


@pytest.mark.parametrize("how", ["missing", "truncated", "flipped"])
@pytest.mark.parametrize("file", ["weights.safetensors", "manifest.json"])
def test_what_is_damaged_in_s3_is_walked_over_and_told(machine, s3_objects, training, file, how):
    first = machine("a")
    store = first.begin()
    for step in (1, 2, 3):
        first.sent(store, step, 1)
    damage(s3_objects, f"checkpoints/step-000000003-a1/{file}", how)
    second = machine("b")
    store = second.begin()
    loaded = store.newest_good()
    assert (loaded.step, [entry.step for entry in store.skipped]) == (2, [3])
    second.check(loaded)
    second.sent(store, 3, 3)
    assert "step-000000003-a1" not in remote_names(s3_objects)
    check_remote(s3_objects, training)


@pytest.mark.parametrize("how", ["missing", "truncated", "flipped"])
def test_a_head_that_is_lost_in_s3_is_recovered_from_the_generations(machine, s3_objects, how, training):
    first = machine("a")
    store = first.begin()
    for step in (1, 2):
        first.sent(store, step, 1)
    damage(s3_objects, "checkpoints/head.json", how)
    assert remote_attempt(s3_objects) == 1
    second = machine("b")
    store = second.begin()
    assert store.newest_good().step == 2
    assert [entry.name for entry in store.skipped] == ["head.json"]
    second.sent(store, 3, 3)
    check_remote(s3_objects, training)


def test_what_is_damaged_here_is_brought_again(machine, s3_objects):
    first = machine("a")
    store = first.begin()
    first.sent(store, 1, 1)
    first.sent(store, 2, 1)
    for step in (1, 2):
        (first.root / f"step-00000000{step}-a1" / "weights.safetensors").write_bytes(b"")
    store = first.begin()
    loaded = store.newest_good()
    assert (loaded.step, store.skipped) == (2, [])
    first.check(loaded)


def test_what_is_damaged_here_before_it_was_sent_is_never_sent(machine, s3_objects, s3_faults, training):
    first = machine("a")
    store = first.begin()
    first.sent(store, 1, 1)
    s3_faults.always((503, "SlowDown"))
    first.save(store, 2, 1)
    (first.root / "step-000000002-a1" / "weights.safetensors").write_bytes(b"other")
    s3_faults.mend()
    assert not store.settle(PLENTY_SECONDS)
    assert "is damaged" in store.problem
    assert check_remote(s3_objects, training).newest == "step-000000001-a1"
    first.sent(store, 3, 1)
    assert store.problem is None


def test_a_file_that_could_run_code_is_not_even_fetched(machine, s3_objects, monkeypatch):
    first = machine("a")
    monkeypatch.setattr("models.store.folders.SAFE_SUFFIXES", (".safetensors", ".json", ".pkl"))
    store = first.begin()
    store.write_part(1, "weights.pkl", b"cos\nsystem\n(S'touch x'\ntR.")
    store.publish(1, best_step=1, metadata={"size": 0})
    assert store.settle(PLENTY_SECONDS)
    monkeypatch.undo()
    fetched = []
    monkeypatch.setattr(S3Objects, "get_file", lambda self, key, path, expected: fetched.append(key))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    store = MirroredCheckpointStore(machine("b").root, s3_objects, attempt=2, keep=2, identity=IDENTITY)
    store.take_over()
    assert store.newest_good() is None
    assert fetched == []
    assert "a file of another kind" in store.skipped[0].reason


@pytest.mark.parametrize("where", ["a fresh disk", "the same disk"])
def test_a_checkpoint_of_another_run_or_build_is_refused_with_the_key_that_differs(machine, s3_objects, where):
    store = machine("a").begin()
    machine("a").sent(store, 1, 1)
    before = s3_objects.get("checkpoints/head.json")
    with pytest.raises(BuildDiffers, match="build_key: was bbbbbbbb, is other"):
        machine("a" if where == "the same disk" else "b").begin(identity={**IDENTITY, "build_key": "other"})
    assert s3_objects.get("checkpoints/head.json") == before


def test_an_attempt_that_was_succeeded_on_another_machine_is_told_at_its_next_save(machine, s3_objects, training):
    old, new = machine("old"), machine("new")
    store = old.begin()
    old.sent(store, 1, 1)
    other = new.begin()
    new.sent(other, 2, 2)
    before = s3_objects.list()
    old.save(store, 2, 1)  # nothing was asked of S3 yet
    with pytest.raises(HeadConflict):
        store.settle(PLENTY_SECONDS)
    with pytest.raises(HeadConflict):
        old.save(store, 3, 1)
    assert s3_objects.list() == before
    with pytest.raises(HeadConflict, match="start as attempt 3"):
        old.begin(attempt=2)
    check_remote(s3_objects, training)


def test_while_s3_is_away_training_goes_on_and_the_newest_is_sent_when_it_is_back(
    machine, s3_objects, s3_faults, training
):
    only = machine("a")
    store = only.begin()
    only.sent(store, 1, 1)
    s3_faults.always("timeout")
    for step, best_step in ((2, 2), (3, 2), (4, 2), (5, 2)):
        only.save(store, step, best_step)
        assert store.newest_good().step == step
    await_problem(store)
    assert not store.settle(0.0)
    assert "S3 did not answer" in store.problem
    s3_faults.mend()
    assert store.settle(PLENTY_SECONDS)
    assert store.problem is None
    head = check_remote(s3_objects, training)
    assert (head.newest, head.best) == ("step-000000005-a1", "step-000000002-a1")
    assert remote_names(s3_objects) == list(head.generations)


def test_a_refusal_does_not_stop_training_and_is_not_waited_for(machine, s3_objects, s3_faults):
    only = machine("a")
    store = only.begin()
    s3_faults.always((403, "AccessDenied"))
    only.save(store, 1, 1)
    assert not store.settle(PLENTY_SECONDS * 100)
    assert "s3:" in store.problem
    s3_faults.mend()
    assert store.settle(PLENTY_SECONDS)


@pytest.mark.parametrize("fault", ["timeout", (503, "SlowDown"), (403, "AccessDenied")], ids=str)
def test_without_s3_nobody_takes_over(machine, s3_objects, s3_faults, fault):
    s3_faults.always(fault)
    with pytest.raises((StoreUnavailable, CloudRefused)):
        machine("a").begin(attempt=1)
    assert list(machine("a").root.iterdir()) == []


def test_the_newest_wins_and_what_is_on_its_way_stays_on_the_disk(machine, s3_objects, s3_faults, training):
    only = machine("a")
    store = only.begin(keep=1)
    may_go_on = threading.Event()
    is_on_its_way = threading.Event()

    def hold(method: str, path: str) -> None:
        if method == "PUT" and "step-000000001" in path:
            is_on_its_way.set()
            may_go_on.wait(PLENTY_SECONDS)

    s3_faults.plan = hold
    only.save(store, 1, 1)
    assert is_on_its_way.wait(PLENTY_SECONDS)
    for step in (2, 3, 4):
        only.save(store, step, step)
    kept = {path.name for path in only.root.glob("step-*")}
    assert kept == {"step-000000001-a1", "step-000000003-a1", "step-000000004-a1"}  # 3 waited while 4 was saved
    may_go_on.set()
    assert store.settle(PLENTY_SECONDS)
    sent = {path.split("/")[-2] for method, path in s3_faults.seen if method == "PUT" and "/step-" in path}
    assert sent == {"step-000000001-a1", "step-000000004-a1"}
    assert check_remote(s3_objects, training).generations == ("step-000000004-a1",)
    only.sent(store, 5, 5)
    assert [path.name for path in only.root.glob("step-*")] == ["step-000000005-a1"]


def test_a_try_that_failed_half_way_does_not_send_its_parts_again(machine, s3_objects, s3_faults):
    only = machine("a")
    store = only.begin()
    refused = [True]

    def plan(method: str, path: str):
        return (403, "AccessDenied") if method == "PUT" and path.endswith("/manifest.json") and refused else None

    s3_faults.plan = plan
    only.save(store, 1, 1)
    assert not store.settle(PLENTY_SECONDS)
    refused.clear()
    assert store.settle(PLENTY_SECONDS)
    parts = [path for method, path in s3_faults.seen if method == "PUT" and path.endswith("weights.safetensors")]
    assert len(parts) == 1


def test_nothing_is_removed_before_the_head_has_moved(machine, s3_objects, s3_faults):
    only = machine("a")
    store = only.begin(keep=1)
    only.sent(store, 1, 1)
    s3_faults.plan = lambda method, path: (
        (403, "AccessDenied") if path.endswith("head.json") and method == "PUT" else None
    )
    only.save(store, 2, 2)
    assert not store.settle(PLENTY_SECONDS)
    assert not [seen for seen in s3_faults.seen if seen[0] == "DELETE"]
    assert "step-000000001-a1" in remote_names(s3_objects)


def test_no_thread_runs_before_there_is_something_to_send_nor_after(machine):
    others = set(threading.enumerate())

    def uploading() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name == "checkpoint-upload" and each not in others]

    only = machine("a")
    store = only.begin()
    assert uploading() == []
    only.sent(store, 1, 1)
    for thread in uploading():
        thread.join(PLENTY_SECONDS)
    assert uploading() == []
    only.sent(store, 2, 2)


def test_a_log_that_an_older_writer_sent_late_is_replaced_and_never_replaces_ours(machine, s3_objects, training):
    old, new = machine("old"), machine("new")
    store = old.begin()
    old.sent(store, 1, 1)
    other = new.begin()
    s3_objects.put("progress.jsonl", b"0\n1\n2\n")  # the old writer's, after the new one had looked
    new.sent(other, 2, 2)
    assert s3_objects.get("progress.jsonl").content == b"0\n1\n"
    with pytest.raises(HeadConflict):
        store._remote._send_log(1)
    assert s3_objects.get("progress.jsonl").content == b"0\n1\n"


@pytest.mark.parametrize("point", crash_points.REMOTE_CRASH_POINTS)
@pytest.mark.parametrize("disk", ["the same", "an empty one"])
def test_a_death_at_any_point_of_an_upload_loses_at_most_what_was_being_sent(
    machine, s3_objects, training, crash, point, disk
):
    deaths(machine, s3_objects, training, crash, point, disk)


def deaths(machine, s3_objects, training, crash, point, disk) -> None:
    only = machine("a")
    store = only.begin(keep=1)
    only.sent(store, 1, 1)

    def die(reached: str) -> None:
        if reached == point:
            raise crash(point)

    crash_points.observe(die)
    with pytest.raises(crash, match=point):
        only.sent(store, 2, 2)
    crash_points.observe(None)
    head = check_remote(s3_objects, training)
    assert head.newest == ("step-000000002-a1" if point == "after-remote-head" else "step-000000001-a1")
    next_machine = machine("a" if disk == "the same" else "b")
    store = next_machine.begin(keep=1)
    loaded = store.newest_good()
    assert loaded.step == (2 if disk == "the same" or point == "after-remote-head" else 1)
    next_machine.check(loaded)
    next_machine.sent(store, 3, 3)
    assert check_remote(s3_objects, training).generations == ("step-000000003-a2",)
    assert remote_names(s3_objects) == ["step-000000003-a2"]


def test_mutation_the_head_moved_before_the_manifest_turns_it_red(machine, s3_objects, training, crash, monkeypatch):
    monkeypatch.setattr(remote_checkpoints.RemoteCheckpoints, "_send_manifest", lambda self, name, folders: None)
    with pytest.raises((AssertionError, ObjectCorrupt, KeyError)):
        deaths(machine, s3_objects, training, crash, "after-remote-head", "an empty one")
