"""That the four trainings are treated alike, and that what is printed is what was done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import cast

import pytest

from benchmarks import remote_turns
from benchmarks.remote_checkpoints import report_turns
from benchmarks.remote_turns import (
    DISK,
    IN_STEP,
    MIRRORED,
    MOST_AHEAD_STEPS,
    NO_SAVING,
    Side,
    Stall,
    Turns,
    num_steps_within,
    take_turns,
)
from benchmarks.resume_cases import tiny_run
from benchmarks.tiny_data import write_tiny_data
from models.store.remote_checkpoints import remote_head
from models.store.s3 import S3Objects, S3Uri


@dataclass(eq=False)
class Stepping:
    """A side that only counts; its upload takes ``upload_steps`` steps, once it has done ``sends_at``."""

    order: list[str]
    name: str
    sends_at: int = 10**9
    upload_steps: int = 0
    step: int = 0

    @property
    def seconds(self) -> float:
        return float(self.step)

    @property
    def is_sending(self) -> bool:
        return self.sends_at <= self.step < self.sends_at + self.upload_steps

    def take_turn(self, interval_seconds: float) -> None:
        self.step += 1
        self.order.append(self.name)


def stepped(*sides: Stepping, seconds: float) -> int:
    return num_steps_within(cast(list[Side], list(sides)), seconds, interval_seconds=60)


def test_whose_upload_is_on_its_way_keeps_the_turn_and_all_do_the_same_steps():
    order: list[str] = []
    none, ours, last = sides = Stepping(order, "none"), Stepping(order, "ours", 3, 5), Stepping(order, "last")

    assert stepped(*sides, seconds=20) == none.step == ours.step == last.step == 20

    start = order.index("ours", order.index("ours", order.index("ours") + 1) + 1)
    assert order[start : start + 6] == ["ours"] * 6  # the step that saves, and those that the upload takes
    firsts = {order[place] for place in range(0, len(order), 3)}
    assert firsts == {"none", "ours", "last"}


def test_who_is_always_sending_does_not_train_for_ever():
    order: list[str] = []
    none, ours = Stepping(order, "none"), Stepping(order, "ours", 1, 10**9)

    assert stepped(none, ours, seconds=5) == none.step == ours.step <= 5 + MOST_AHEAD_STEPS


def test_a_real_training_is_saved_in_all_four_ways(aws, tmp_path, monkeypatch):
    monkeypatch.setattr(remote_turns, "MOST_AHEAD_STEPS", 3)
    write_tiny_data(tmp_path / "data", num_functions=60)

    turns = take_turns(
        aws, tiny_run("gnn", tmp_path / "data", num_ranks=1), tmp_path, seconds=0.2, interval_seconds=0.05
    )

    assert turns.same_steps
    assert turns.stalls.keys() == {DISK, MIRRORED, IN_STEP}
    assert all(stall.num_saves > 0 and stall.stalled_seconds > 0 for stall in turns.stalls.values())
    assert not list((tmp_path / NO_SAVING).rglob("step-*"))
    assert turns.requests["PUT"] >= 8  # six parts at least, manifest, head
    assert turns.requests["DELETE"] > 0
    assert turns.checkpoint_bytes > 0
    for name in (MIRRORED, IN_STEP):
        uri = S3Uri(aws.bucket, "turns") / name.replace(" ", "-")
        head = remote_head(S3Objects(uri, aws.client("s3")))
        assert head is not None
        newest = max((tmp_path / name / "checkpoints").glob("step-*"))
        assert head.newest == newest.name


@pytest.mark.parametrize(
    ("stalled", "extra", "same_steps", "held"),
    [(1.2, 1.2, True, True), (1.3, 0.0, True, False), (0.1, 1.3, True, False), (0.1, 0.1, False, False)],
)
def test_more_than_two_percent_of_an_interval_is_told(stalled, extra, same_steps, held, capsys):
    names = (DISK, MIRRORED, IN_STEP)
    stalls = {name: Stall(name, 100.0, 1, stalled if name == MIRRORED else 9.0, extra, 0.5) for name in names}

    assert report_turns(Turns(stalls, 10, same_steps, Counter(PUT=8), 1000)) is held

    assert ("MISSED" in capsys.readouterr().out) is not held
