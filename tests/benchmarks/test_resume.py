from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from benchmarks.killing import THREADLESS, Attempt, Kill, arm, refuse_threads
from benchmarks.resume import ALLOWED_REPEATED_STEPS, Certificate, compare, draw_kill, shares
from benchmarks.resume_cases import TINY_MODELS, cases, tiny_run
from benchmarks.tiny_data import write_tiny_data
from models.jobs.placement import Placement
from models.jobs.registry import OBJECTIVE_MODULES
from models.store.crash_points import (
    AFTER_HEAD,
    CRASH_POINTS,
    EVALUATION,
    MID_STEP,
    REMOTE_CRASH_POINTS,
    observe,
    reached,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "cases",
    [["transformer"], *(pytest.param([case], marks=pytest.mark.long) for case in cases() if case != "transformer")],
    ids=lambda cases: cases[0],
)
def test_the_certificate_holds_for_ten_kills_of_training_and_saving(tmp_path: Path, cases: list[str]):
    json_path = tmp_path / "certificate.json"
    command = [sys.executable, "-m", "benchmarks.resume", "--kills", "10", "--ranks", "1", "2", "--json", json_path]
    command += ["--cases", *cases]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    certificates: list[dict[str, Any]] = json.loads(json_path.read_text())
    assert [(found["case"], found["num_ranks"]) for found in certificates] == [
        (case, n) for case in cases for n in (1, 2)
    ]
    assert all(found["holds"] and found["differing_bytes"] == 0 for found in certificates)
    for case in cases:
        own = [found for found in certificates if found["case"] == case]
        assert sum(found["num_kills"] for found in own) == 10
        assert sum(found["num_runs"] for found in own) >= 2
        num_drawn = sum(found["num_drawn"] for found in own)
        assert sum(found["num_kills"] for found in own) >= 0.8 * num_drawn  # the others came after the run's end
        assert {point for found in own for point in found["hits"]} >= {MID_STEP, "temp-write", "before-head"}
        assert sum(found["num_fresh"] for found in own) >= 1


def test_the_certificate_holds_in_s3_for_ten_kills_on_machines_that_vanish(tmp_path: Path):
    found = certificates_in_s3(tmp_path, kills=10, cases=["gnn"], ranks=[1])
    assert sum(one["num_kills"] for one in found) == 10
    assert sum(one["num_lost_disks"] for one in found) >= 3
    assert {point for one in found for point in one["hits"]} & set(REMOTE_CRASH_POINTS)


@pytest.mark.long
@pytest.mark.parametrize(("cases", "kills"), [(["gnn"], 1000), (["transformer", "transformer-t5"], 500)], ids=str)
def test_the_certificate_holds_in_s3_for_thousands_of_kills(tmp_path: Path, cases: list[str], kills: int):
    found = certificates_in_s3(tmp_path, kills=kills, cases=cases, ranks=[1, 2, 3])
    assert sum(one["num_kills"] for one in found) == kills * len(cases)
    assert {point for one in found for point in one["hits"]} == {*CRASH_POINTS, *REMOTE_CRASH_POINTS}
    assert {one["num_terms"] > 0 for one in found} == {True}


def certificates_in_s3(tmp_path: Path, *, kills: int, cases: list[str], ranks: list[int]) -> list[dict[str, Any]]:
    json_path = tmp_path / "certificate.json"
    command = [sys.executable, "-m", "benchmarks.resume", "--store", "s3", "--kills", str(kills), "--seed", "1"]
    command += ["--cases", *cases, "--ranks", *map(str, ranks), "--json", str(json_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    found: list[dict[str, Any]] = json.loads(json_path.read_text())
    assert all(one["holds"] and one["differing_bytes"] == 0 for one in found)
    return found


def test_every_registered_kind_of_model_is_covered(tmp_path: Path):
    write_tiny_data(tmp_path / "data", num_functions=60)
    kinds = {tiny_run(case, tmp_path / "data", num_ranks=3).model.kind for case in cases()}
    assert kinds == OBJECTIVE_MODULES.keys()
    assert {model["kind"] for model in TINY_MODELS.values()} == kinds


MUTATIONS = """
import json, random, sys
from pathlib import Path
from benchmarks import resume
from benchmarks.resume_cases import tiny_run
from models.training import schedule, state

folder = Path(sys.argv[1])
runs = {case: tiny_run(case, folder / "data", num_ranks=1) for case in ("gnn", "transformer")}
resume.warm_up(runs["gnn"])
read_position = state.position_from_bytes

def nothing(*_):
    pass

def with_earlier_place(content):
    position, *rest = read_position(content)
    position.step_in_epoch = max(position.step_in_epoch - 1, 0)
    return position, *rest

def without_loss_sum(content):
    position, *rest = read_position(content)
    position.loss_sum = 0.0
    return position, *rest

mutations = {
    "none": ("gnn",),
    "random streams": ("gnn", state, "load_rng", nothing),
    "optimiser": ("gnn", state, "load_optimizer", nothing),
    "order of samples": ("gnn", state, "position_from_bytes", with_earlier_place),
    "loss of the epoch": ("gnn", state, "position_from_bytes", without_loss_sum),
    "schedule": ("gnn", schedule.Plateau, "load_state_dict", nothing),
    "none of the transformer": ("transformer",),
    "dropout of the transformer": ("transformer", state, "load_rng", nothing),
    "warm-up": ("transformer", schedule.Stepwise, "load_state_dict", nothing),
}
found = {}
for name, (case, *mutation) in mutations.items():
    kept = None
    if mutation:
        kept = getattr(*mutation[:2])
        setattr(*mutation)
    certificate = resume.certify(case, runs[case], 5, random.Random(1), folder / name, allow_fresh=False)
    if mutation:
        setattr(*mutation[:2], kept)
    found[name] = [certificate.holds, sorted(set(certificate.differing_files))]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def mutated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bool, list[str]]]:
    """What the certificate says of a trainer that forgets one thing when it resumes: holds, files that differ."""
    folder = tmp_path_factory.mktemp("mutations")
    write_tiny_data(folder / "data", num_functions=120)
    done = subprocess.run(
        [sys.executable, "-c", MUTATIONS, str(folder)],
        cwd=ROOT,
        env={**os.environ, **THREADLESS},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, tuple[bool, list[str]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("mutation", "file"),
    [
        ("random streams", "last checkpoint/rng-rank0.safetensors"),
        ("optimiser", "last checkpoint/optimizer.safetensors"),
        ("order of samples", "history.json"),
        ("loss of the epoch", "history.json"),
        ("schedule", "last checkpoint/trainer.json"),
        ("dropout of the transformer", "last checkpoint/model.safetensors"),
        ("warm-up", "last checkpoint/model.safetensors"),
    ],
)
def test_the_certificate_does_not_hold_when_something_is_forgotten(
    mutation: str, file: str, mutated: dict[str, tuple[bool, list[str]]]
):
    # The same kills of the trainers as they are.
    assert mutated["none"] == mutated["none of the transformer"] == [True, []]
    holds, files = mutated[mutation]
    assert not holds
    assert file in files


def test_kills_are_drawn_ahead_at_points_that_their_rank_reaches():
    rng = random.Random(0)
    decks: dict[bool, list[str]] = {}
    drawn = [draw_kill(rng, 7, 40, 3, decks) for _ in range(600)]
    assert all(7 <= kill.step < 40 for kill in drawn)
    assert {kill.point for kill in drawn if kill.rank == 0} == set(CRASH_POINTS)
    assert {kill.point for kill in drawn if kill.rank > 0} == {"temp-write", MID_STEP, EVALUATION}
    assert {(kill.signal_name, kill.rank) for kill in drawn} == {
        (s, r) for s in ("SIGKILL", "SIGTERM") for r in range(3)
    }


def test_every_kill_is_given_to_some_number_of_ranks():
    assert shares(200, [1, 2, 3]) == [120, 40, 40]
    assert shares(10, [1, 2]) == [8, 2]
    assert shares(3, [1, 2]) == [3, 0]
    assert shares(50, [2, 3]) == [40, 10]


def test_a_kill_strikes_once_at_its_point_from_its_step_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    struck: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: struck.append(number))
    note = tmp_path / "note"
    try:
        attempt = Attempt(tiny_run("gnn", tmp_path, num_ranks=1), tmp_path / "run", note, Placement(), 0)
        arm(Kill(2, AFTER_HEAD, "SIGTERM"), attempt, rank=1)  # another rank's
        reached(AFTER_HEAD)
        arm(Kill(2, AFTER_HEAD, "SIGTERM"), attempt, rank=0)
        for point in (AFTER_HEAD, MID_STEP, AFTER_HEAD, MID_STEP, EVALUATION):
            reached(point)
        assert struck == []
        for point in (AFTER_HEAD, MID_STEP, AFTER_HEAD):
            reached(point)
    finally:
        observe(None)
    assert struck == [15]
    assert json.loads(note.read_text()) == {"step": 2, "point": AFTER_HEAD, "signal_name": "SIGTERM", "rank": 0}


def test_bytes_that_differ_or_are_missing_are_counted():
    certificate = Certificate("gnn", 1)
    compare({"a": b"12345", "b": b"1", "same": b"s"}, {"a": b"12x4", "c": b"123", "same": b"s"}, certificate)
    assert certificate.differing_bytes == 2 + 1 + 3
    assert certificate.differing_files == ["a", "b", "c"]
    assert not certificate.holds


def test_kills_that_miss_break_the_certificate():
    assert Certificate("gnn", 1, num_drawn=10, num_kills=8).holds
    assert not Certificate("gnn", 1, num_drawn=10, num_kills=7).holds


def test_a_kill_that_costs_more_than_an_interval_breaks_the_certificate():
    assert Certificate("gnn", 1, max_repeated_steps=ALLOWED_REPEATED_STEPS).holds
    assert not Certificate("gnn", 1, max_repeated_steps=ALLOWED_REPEATED_STEPS + 1).holds


def test_a_process_with_threads_is_not_forked():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="forks of it could hang"):
            refuse_threads()
    finally:
        done.set()
        thread.join()
