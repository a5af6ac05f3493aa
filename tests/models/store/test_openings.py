from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from models.errors import ObjectCorrupt, StoreUnavailable
from models.store.openings import append_opening, copy_openings, read_openings

OPENING = {"model_sha256": "m", "data_sha256": "d", "split": "test", "purpose": "report", "run_key": "r"}


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path):
    """Where a log may lie; a run root need not exist yet."""
    return tmp_path / "runs" if request.param == "disk" else request.getfixturevalue("s3_objects")


def test_openings_come_back_in_order(place):
    assert read_openings(place) == []
    for attempt in (1, 2):
        append_opening(place, **OPENING, attempt=attempt)
    openings = read_openings(place)
    assert [opening.attempt for opening in openings] == [1, 2]
    assert (openings[0].split, openings[0].purpose, openings[0].model_sha256) == ("test", "report", "m")


def test_a_line_torn_by_a_death_is_dropped_because_nothing_was_opened_after_it(tmp_path):
    append_opening(tmp_path, **OPENING, attempt=1)
    with (tmp_path / "openings.jsonl").open("ab") as file:
        file.write(b'{"model_sha')
    assert [opening.attempt for opening in read_openings(tmp_path)] == [1]
    append_opening(tmp_path, **OPENING, attempt=2)
    assert [opening.attempt for opening in read_openings(tmp_path)] == [1, 2]


def test_a_damaged_line_is_not_passed_over(place):
    append_opening(place, **OPENING, attempt=1)
    if isinstance(place, Path):
        path = place / "openings.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"split": "test"', b'"spilt": "test"'))
    else:
        place.put("openings.jsonl", place.get("openings.jsonl").content.replace(b'"split"', b'"spilt"'))
    append_opening(place, **OPENING, attempt=2)
    with pytest.raises(ObjectCorrupt, match=r"openings\.jsonl:1"):
        read_openings(place)


def test_a_line_from_before_openings_had_an_id_is_read(place, tmp_path):
    append_opening(tmp_path, **OPENING, attempt=1)
    line = (tmp_path / "openings.jsonl").read_bytes()
    old = line.replace(b'"opening_id": "%s", ' % read_openings(tmp_path)[0].opening_id.encode(), b"")
    assert b"opening_id" in line
    assert b"opening_id" not in old
    if isinstance(place, Path):
        place.mkdir()
        (place / "openings.jsonl").write_bytes(old)
    else:
        place.put("openings.jsonl", old)
    append_opening(place, **OPENING, attempt=2)
    assert [opening.attempt for opening in read_openings(place)] == [1, 2]


def test_openings_of_several_threads_are_all_there_once(place):
    def append(purpose: str) -> None:
        for attempt in range(8):
            append_opening(place, **{**OPENING, "purpose": purpose}, attempt=attempt)

    threads = [threading.Thread(target=append, args=[purpose]) for purpose in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    openings = read_openings(place)
    assert len(openings) == 24
    for purpose in "abc":
        assert [opening.attempt for opening in openings if opening.purpose == purpose] == list(range(8))


@pytest.mark.parametrize(
    "fault", ["lost", "timeout", (500, "InternalError"), (409, "ConditionalRequestConflict")], ids=str
)
def test_an_unclear_answer_neither_loses_nor_doubles_an_opening(s3_objects, s3_faults, fault):
    for attempt in (1, 2):
        s3_faults.first(2, fault, method="PUT")
        append_opening(s3_objects, **OPENING, attempt=attempt)
    assert [opening.attempt for opening in read_openings(s3_objects)] == [1, 2]


def test_a_lost_answer_and_another_line_since_does_not_double_it(s3_objects, s3_faults):
    s3_faults.first(1, "lost", method="PUT")
    plan, others = s3_faults.plan, [3]

    def then_another_appends(method, path):
        fault = plan(method, path)
        if method == "GET" and others and s3_faults.seen[-2:-1] and s3_faults.seen[-2][0] == "PUT":
            append_opening(s3_objects, **OPENING, attempt=others.pop())
        return fault

    s3_faults.plan = then_another_appends
    append_opening(s3_objects, **OPENING, attempt=1)
    assert others == []
    assert [opening.attempt for opening in read_openings(s3_objects)] == [1, 3]


def test_the_data_stay_closed_where_the_log_cannot_be_written(s3_objects, s3_faults):
    s3_faults.always((503, "SlowDown"))
    with pytest.raises(StoreUnavailable):
        append_opening(s3_objects, **OPENING, attempt=1)


def test_openings_of_several_processes_do_not_mix(tmp_path):
    code = (
        "import sys; from pathlib import Path; from models.store.openings import append_opening\n"
        "for n in range(50): append_opening(Path(sys.argv[1]), model_sha256='m' * 500, data_sha256='d', split='test',"
        " purpose=sys.argv[2], run_key='r', attempt=n)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in ("a", "b")]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    openings = read_openings(tmp_path)
    for name in ("a", "b"):
        assert [opening.attempt for opening in openings if opening.purpose == name] == list(range(50))


def test_openings_of_a_run_are_copied_home_once(s3_objects, tmp_path):
    for run_key in ("r", "another"):
        append_opening(s3_objects, **{**OPENING, "run_key": run_key}, attempt=1)
    append_opening(tmp_path, **OPENING, attempt=7)
    for _ in range(2):
        copy_openings(s3_objects, tmp_path, run_key="r")
    assert [(o.run_key, o.attempt) for o in read_openings(tmp_path)] == [(OPENING["run_key"], 7), ("r", 1)]
