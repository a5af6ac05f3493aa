"""A disk that is full, broken or read-only at any moment of a save: that save is lost, no other."""

from __future__ import annotations

import errno
import os
from functools import partial

import pytest

from models.errors import StoreUnavailable
from models.store import filesystem
from models.store.head import HEAD_KEY

NUM_MOMENTS = 40
LEAVES_DEBRIS = "leaves what it could not finish on a full disk"


class Refusals:
    """Makes one system call fail from its nth use on, as a disk would."""

    def __init__(self, patched: pytest.MonkeyPatch, name: str, number: int) -> None:
        self.countdown: int | None = None
        self.number = number
        real = getattr(os, name)

        def refuse(*args, **kwargs):
            if self.countdown is not None:
                self.countdown -= 1
                if self.countdown < 0:
                    raise OSError(number, os.strerror(number))
            return real(*args, **kwargs)

        patched.setattr(filesystem.os, name, refuse)


def refuse_a_save(scene, call: str, number: int, advice: str) -> None:
    """Step 70 is saved again and again, refused one system call later each time, until it succeeds."""
    num_refused = 0
    with pytest.MonkeyPatch.context() as patched:
        refusals = Refusals(patched, call, number)
        for countdown in range(NUM_MOMENTS):
            refusals.countdown = countdown
            try:
                scene.save(scene.writer, 70, 70)
            except StoreUnavailable as error:
                num_refused += 1
                assert advice in str(error)
                assert error.retryable
            else:
                break
            finally:
                refusals.countdown = None
            found = scene.training.store(scene.root, scene.attempt).newest_good()
            assert found.step in (60, 70)
            scene.training.check(found)
    assert 5 < num_refused < NUM_MOMENTS
    scene.reached_step = 70


def refuse_until_the_end(scene, call: str, number: int) -> None:
    """It refuses from the middle of a save on, and the process gives up."""
    with pytest.MonkeyPatch.context() as patched:
        Refusals(patched, call, number).countdown = 5
        with pytest.raises(StoreUnavailable):
            scene.save(scene.writer, 70, 70)
    scene.reached_step = 70


def full_at_the_head(scene) -> None:
    """There is room for all but the head; what was written for it may be what fills the disk."""
    before = sorted(path.relative_to(scene.root) for path in scene.root.rglob("*"))
    real = filesystem.LocalFilesystem.write

    def no_room(self, path, content) -> None:
        if path.name == HEAD_KEY:
            raise StoreUnavailable("the disk is full")
        real(self, path, content)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(filesystem.LocalFilesystem, "write", no_room)
        with pytest.raises(StoreUnavailable):
            scene.save(scene.writer, 70, 70)
    assert sorted(path.relative_to(scene.root) for path in scene.root.rglob("*")) == before
    scene.save(scene.writer, 70, 70)
    scene.reached_step = 70


BY_RESTART = "a person mends the disk, then the job is started again"

FAULTS = [
    # name, strike, intervals lost, mutation it guards against, what is told, who must do what
    (
        "the disk is full at any moment of a save, then not",
        partial(refuse_a_save, call="write", number=errno.ENOSPC, advice="free some space"),
        0,
    ),
    (
        "the disk reports an error at any moment of a save, then not",
        partial(refuse_a_save, call="fsync", number=errno.EIO, advice="dmesg"),
        0,
        "believes that a sync always succeeds",
    ),
    (
        "the disk is read-only at any moment of a save, then not",
        partial(refuse_a_save, call="open", number=errno.EROFS, advice="read-only"),
        0,
    ),
    ("there is no room for the head", full_at_the_head, 0, LEAVES_DEBRIS),
    (
        "the disk is full and stays so",
        partial(refuse_until_the_end, call="write", number=errno.ENOSPC),
        1,
        "",
        (),
        BY_RESTART,
    ),
    (
        "the disk turns read-only and stays so",
        partial(refuse_until_the_end, call="open", number=errno.EROFS),
        1,
        "",
        (),
        BY_RESTART,
    ),
]


def test_fault(plain_scene, fault):
    fault.strike(plain_scene)
    plain_scene.recover(fault)


def test_a_disk_that_is_full_under_a_mirror_costs_the_save_and_sends_nothing_of_it(s3_scene):
    refuse_until_the_end(s3_scene, "write", errno.ENOSPC)
    assert s3_scene.writer.settle(60.0)
    assert not [key for key in s3_scene.objects.list("checkpoints/") if "step-000000070" in key]
    s3_scene.send(s3_scene.writer, 70, 70)
    s3_scene.check_whole()
