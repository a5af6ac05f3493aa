"""What any store of objects must do, on a disk and in S3; then what only one of them does."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from models.errors import HeadConflict, ObjectMissing, StoreUnavailable
from models.store import objects
from models.store.objects import LocalObjects, ObjectStore


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest, tmp_path) -> ObjectStore:
    return LocalObjects(tmp_path) if request.param == "disk" else request.getfixturevalue("s3_objects")


def test_an_object_comes_back_with_the_version_it_was_written_at(store):
    version = store.put("a/b.json", b"one")
    assert store.get("a/b.json") == objects.StoredObject(b"one", version)
    assert store.version("a/b.json") == version != store.put("a/b.json", b"two")


def test_keys_are_listed_by_prefix_without_the_stores_own_files(store):
    for key in ("b/2.json", "a.json", "b/1.json"):
        store.put(key, b"{}")
    assert store.list() == ["a.json", "b/1.json", "b/2.json"]
    assert store.list("b/") == ["b/1.json", "b/2.json"]
    store.delete("b/1.json")
    store.delete("b/1.json")
    assert store.list("b/") == ["b/2.json"]


def test_a_missing_object_has_no_version_and_cannot_be_read(store):
    assert store.version("head.json") is None
    with pytest.raises(ObjectMissing):
        store.get("head.json")


def test_compare_and_set_moves_only_what_is_as_expected(store):
    first = store.compare_and_set("head.json", b"1", None)
    with pytest.raises(HeadConflict, match="expected version None"):
        store.compare_and_set("head.json", b"2", None)
    second = store.compare_and_set("head.json", b"2", first)
    with pytest.raises(HeadConflict):
        store.compare_and_set("head.json", b"3", first)
    assert store.get("head.json").content == b"2"
    store.delete("head.json")
    with pytest.raises(HeadConflict):
        store.compare_and_set("head.json", b"3", second)


def increment(store: ObjectStore, num_times: int) -> None:
    for _ in range(num_times):
        while True:
            found = store.get("count")
            try:
                store.compare_and_set("count", b"%d" % (int(found.content) + 1), found.version)
                break
            except HeadConflict:
                pass


def test_no_increment_of_three_threads_is_lost(store):
    store.put("count", b"0")
    threads = [threading.Thread(target=increment, args=[store, 10]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("count").content == b"30"


INCREMENTS = """
import sys
from pathlib import Path
from models.errors import HeadConflict
from models.store.objects import LocalObjects

store = LocalObjects(Path(sys.argv[1]))
for _ in range(50):
    while True:
        found = store.get("count")
        try:
            store.compare_and_set("count", b"%d" % (int(found.content) + 1), found.version)
            break
        except HeadConflict:
            pass
"""


def test_no_increment_of_three_processes_is_lost(tmp_path):
    LocalObjects(tmp_path).put("count", b"0")
    processes = [subprocess.Popen([sys.executable, "-c", INCREMENTS, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert LocalObjects(tmp_path).get("count").content == b"150"


def test_a_lock_that_is_not_given_back_is_told_instead_of_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "_LOCK_PATIENCE_SECONDS", 0.02)
    store = LocalObjects(tmp_path)
    with store._exclusively(), pytest.raises(StoreUnavailable, match="locked for"):
        store.put("head.json", b"1")
    store.put("head.json", b"1")
