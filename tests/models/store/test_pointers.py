"""Pointers: whole or not there, equal bytes for equal targets, and errors that say what to do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from models.errors import HeadConflict, ObjectCorrupt, ObjectMissing, SettingsInvalid
from models.store.manifest import write_manifest
from models.store.objects import LocalObjects, StoredObject
from models.store.pointers import (
    PointerTarget,
    champion_pointer,
    final_sweep_pointer,
    local_pointers,
    move_pointer,
    read_pointer,
    resolve_pointer,
)
from models.store.run_identity import find_run, identity_of

NAME = final_sweep_pointer("codet5p_220m")


def finished_run(runs_path, *, kind="rank", run_key="a" * 64, build_key="b" * 64, content="{}"):
    run_path = runs_path / kind / f"stage3_20260101-{run_key[:12]}" / build_key[:8]
    run_path.mkdir(parents=True, exist_ok=True)
    (run_path / "ranking.json").write_text(content)
    write_manifest(run_path, ["ranking.json"], kind=kind, run_key=run_key, build_key=build_key)
    return run_path


class Elsewhere:
    """A store that is no folder: what is said of pointers must hold there too."""

    def __init__(self):
        self.objects = {}
        self.num_writes = 0
        self.before_write = []

    def get(self, key):
        if key not in self.objects:
            raise ObjectMissing(key)
        return StoredObject(self.objects[key], f"etag-{hash(self.objects[key])}")

    def compare_and_set(self, key, content, expected_version):
        if self.before_write:
            self.objects[key] = self.before_write.pop()
        version = self.get(key).version if key in self.objects else None
        if version != expected_version:
            raise HeadConflict(key, str(expected_version), str(version))
        self.objects[key] = content
        self.num_writes += 1
        return self.get(key).version

    def list(self, prefix=""):
        return sorted(key for key in self.objects if key.startswith(prefix))


@pytest.fixture(params=["disk", "elsewhere", "s3"])
def store(request: pytest.FixtureRequest, tmp_path):
    """Where pointers may lie."""
    if request.param == "s3":
        return request.getfixturevalue("s3_objects").child("pointers")
    return local_pointers(tmp_path) if request.param == "disk" else Elsewhere()


def test_a_pointer_says_what_it_was_moved_to(store, tmp_path):
    for content in ("{}", "[1]"):
        target = PointerTarget(identity_of(finished_run(tmp_path, content=content)), {"threshold": 0.47, "seed": 42})
        move_pointer(store, NAME, target)
        assert read_pointer(store, NAME) == target


def test_moving_it_to_what_it_says_writes_nothing(tmp_path):
    store, target = Elsewhere(), PointerTarget(identity_of(finished_run(tmp_path)), {"b": 1, "a": 2})
    move_pointer(store, NAME, target)
    before = dict(store.objects)
    move_pointer(store, NAME, replace(target, facts={"a": 2, "b": 1}))
    assert store.num_writes == 1
    assert store.objects == before


def test_who_is_overtaken_looks_again_and_has_the_last_word(tmp_path):
    store = Elsewhere()
    first = PointerTarget(identity_of(finished_run(tmp_path)))
    move_pointer(store, NAME, first)
    other = dict(store.objects)[f"{NAME}.json"]
    target = PointerTarget(identity_of(finished_run(tmp_path, content="[]")))
    store.objects.clear()
    store.before_write = [other]
    move_pointer(store, NAME, target)
    assert read_pointer(store, NAME) == target


def test_who_is_overtaken_every_time_gives_up(tmp_path):
    store, target = Elsewhere(), PointerTarget(identity_of(finished_run(tmp_path)))
    store.before_write = [b"%d" % number for number in range(40)]
    with pytest.raises(HeadConflict):
        move_pointer(store, NAME, target)


MOVES = """
import sys
from pathlib import Path
from models.store.pointers import PointerTarget, local_pointers, move_pointer
from models.store.run_identity import RunIdentity
store = local_pointers(Path(sys.argv[1]))
for number in range(40):
    run = RunIdentity("rank", sys.argv[2] * 64, "b" * 64, "c" * 64)
    move_pointer(store, "m_final_sweep_latest", PointerTarget(run, {"number": number}))
"""


def test_a_reader_beside_two_movers_always_finds_a_whole_pointer(tmp_path):
    store = local_pointers(tmp_path)
    processes = [subprocess.Popen([sys.executable, "-c", MOVES, str(tmp_path), letter]) for letter in "ad"]
    seen = set()
    while any(process.poll() is None for process in processes):
        if store.list():
            seen.add(read_pointer(store, "m_final_sweep_latest").run.run_key[0])
    assert [process.wait() for process in processes] == [0, 0]
    assert seen | {read_pointer(store, "m_final_sweep_latest").run.run_key[0]} <= {"a", "d"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (final_sweep_pointer("codet5p_770m"), r"run stage 3 on this model \(python -m flows\.stage3"),
        (champion_pointer("codet5p_220m"), "run stage 4, or python -m tasks.champion --freeze-only"),
        ("x_latest", "run the stage that writes it"),
    ],
)
def test_a_missing_pointer_says_what_writes_it_and_which_there_are(name, says, store, tmp_path):
    move_pointer(store, NAME, PointerTarget(identity_of(finished_run(tmp_path))))
    with pytest.raises(SettingsInvalid, match=f"no pointer {name} .*{says}.*there are: {NAME}"):
        read_pointer(store, name)


@pytest.mark.parametrize("name", ["../head_latest", "a/b_latest", ".hidden_latest", "codet5p_220m", "", "a latest"])
def test_what_is_no_name_of_a_pointer_is_refused(name, tmp_path):
    for use in (
        lambda: read_pointer(Elsewhere(), name),
        lambda: move_pointer(Elsewhere(), name, PointerTarget(identity_of(finished_run(tmp_path)))),
    ):
        with pytest.raises(SettingsInvalid, match="end in _latest"):
            use()


def test_a_damaged_pointer_or_that_of_another_name_is_never_believed(tmp_path):
    store = local_pointers(tmp_path)
    move_pointer(store, NAME, PointerTarget(identity_of(finished_run(tmp_path)), {"threshold": 0.47}))
    path = tmp_path / "pointers" / f"{NAME}.json"
    shutil.copy(path, path.with_name("other_latest.json"))
    with pytest.raises(ObjectCorrupt, match="the pointer other_latest"):
        read_pointer(store, "other_latest")
    path.write_text(path.read_text().replace("0.47", "0.46"))
    with pytest.raises(ObjectCorrupt, match="sha256"):
        read_pointer(store, NAME)


def test_a_damaged_pointer_in_s3_is_never_believed_either(s3_objects, tmp_path):
    move_pointer(s3_objects, NAME, PointerTarget(identity_of(finished_run(tmp_path)), {"threshold": 0.47}))
    content = s3_objects.get(f"{NAME}.json").content
    s3_objects.put("other_latest.json", content)
    with pytest.raises(ObjectCorrupt, match="the pointer other_latest"):
        read_pointer(s3_objects, "other_latest")
    s3_objects.put(f"{NAME}.json", content.replace(b"0.47", b"0.46"))
    with pytest.raises(ObjectCorrupt, match="sha256"):
        read_pointer(s3_objects, NAME)


@pytest.mark.parametrize("fault", ["lost", "timeout", (409, "ConditionalRequestConflict")], ids=str)
def test_a_pointer_in_s3_moves_once_whatever_is_answered(s3_objects, s3_faults, fault, tmp_path):
    for content in ("{}", "[]"):
        target = PointerTarget(identity_of(finished_run(tmp_path, content=content)))
        s3_faults.first(1, fault, method="PUT")
        move_pointer(s3_objects, NAME, target)
        assert read_pointer(s3_objects, NAME) == target


def test_a_pointer_leads_to_its_run_wherever_the_run_root_was_moved_to(tmp_path):
    run_path = finished_run(tmp_path / "runs")
    move_pointer(local_pointers(tmp_path / "runs"), NAME, PointerTarget(identity_of(run_path)))
    assert resolve_pointer(tmp_path / "runs", NAME) == run_path
    (tmp_path / "runs").rename(tmp_path / "moved")
    assert resolve_pointer(tmp_path / "moved", NAME) == tmp_path / "moved" / run_path.relative_to(tmp_path / "runs")


def test_a_run_that_changed_since_or_is_gone_is_refused(tmp_path):
    run_path = finished_run(tmp_path)
    move_pointer(local_pointers(tmp_path), NAME, PointerTarget(identity_of(run_path)))
    finished_run(tmp_path, content="[2]")
    with pytest.raises(ObjectCorrupt, match=r"manifest\.json"):
        resolve_pointer(tmp_path, NAME)
    (run_path / "manifest.json").unlink()
    with pytest.raises(ObjectMissing, match="rank run aaaaaaaaaaaa, build bbbbbbbb"):
        resolve_pointer(tmp_path, NAME)


def test_reading_makes_no_folder(tmp_path):
    with pytest.raises(SettingsInvalid):
        resolve_pointer(tmp_path, NAME)
    with pytest.raises(SettingsInvalid):
        read_pointer(LocalObjects(tmp_path / "pointers"), NAME)
    assert list(tmp_path.iterdir()) == []


def test_two_runs_of_one_key_prefix_are_told_apart(tmp_path):
    identity = identity_of(finished_run(tmp_path, run_key="a" * 12 + "1" * 52))
    with pytest.raises(ObjectMissing):
        find_run(tmp_path, replace(identity, run_key="a" * 12 + "2" * 52))


def test_a_run_is_known_by_its_manifest_not_by_the_name_of_its_folder(tmp_path):
    """Code that changed between planning and beginning leaves a run in the folder of another build."""
    finished_run(tmp_path, build_key="a" * 64, content="[1]")
    run_path = finished_run(tmp_path)
    identity = identity_of(run_path)
    assert find_run(tmp_path, identity) == run_path
    elsewhere = run_path.rename(run_path.with_name("c" * 8))
    assert find_run(tmp_path, identity) == elsewhere
    (elsewhere / "manifest.json").write_text("{")
    with pytest.raises(ObjectCorrupt):
        find_run(tmp_path, identity)
