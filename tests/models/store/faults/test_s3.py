"""Faults of what lies in S3: deaths while it is sent, objects that are not what they were; with and without a disk."""

from __future__ import annotations

import os
import pickle
import shutil
from functools import partial
from pathlib import Path

from models.store.head import HEAD_KEY
from models.store.manifest import digest_bytes
from models.store.remote_checkpoints import remote_attempt, remote_head
from models.store.sealed import seal, unseal

WEIGHTS = "weights.safetensors"
PLENTY_SECONDS = 60.0
NEWEST = "step-000000060-a1"
SECOND = "step-000000050-a1"
BEST = "step-000000030-a1"


def die(scene, point: str, is_disk_lost: bool) -> None:
    scene.die_at(point)
    scene.check_s3()
    if is_disk_lost:
        scene.lose_disk()


def damage(scene, key: str, how: str) -> None:
    """In S3 only; the disk is lost."""
    damage_in_s3(scene, key, how)
    scene.lose_disk()


def damage_in_s3(scene, key: str, how: str) -> None:
    name = f"checkpoints/{key}"
    content = scene.objects.get(name).content
    if how == "missing":
        scene.objects.delete(name)
    elif how == "truncated":
        scene.objects.put(name, content[: len(content) // 2])
    else:
        middle = len(content) // 2
        scene.objects.put(name, content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


def remove_generation(scene) -> None:
    for key in scene.objects.list(f"checkpoints/{NEWEST}/"):
        scene.objects.delete(key)
    scene.lose_disk()


def put_older_in_place_of_newest(scene) -> None:
    for key in scene.objects.list(f"checkpoints/{SECOND}/"):
        scene.objects.put(key.replace(SECOND, NEWEST), scene.objects.get(key).content)
    scene.lose_disk()


class Bomb:
    """Leaves a file behind if anyone unpickles it."""

    def __init__(self, fuse: Path) -> None:
        self.fuse = fuse

    def __reduce__(self):
        return (Path.touch, (self.fuse,))


def put_foreign(scene, name: str) -> None:
    scene.objects.put(f"checkpoints/{NEWEST}/{name}", pickle.dumps(Bomb(scene.folder / "exploded")))
    scene.lose_disk()


def forge_manifest(scene, name: str) -> None:
    """The manifest in S3 is made anew, digests and seal included, with a pickle among its files."""
    put_foreign(scene, name)
    key = f"checkpoints/{NEWEST}/manifest.json"
    body = unseal(key, scene.objects.get(key).content)
    digest = digest_bytes(scene.objects.get(f"checkpoints/{NEWEST}/{name}").content)
    body["files"][name] = {"size_bytes": digest.size_bytes, "sha256": digest.sha256}
    scene.objects.put(key, seal(body))


def put_back_head(scene, step: int) -> None:
    scene.objects.put(f"checkpoints/{HEAD_KEY}", scene.heads[step])
    scene.lose_disk()


def put_back_head_under_the_writer(scene) -> None:
    """The head as this writer has left it, after it has moved it once more."""
    before = scene.objects.get(f"checkpoints/{HEAD_KEY}").content
    scene.send(scene.writer, 70, 70)
    scene.objects.put(f"checkpoints/{HEAD_KEY}", before)
    scene.send(scene.writer, 80, 70)
    scene.reached_step = 80
    scene.lose_disk()


def truncate_on_disk(scene, name: str = NEWEST) -> None:
    os.truncate(scene.root / name / WEIGHTS, 7)


def damage_both(scene) -> None:
    truncate_on_disk(scene)
    damage_in_s3(scene, f"{NEWEST}/{WEIGHTS}", "flipped")


def damage_crosswise(scene) -> None:
    truncate_on_disk(scene)
    damage_in_s3(scene, f"{SECOND}/{WEIGHTS}", "flipped")


def lose_both_heads(scene) -> None:
    (scene.root / HEAD_KEY).unlink()
    damage_in_s3(scene, HEAD_KEY, "missing")


def lose_generations_on_disk(scene) -> None:
    for path in scene.root.glob("step-*"):
        shutil.rmtree(path)


def damage_all(scene) -> None:
    for key in scene.objects.list("checkpoints/step-"):
        if key.endswith(WEIGHTS):
            damage_in_s3(scene, key.removeprefix("checkpoints/"), "flipped")
    scene.lose_disk()


def damage_before_sent(scene) -> None:
    """Step 70 rots on the disk while S3 is away, step 80 does not."""
    scene.s3_faults.always((503, "SlowDown"))
    scene.save(scene.writer, 70, 30)
    truncate_on_disk(scene, "step-000000070-a2")
    assert not scene.writer.settle(0.5)
    scene.s3_faults.mend()
    assert not scene.writer.settle(10.0)
    assert "is damaged" in scene.writer.problem
    scene.check_s3()
    assert remote_head(scene.objects).newest == NEWEST
    scene.send(scene.writer, 80, 30)
    scene.reached_step = 80
    scene.lose_disk()


ALL = (NEWEST, SECOND, "step-000000040-a1", BEST)
DIGEST = "skips the digest of what is read from S3"

FAULTS = [
    # name, strike, intervals lost, mutation it guards against, what is told
    ("the machine is lost, nothing else", lambda scene: scene.lose_disk(), 0),
    ("machine lost before anything was sent", partial(die, point="after-head", is_disk_lost=True), 1),
    (
        "machine lost in the middle of an upload",
        partial(die, point="mid-upload", is_disk_lost=True),
        1,
        "puts the manifest in S3 first",
    ),
    (
        "machine lost before the manifest in S3",
        partial(die, point="before-remote-manifest", is_disk_lost=True),
        1,
        "moves the head in S3 before the manifest",
    ),
    (
        "machine lost before the head in S3",
        partial(die, point="before-remote-head", is_disk_lost=True),
        1,
        "removes old generations in S3 before the head has moved",
    ),
    ("machine lost after the head in S3", partial(die, point="after-remote-head", is_disk_lost=True), 0),
    ("death in the middle of an upload", partial(die, point="mid-upload", is_disk_lost=False), 0),
    ("death before the manifest in S3", partial(die, point="before-remote-manifest", is_disk_lost=False), 0),
    ("death before the head in S3", partial(die, point="before-remote-head", is_disk_lost=False), 0),
    ("death after the head in S3", partial(die, point="after-remote-head", is_disk_lost=False), 0),
    ("a part in S3 is truncated", partial(damage, key=f"{NEWEST}/{WEIGHTS}", how="truncated"), 1, "", (NEWEST,)),
    (
        "a byte of a part in S3 is flipped",
        partial(damage, key=f"{NEWEST}/{WEIGHTS}", how="flipped"),
        1,
        DIGEST,
        (NEWEST,),
    ),
    ("a part in S3 is missing", partial(damage, key=f"{NEWEST}/{WEIGHTS}", how="missing"), 1, "", (NEWEST,)),
    (
        "a manifest in S3 is truncated",
        partial(damage, key=f"{NEWEST}/manifest.json", how="truncated"),
        1,
        "",
        (NEWEST,),
    ),
    (
        "a byte of a manifest in S3 is flipped",
        partial(damage, key=f"{NEWEST}/manifest.json", how="flipped"),
        1,
        "",
        (NEWEST,),
    ),
    ("a manifest in S3 is missing", partial(damage, key=f"{NEWEST}/manifest.json", how="missing"), 1, "", (NEWEST,)),
    ("a generation in S3 is missing", remove_generation, 1, "", (NEWEST,)),
    (
        "an older generation in S3 stands in the place of the newest",
        put_older_in_place_of_newest,
        1,
        "believes a manifest in S3 under another name",
        (NEWEST,),
    ),
    (
        "the best generation in S3, which all others need, is damaged",
        partial(damage, key=f"{BEST}/{WEIGHTS}", how="flipped"),
        6,
        "",
        ALL,
    ),
    ("all generations in S3 are damaged", damage_all, 6, "", ALL),
    ("the head in S3 is missing", partial(damage, key=HEAD_KEY, how="missing"), 0, "", (HEAD_KEY,)),
    ("the head in S3 is truncated", partial(damage, key=HEAD_KEY, how="truncated"), 0, "", (HEAD_KEY,)),
    ("a byte of the head in S3 is flipped", partial(damage, key=HEAD_KEY, how="flipped"), 0, "", (HEAD_KEY,)),
    ("a stale head is put back in S3", partial(put_back_head, step=50), 1),
    (
        "a stale head whose generations are gone is put back in S3",
        partial(put_back_head, step=20),
        0,
        "",
        ("step-000000020-a1", "step-000000010-a1"),
    ),
    ("a stale head is put back in S3 under a writer that goes on", put_back_head_under_the_writer, 0),
    ("a pickle lies in a generation in S3", partial(put_foreign, name="optimizer.pkl"), 0),
    ("a pickle stands in the place of a part in S3", partial(put_foreign, name=WEIGHTS), 1, "", (NEWEST,)),
    (
        "a pickle is in a manifest in S3 forged with its digests",
        partial(forge_manifest, name="optimizer.pkl"),
        1,
        "loads files of any kind",
        (NEWEST,),
    ),
    (
        "a forged manifest in S3 names a file outside",
        partial(forge_manifest, name="../outside.json"),
        1,
        "loads files of any kind",
        (NEWEST,),
    ),
    ("the newest is damaged on disk, not in S3", truncate_on_disk, 0),
    ("the newest is damaged on disk and in S3", damage_both, 1, "", (NEWEST,)),
    ("the newest is damaged on disk, the one before it in S3", damage_crosswise, 0),
    ("both heads are missing", lose_both_heads, 0, "", (HEAD_KEY, HEAD_KEY)),
    ("the generations on disk are gone, its head is not", lose_generations_on_disk, 0),
    (
        "a generation rots on disk before it is sent",
        damage_before_sent,
        0,
        "sends what is on disk without looking at it",
    ),
]


def test_fault(s3_scene, fault):
    fault.strike(s3_scene)
    s3_scene.recover(fault)


def test_the_copy_in_s3_has_the_keys_and_bytes_that_the_mirror_itself_leaves(s3_scene):
    copied = {key: s3_scene.objects.get(key).content for key in s3_scene.objects.list("checkpoints/step-")}
    s3_scene.objects = s3_scene.objects.child("another")
    s3_scene.folder = s3_scene.folder / "another"
    store = s3_scene.open(attempt=1)
    for step in (10, 20, 30, 40, 50, 60):
        s3_scene.send(store, step, min(step, 30))
    sent = {key: s3_scene.objects.get(key).content for key in s3_scene.objects.list("checkpoints/step-")}
    assert sent == copied


def test_a_stale_head_of_an_earlier_attempt_never_makes_two_attempts_share_a_name(s3_scene):
    """Attempt 3 sent step 70; the head that comes back knows of attempt 2. The next one trains step 70 otherwise."""
    stale = s3_scene.objects.get(f"checkpoints/{HEAD_KEY}").content
    s3_scene.send(s3_scene.begin(), 70, 70)
    s3_scene.objects.put(f"checkpoints/{HEAD_KEY}", stale)
    s3_scene.lose_disk()
    store = s3_scene.open(attempt=remote_attempt(s3_scene.objects) + 1)
    assert store.newest_good().step == 60
    store.write_part(70, WEIGHTS, b"otherwise")
    name = store.publish(70, best_step=70, metadata={}).name
    assert store.settle(PLENTY_SECONDS)
    assert s3_scene.objects.get(f"checkpoints/{name}/{WEIGHTS}").content == b"otherwise"
