"""Rows of a file as a sequence."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.data.balanced.row_files import RowFile
from models.errors import DataInvalid


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"id": "é{number}"}}\n' for number in range(5)), encoding="utf-8")
    return path


def test_it_is_read_like_a_list(path: Path) -> None:
    rows = RowFile(path)
    listed = [{"id": f"é{number}"} for number in range(5)]
    assert len(rows) == 5
    assert list(rows) == listed
    assert rows[1] == rows[-4] == listed[1]
    assert rows[3:0:-2] == listed[3:0:-2]
    with pytest.raises(IndexError):
        rows[5]


def test_equal_bytes_are_equal_and_others_are_not(path: Path, tmp_path: Path) -> None:
    copy, other = tmp_path / "copy.jsonl", tmp_path / "other.jsonl"
    copy.write_bytes(path.read_bytes())
    other.write_bytes(path.read_bytes().replace(b"3", b"4"))
    assert RowFile(path) == RowFile(copy)
    assert hash(RowFile(path)) == hash(RowFile(copy))
    assert RowFile(path) != RowFile(other)
    assert RowFile(path) != "rows"


def test_a_file_that_was_written_again_is_not_read(path: Path, tmp_path: Path) -> None:
    rows, again = RowFile(path), tmp_path / "again"
    again.write_bytes(path.read_bytes().replace(b"3", b"4"))
    again.replace(path)
    assert rows != RowFile(path)
    with pytest.raises(DataInvalid, match="written again"):
        rows[0]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="no such file"):
        RowFile(tmp_path / "none.jsonl")
