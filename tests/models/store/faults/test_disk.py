"""Faults of a disk: deaths that lose what was not synced, and bytes, names and heads that are not what they were."""

from __future__ import annotations

import os
import pickle
import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path

from models.store.filesystem import LocalFilesystem
from models.store.folders import GenerationFolders
from models.store.head import HEAD_KEY, Head
from models.store.manifest import digest_file
from models.store.sealed import seal

WEIGHTS = "weights.safetensors"
RANDOM = "random-1.json"
NEWEST = "step-000000060-a1"
SECOND = "step-000000050-a1"


def die(scene, point: str, occurrence: int = 1) -> None:
    scene.die_at(point, occurrence)
    scene.lose_unsynced()


def kill(scene, point: str, occurrence: int = 1) -> None:
    """A SIGKILL: what the kernel holds is not lost. All that the head names is still there."""
    scene.die_at(point, occurrence)
    scene.filesystem = LocalFilesystem()
    head = Head.from_bytes((scene.root / HEAD_KEY).read_bytes())
    for name in head.generations:
        GenerationFolders(scene.root, scene.filesystem).verify(name)


def lose_power_after_a_save(scene) -> None:
    scene.save(scene.writer, 70, 70)
    scene.reached_step = 70
    scene.lose_unsynced()


def lose_power_after_the_head_moved(scene) -> None:
    die(scene, "after-head")


def die_and_lose_the_head(scene, point: str) -> None:
    kill(scene, point)
    (scene.root / HEAD_KEY).unlink()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def flip_part(scene) -> None:
    flip(scene.newest / WEIGHTS)


def truncate(scene) -> None:
    os.truncate(scene.newest / WEIGHTS, 7)


def flip_manifest(scene) -> None:
    path = scene.newest / "manifest.json"
    path.write_text(path.read_text().replace('"step": 60', '"step": 61'))


def remove(scene, name: str) -> None:
    path = scene.root / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def folder_in_place_of_part(scene) -> None:
    (scene.newest / RANDOM).unlink()
    (scene.newest / RANDOM).mkdir()


def put_older_in_place_of_newest(scene) -> None:
    shutil.rmtree(scene.newest)
    shutil.copytree(scene.root / "step-000000040-a1", scene.newest)


def damage_two(scene) -> None:
    flip_part(scene)
    flip(scene.root / SECOND / RANDOM)


def damage_best(scene) -> None:
    flip(scene.root / "step-000000030-a1" / WEIGHTS)


class Bomb:
    """Leaves a file behind if anyone unpickles it."""

    def __init__(self, fuse: Path) -> None:
        self.fuse = fuse

    def __reduce__(self):
        return (Path.touch, (self.fuse,))


def bomb(scene) -> bytes:
    return pickle.dumps(Bomb(scene.folder / "exploded"))


def plant_pickle(scene) -> None:
    (scene.newest / "optimizer.pt").write_bytes(bomb(scene))


def pickle_in_place_of_part(scene) -> None:
    (scene.newest / WEIGHTS).write_bytes(bomb(scene))


def forge_manifest(scene, part: str) -> None:
    """The whole manifest is made anew, digests and seal included."""
    generations = GenerationFolders(scene.root, LocalFilesystem())
    body = asdict(generations.manifest(NEWEST))
    body["files"][part] = asdict(digest_file(scene.newest / part))
    (scene.newest / "manifest.json").write_bytes(seal(body))


def pickle_in_the_manifest(scene) -> None:
    plant_pickle(scene)
    forge_manifest(scene, "optimizer.pt")


def part_outside_the_folder(scene) -> None:
    (scene.root / "outside.json").write_text("{}")
    forge_manifest(scene, "../outside.json")


def write_head(scene, content: bytes) -> None:
    (scene.root / HEAD_KEY).write_bytes(content)


def flip_head(scene) -> None:
    path = scene.root / HEAD_KEY
    path.write_text(path.read_text().replace(NEWEST, SECOND))


def put_back_head(scene, step: int) -> None:
    write_head(scene, scene.heads[step])


def put_back_head_under_the_writer(scene) -> None:
    put_back_head(scene, 50)
    scene.save(scene.writer, 70, 70)
    scene.reached_step = 70


def leave_staging(scene) -> None:
    shutil.copytree(scene.newest, scene.root / ".staging" / "step-000000070-a1")


def nothing(scene) -> None:
    pass


LOCAL_FSYNC = "drops the fsync of a file"
LOCAL_FOLDER_FSYNC = "drops the fsync of a folder"
LOCAL_DIGEST = "skips the digest of what is read from disk"
HEAD_CHECK = "believes a head or a manifest without its sha256"

FAULTS = [
    # name, strike, intervals lost, mutation it guards against, what is told
    ("nothing", nothing, 0),
    ("death in a temp file", partial(die, point="temp-write"), 1, "drops the fsync of the run's folder"),
    ("death before the rename", partial(die, point="before-rename"), 1, "moves the head on disk before the rename"),
    (
        "death before the rename, and the head is lost",
        partial(die_and_lose_the_head, point="before-rename"),
        1,
        "puts the manifest on disk first",
        (HEAD_KEY,),
    ),
    ("death after the rename, before the head", partial(die, point="after-rename"), 1),
    ("death before the head moves", partial(die, point="before-head"), 1),
    (
        "SIGKILL before the head moves, the kernel goes on",
        partial(kill, point="before-head"),
        1,
        "removes old generations on disk before the head has moved",
    ),
    ("death in the temp file of the head", partial(kill, point="temp-write", occurrence=4), 1, "writes in place"),
    ("death after the head moved", lose_power_after_the_head_moved, 0, LOCAL_FOLDER_FSYNC),
    ("death among the old generations", partial(die, point="collection"), 0),
    ("power cut after a save", lose_power_after_a_save, 0, LOCAL_FSYNC),
    ("a part is truncated", truncate, 1, "", (NEWEST,)),
    ("a byte of a part is flipped", flip_part, 1, LOCAL_DIGEST, (NEWEST,)),
    ("a byte of a manifest is flipped", flip_manifest, 1, HEAD_CHECK, (NEWEST,)),
    ("a part is missing", partial(remove, name=f"{NEWEST}/{RANDOM}"), 1, "", (NEWEST,)),
    ("a manifest is missing", partial(remove, name=f"{NEWEST}/manifest.json"), 1, "", (NEWEST,)),
    ("a generation is missing", partial(remove, name=NEWEST), 1, "", (NEWEST,)),
    ("a folder stands in the place of a part", folder_in_place_of_part, 1, "", (NEWEST,)),
    (
        "an older generation stands in the place of the newest",
        put_older_in_place_of_newest,
        1,
        "believes a manifest under another name",
        (NEWEST,),
    ),
    ("two generations are damaged", damage_two, 2, LOCAL_DIGEST, (NEWEST, SECOND)),
    (
        "the best generation, which all others need, is damaged",
        damage_best,
        6,
        "verifies the newest without its best",
        (NEWEST, SECOND, "step-000000040-a1", "step-000000030-a1"),
    ),
    ("a pickle lies in a generation", plant_pickle, 1, "lets files of others lie in a generation", (NEWEST,)),
    ("a pickle stands in the place of a part", pickle_in_place_of_part, 1, "", (NEWEST,)),
    (
        "a pickle is in a manifest forged with its digests",
        pickle_in_the_manifest,
        1,
        "loads files of any kind",
        (NEWEST,),
    ),
    ("a forged manifest names a file outside", part_outside_the_folder, 1, "loads files of any kind", (NEWEST,)),
    ("the head is missing", partial(remove, name=HEAD_KEY), 0, "", (HEAD_KEY,)),
    ("the head is empty", partial(write_head, content=b""), 0, "", (HEAD_KEY,)),
    ("the head is garbage", partial(write_head, content=bytes(range(256))), 0, "", (HEAD_KEY,)),
    ("the head is nested without end", partial(write_head, content=b"[" * 100_000), 0, "", (HEAD_KEY,)),
    ("a byte of the head is flipped", flip_head, 0, HEAD_CHECK, (HEAD_KEY,)),
    ("a stale head is put back", partial(put_back_head, step=50), 1),
    (
        "a stale head whose generations are gone is put back",
        partial(put_back_head, step=20),
        0,
        "",
        ("step-000000020-a1", "step-000000010-a1"),
    ),
    (
        "a stale head is put back under a writer that goes on",
        put_back_head_under_the_writer,
        0,
        "does not read back what it may have written",
    ),
    ("a dead attempt left a staging folder", leave_staging, 0),
]


def test_fault(disk_scene, fault):
    fault.strike(disk_scene)
    disk_scene.recover(fault)


def test_every_reader_comes_to_the_same_generation_as_the_writer(disk_scene):
    damage_two(disk_scene)
    writer = disk_scene.begin()
    other_rank = disk_scene.training.store(disk_scene.root, disk_scene.attempt)
    assert other_rank.newest_good().name == writer.newest_good().name == "step-000000040-a1"
