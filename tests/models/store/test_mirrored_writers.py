"""Two attempts of one run on two machines, interleaved in any order: one of them counts, nothing is ever mixed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import HeadConflict
from models.store import remote_checkpoints
from models.store.head import HeadPointer
from models.store.mirrored import MirroredCheckpointStore
from models.store.remote_checkpoints import remote_attempt, remote_head
from models.store.s3 import S3Objects

IDENTITY = {"run_key": "r", "build_key": "b"}
PLENTY_SECONDS = 30.0


class Writers:
    """Two machines; each is started, saves, and hears that it was succeeded when it does."""

    def __init__(self, objects: S3Objects, folder: Path) -> None:
        self.objects = objects
        self.folder = folder
        self.stores: dict[str, MirroredCheckpointStore] = {}
        self.steps: dict[str, int] = {}

    def start(self, machine: str) -> None:
        """A new process on this machine; the one before it is gone, its uploads at their end."""
        root = self.folder / machine / "checkpoints"
        root.mkdir(parents=True, exist_ok=True)
        attempt = remote_attempt(self.objects) + 1
        store = MirroredCheckpointStore(root, self.objects, attempt=attempt, keep=1, identity=IDENTITY)
        store.take_over()
        loaded = store.newest_good()
        if loaded is not None:
            self.check(loaded)
        self.steps[machine] = loaded.step if loaded is not None else 0
        self.stores[machine] = store

    def save(self, machine: str) -> None:
        """One step more, sent; a writer that was succeeded ends instead."""
        store = self.stores.get(machine)
        if store is None:
            return
        step = self.steps[machine] + 1
        try:
            for part in ("a.json", "b.json"):
                store.write_part(step, part, f"{store._attempt}/{step}/{part}".encode())
            store.publish(step, best_step=step, metadata={"writer": store._attempt})
            assert store.settle(PLENTY_SECONDS)
            self.steps[machine] = step
        except HeadConflict:
            assert store._attempt < remote_attempt(self.objects)
            del self.stores[machine]

    def check(self, loaded) -> None:
        for part in ("a.json", "b.json"):
            assert loaded.read(part) == f"{loaded.metadata['writer']}/{loaded.step}/{part}".encode()

    def check_head(self, least_step: int) -> int:
        """What S3 names is whole, by one writer each, and never behind what was sent before; its step."""
        head = remote_head(self.objects)
        if head is None or head.newest is None:
            assert least_step == 0
            return 0
        reader = MirroredCheckpointStore(
            Path(tempfile.mkdtemp(dir=self.folder)), self.objects, attempt=99, keep=1, identity=IDENTITY
        )
        manifest = reader._remote.generations.bring(head.newest, reader._folders)
        for part in manifest.files:
            expected = f"{manifest.metadata['writer']}/{manifest.step}/{part}".encode()
            assert reader._folders.read(head.newest, part) == expected
        assert manifest.step >= least_step
        return manifest.step


def run(objects: S3Objects, orders: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        writers = Writers(objects, Path(folder))
        step = 0
        for machine, action in orders:
            writers.start(machine) if action == "start" else writers.save(machine)
            step = writers.check_head(step)


ORDERS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["start", "save", "save"])), max_size=10)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orders=ORDERS)
def test_two_writers_in_any_order_never_mix_and_never_go_back(s3_objects, orders):
    for key in s3_objects.list():
        s3_objects.delete(key)
    run(s3_objects, orders)


FENCED = [("a", "start"), ("a", "save"), ("b", "start"), ("b", "save"), ("b", "save"), ("a", "save")]


def test_a_writer_that_was_succeeded_is_refused(s3_objects):
    run(s3_objects, FENCED)


def test_mutation_a_head_moved_without_comparing_turns_it_red(s3_objects, monkeypatch):
    monkeypatch.setattr(S3Objects, "compare_and_set", lambda self, key, content, expected: self.put(key, content))
    monkeypatch.setattr(HeadPointer, "require_mine", lambda self, attempt: None)
    with pytest.raises(AssertionError):
        run(s3_objects, FENCED)


@pytest.mark.parametrize("when", ["before-remote-manifest", "before-remote-head"])
def test_a_take_over_in_the_middle_of_an_upload_is_heard_before_the_head_moves(s3_objects, tmp_path, when, monkeypatch):
    writers = Writers(s3_objects, tmp_path)
    writers.start("a")
    writers.save("a")
    reached = remote_checkpoints.reached

    def taken_over(point: str) -> None:
        if point == when and "b" not in writers.stores:
            writers.start("b")
        reached(point)

    monkeypatch.setattr(remote_checkpoints, "reached", taken_over)
    writers.save("a")
    assert list(writers.stores) == ["b"]
    assert writers.check_head(1) == 1
    writers.save("b")
    assert writers.check_head(2) == 2
