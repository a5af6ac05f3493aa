"""Split files and rows: what is accepted, and why the rest is not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.raw_functions import (
    RawFunction,
    RawLine,
    Rejection,
    find_split,
    read_function,
    read_lines,
    survey_split,
)
from models.errors import DataInvalid

GOOD = {"project": "qemu", "commit_id": "c0ffee", "target": 1, "func": "int f(void);", "idx": 12}


def read(content: bytes) -> RawFunction | Rejection:
    return read_function(RawLine(7, content, len(content)), max_code_bytes=100)


def changed(**values: object) -> bytes:
    return json.dumps(GOOD | values).encode()


def test_a_good_row_is_a_function() -> None:
    assert read(changed()) == RawFunction(7, "12", "int f(void);", 1, "qemu", "c0ffee", True)


def test_what_may_be_missing_is_filled_in() -> None:
    row = read(b'{"func": "f", "target": false}')
    assert row == RawFunction(line=7, orig_id="line-7", code="f", label=0, project="", commit_id="", has_idx=False)


@pytest.mark.parametrize("source", ["primevul", "big.vul-2", "", None])
def test_a_row_may_say_where_it_was_collected(source: str | None) -> None:
    row = read(changed(source=source, origin="a collector/2"))
    assert isinstance(row, RawFunction)
    assert (row.source, row.origin) == (source or "", "a collector/2")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"func": "int f', "broken_json"),
        (b'{"func": "f", "target": NaN}', "broken_json"),
        (b"[" * 100_000, "broken_json"),
        (b'["func"]', "not_an_object"),
        (b'{"func": "\xff\xfe", "target": 0}', "invalid_utf8"),
        (b'{"func": "\\ud800", "target": 0}', "invalid_utf8"),
        (b'{"func": "a\x00b", "target": 0}', "nul_byte"),
        (changed(func="a\0b"), "nul_byte"),
        (b'{"target": 0}', "missing_func"),
        (changed(func=None), "missing_func"),
        (changed(func=["f"]), "missing_func"),
        (changed(func=""), "empty_func"),
        (changed(func=" \n\t"), "empty_func"),
        (changed(func="é" * 51), "func_too_long"),
        (b'{"func": "f"}', "missing_label"),
        (changed(target=None), "missing_label"),
        (changed(target=2), "foreign_label"),
        (changed(target=-1), "foreign_label"),
        (changed(target="1"), "foreign_label"),
        (changed(target=1.0), "foreign_label"),
        (changed(target=[1]), "foreign_label"),
        (changed(source="../elsewhere"), "foreign_source"),
        (changed(source="a b"), "foreign_source"),
        (changed(source=7), "foreign_source"),
    ],
)
def test_a_bad_row_is_rejected_with_its_reason(content: bytes, reason: str) -> None:
    row = read(content)
    assert isinstance(row, Rejection)
    assert (row.line, row.reason) == (7, reason)
    assert 0 < len(row.detail) <= 300


@given(st.binary(max_size=60))
def test_no_line_whatever_breaks_the_reader(content: bytes) -> None:
    assert isinstance(read(content), (RawFunction, Rejection))


@given(st.dictionaries(st.sampled_from(["func", "target", "idx", "project"]), st.none() | st.integers() | st.text()))
def test_no_row_whatever_breaks_the_reader(row: dict[str, object]) -> None:
    assert isinstance(read(json.dumps(row).encode()), (RawFunction, Rejection))


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_lines_come_with_their_numbers_and_long_ones_are_skipped(suffix: str, tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf{}\r\n\n" + b"x" * 3_000_000 + b"\nlast"
    path = tmp_path / f"train{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)

    lines = list(read_lines(path, max_line_bytes=1000))

    assert [(line.number, line.content) for line in lines] == [(1, b"{}"), (2, b""), (3, None), (4, b"last")]
    assert lines[2].num_bytes == 3_000_001
    assert survey_split(path).num_lines == 4
    assert isinstance(read_function(lines[2], 10), Rejection)


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-12], lambda raw: raw[:40] + b"\0\0\0\0" + raw[44:], lambda raw: b"no gzip"]
)
def test_a_damaged_gzip_file_is_refused(damage, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl.gz"
    path.write_bytes(damage(gzip.compress("".join(f"{n * 7919}\n" for n in range(500)).encode())))
    with pytest.raises(DataInvalid, match="gzip"):
        survey_split(path)


def test_a_missing_split_names_the_file_and_its_shape(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match=r"valid\.jsonl.*valid\.jsonl\.gz.*func.*target"):
        find_split(tmp_path, "valid")


def test_two_files_of_one_split_are_refused(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").touch()
    assert find_split(tmp_path, "test") == tmp_path / "test.jsonl"
    (tmp_path / "test.jsonl.gz").touch()
    with pytest.raises(DataInvalid, match=r"test\.jsonl\.gz"):
        find_split(tmp_path, "test")


@given(st.lists(st.from_regex(r"(idx-){0,2}(line-)?[0-9]", fullmatch=True), unique=True))
def test_an_idx_that_reads_like_a_line_never_takes_the_name_of_a_row_without_one(given_ids: list[str]) -> None:
    own = [RawFunction(1, name, "f", 0, "", "", has_idx=True).unique_name for name in given_ids]
    without = [RawFunction(n, f"line-{n}", "f", 0, "", "", has_idx=False).unique_name for n in range(10)]
    assert len({*own, *without}) == len(own) + 10
    assert "line-5" in without
