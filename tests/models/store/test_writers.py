"""Two writers alive: the older one is refused, and what they wrote is never mixed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import HeadConflict
from models.store import checkpoints, crash_points
from models.store.checkpoints import CheckpointStore
from models.store.head import HEAD_KEY, Head, HeadPointer

IDENTITY: dict[str, str] = {}


def save(store: CheckpointStore, step: int, writer: str) -> None:
    for part in ("a.json", "b.json"):
        store.write_part(step, part, f"{writer}/{step}/{part}".encode())
    store.publish(step, best_step=step, metadata={"writer": writer})


def check_not_mixed(root) -> CheckpointStore:
    """All that the head lists was written by one writer each, and is whole."""
    reader = CheckpointStore(root, attempt=99, keep=1, identity=IDENTITY)
    loaded = reader.newest_good()
    assert loaded is not None
    assert reader.skipped == []
    for part in ("a.json", "b.json"):
        assert loaded.read(part) == f"{loaded.metadata['writer']}/{loaded.step}/{part}".encode()
    head = Head.from_bytes((root / HEAD_KEY).read_bytes())
    for name in head.generations:
        reader._folders.verify(name)
    return reader


def opened(root, attempt: int, keep: int = 2) -> CheckpointStore:
    return CheckpointStore(root, attempt=attempt, keep=keep, identity=IDENTITY)


def test_an_older_writer_is_refused_at_its_next_publish_and_changes_nothing(tmp_path):
    old, new = opened(tmp_path, 1), opened(tmp_path, 2)
    old.take_over()
    save(old, 1, "old")
    new.take_over()
    new.newest_good()
    head = (tmp_path / HEAD_KEY).read_bytes()
    with pytest.raises(HeadConflict):
        save(old, 2, "old")
    assert (tmp_path / HEAD_KEY).read_bytes() == head
    save(new, 2, "new")
    with pytest.raises(HeadConflict):
        save(old, 3, "old")
    assert check_not_mixed(tmp_path).newest_good().metadata == {"writer": "new"}
    with pytest.raises(HeadConflict):
        old.take_over()


def test_of_two_processes_of_one_attempt_only_the_first_takes_over(tmp_path, monkeypatch):
    first, second = opened(tmp_path, 1), opened(tmp_path, 1)
    first.take_over()
    with pytest.raises(HeadConflict):
        second.take_over()
    # Also when both looked before either wrote.
    racing = opened(tmp_path, 2)
    other = opened(tmp_path, 2)
    find = HeadPointer.find

    def other_comes_first(self):
        found = find(self)
        if self is racing._pointer:
            other.take_over()
        return found

    monkeypatch.setattr(HeadPointer, "find", other_comes_first)
    with pytest.raises(HeadConflict):
        racing.take_over()
    save(other, 1, "other")
    check_not_mixed(tmp_path)


def test_taking_over_from_a_writer_that_publishes_just_then_builds_on_what_it_published(tmp_path, monkeypatch):
    old, new = opened(tmp_path, 1), opened(tmp_path, 2)
    old.take_over()
    find = HeadPointer.find

    def published_just_then(self):
        found = find(self)
        if not (tmp_path / "step-000000001-a1").exists():
            save(old, 1, "old")
        return found

    monkeypatch.setattr(HeadPointer, "find", published_just_then)
    assert new.take_over().newest == "step-000000001-a1"
    assert new.newest_good().step == 1
    with pytest.raises(HeadConflict):
        save(old, 2, "old")


POINTS = ("temp-write", "before-rename", "after-rename", "before-head", "after-head", "collection")


@pytest.mark.parametrize("point", POINTS)
def test_a_take_over_in_the_middle_of_a_publish_loses_nothing_of_the_new_writer(tmp_path, point):
    _take_over_in_the_middle(tmp_path, point)


def test_mutation_publishing_without_compare_and_set_turns_it_red(tmp_path, monkeypatch):
    monkeypatch.setattr(
        checkpoints.LocalObjects,
        "compare_and_set",
        lambda self, key, content, expected_version: self.put(key, content),
    )
    with pytest.raises(AssertionError):
        _take_over_in_the_middle(tmp_path, "before-head")


def test_mutation_collecting_what_a_successor_wrote_turns_it_red(tmp_path, monkeypatch):
    monkeypatch.setattr(CheckpointStore, "_is_ours", lambda self, name: True)
    with pytest.raises(AssertionError):
        _take_over_in_the_middle(tmp_path, "after-head")


def _take_over_in_the_middle(root, point: str) -> None:
    old, new = opened(root, 1, keep=1), opened(root, 2, keep=1)
    old.take_over()
    for step in (1, 2):
        save(old, step, "old")
    # Something to collect twice over, so that the middle of the collection is reached.
    (root / "step-000000000-a1").mkdir()

    def successor(seen: str) -> None:
        if seen == point:
            crash_points.observe(None)
            new.take_over()
            new.newest_good()
            for step in (3, 4):
                save(new, step, "new")

    crash_points.observe(successor)
    try:
        save(old, 3, "old")
    except HeadConflict:
        assert point not in ("after-head", "collection")
    else:
        assert point in ("after-head", "collection")
    assert check_not_mixed(root).newest_good().metadata == {"writer": "new"}
    save(new, 5, "new")
    assert check_not_mixed(root).newest_good().step == 5
    assert len(list(root.glob("step-*"))) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["take over", "save"])), min_size=2, max_size=14))
def test_of_any_turns_of_three_writers_only_the_last_to_take_over_publishes(tmp_path_factory, turns):
    root = tmp_path_factory.mktemp("turns") / "checkpoints"
    stores = [opened(root, attempt) for attempt in (1, 2, 3)]
    owner, num_saved = None, 0
    for step, (index, turn) in enumerate(turns, start=1):
        store = stores[index]
        if turn == "take over":
            if owner is None or index >= owner:
                store.take_over()
                store.newest_good()
                owner = index
            else:
                with pytest.raises(HeadConflict):
                    store.take_over()
        elif index == owner:
            save(store, step, str(index))
            num_saved += 1
            assert check_not_mixed(root).newest_good().step == step
        else:
            with pytest.raises((HeadConflict, ValueError)):
                save(store, step, str(index))
    if num_saved:
        check_not_mixed(root)


ENDLESS = """
import sys
from pathlib import Path
from models.errors import HeadConflict
from models.store.checkpoints import CheckpointStore

store = CheckpointStore(Path(sys.argv[1]), attempt=int(sys.argv[2]), keep=2, identity={})
store.take_over()
loaded = store.newest_good()
step = loaded.step if loaded is not None else 0
print("began", flush=True)
try:
    while True:
        step += 1
        for part in ("a.json", "b.json"):
            store.write_part(step, part, f"{sys.argv[2]}/{step}/{part}".encode())
        store.publish(step, best_step=step, metadata={"writer": sys.argv[2]})
except HeadConflict as error:
    print(type(error).__name__)
"""


def test_of_real_processes_each_successor_ends_the_one_before(tmp_path):
    root = tmp_path / "checkpoints"
    writers = []
    for attempt in range(1, 5):
        writer = subprocess.Popen(
            [sys.executable, "-c", ENDLESS, str(root), str(attempt)], stdout=subprocess.PIPE, text=True
        )
        writers.append(writer)
        assert writer.stdout.readline() == "began\n"
    try:
        for writer in writers[:-1]:
            assert writer.wait(timeout=60) == 0
            assert writer.stdout.read().strip() == "HeadConflict"
    finally:
        writers[-1].kill()
        writers[-1].wait()
        for writer in writers:
            writer.stdout.close()
    check_not_mixed(root)
