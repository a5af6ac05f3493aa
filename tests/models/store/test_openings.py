from __future__ import annotations

import subprocess
import sys

import pytest

from models.errors import ObjectCorrupt
from models.store.openings import append_opening, read_openings

OPENING = {"model_sha256": "m", "data_sha256": "d", "split": "test", "purpose": "report", "run_key": "r"}


def test_openings_come_back_in_order(tmp_path):
    assert read_openings(tmp_path) == []
    for attempt in (1, 2):
        append_opening(tmp_path / "runs", **OPENING, attempt=attempt)
    openings = read_openings(tmp_path / "runs")
    assert [opening.attempt for opening in openings] == [1, 2]
    assert (openings[0].split, openings[0].purpose, openings[0].model_sha256) == ("test", "report", "m")


def test_a_line_torn_by_a_death_is_dropped_because_nothing_was_opened_after_it(tmp_path):
    append_opening(tmp_path, **OPENING, attempt=1)
    with (tmp_path / "openings.jsonl").open("ab") as file:
        file.write(b'{"model_sha')
    assert [opening.attempt for opening in read_openings(tmp_path)] == [1]
    append_opening(tmp_path, **OPENING, attempt=2)
    assert [opening.attempt for opening in read_openings(tmp_path)] == [1, 2]


def test_a_damaged_line_is_not_passed_over(tmp_path):
    append_opening(tmp_path, **OPENING, attempt=1)
    path = tmp_path / "openings.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"split": "test"', b'"spilt": "test"'))
    append_opening(tmp_path, **OPENING, attempt=2)
    with pytest.raises(ObjectCorrupt, match=r"openings\.jsonl:1"):
        read_openings(tmp_path)


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
