"""Collections of JSON lines: what becomes of each shape's rows, and of rows that are broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.data.collectors.reading import read_collection
from models.data.collectors.rows import SOUND_REASONS, CollectedFunction, RejectedRow
from models.errors import DataInvalid

CODE, FIXED = "int f(char *s)\n{\n  return *s;\n}", "int f(char *s)\n{\n  return s ? *s : 0;\n}"
PYTHON = "def f(s):\n    return s[0]\n"
CLEAN = {"func": CODE, "target": 1, "project": "qemu", "commit_id": "c0ffee", "idx": 7}
COLLECTED = {"func": CODE, "label": "1", "src": "primevul-unlisted", "key": "k1"}
JULIET = {
    "cwe": "CWE123",
    "file": "CWE123_a_01.c",
    "name": "good1",
    "label": 0,
    "func": "void good1() { /* FIX */ }",
    "func_neutral": "void func() { }",
}
PAIR = {
    "func_src_before": CODE,
    "func_src_after": FIXED,
    "commit_link": "github.com/abrt/libreport/commit/239C4F7D",
    "file_name": "src/dump.c",
    "vul_type": "cwe-022",
}
PRIMEVUL = {"func": CODE, "target": 1, "project": "linux", "commit_id": "abc", "cwe": ["CWE-119", "CWE-787"], "idx": 3}


def test_codexglue_reads_all_splits_in_their_order_and_only_them(
    read: Callable[..., Any], write_lines: Callable[..., Path]
) -> None:
    for split, idx in (("valid", 2), ("test", 3), ("train", 1)):
        write_lines([CLEAN | {"idx": idx}], f"data/{split}.jsonl.gz")
    path = write_lines([CLEAN | {"idx": 4}], "data/rejected.jsonl").parent
    found = read(path).functions
    assert [(row.idx, row.file) for row in found] == [
        ("1", "train.jsonl.gz"),
        ("2", "valid.jsonl.gz"),
        ("3", "test.jsonl.gz"),
    ]
    assert found[0] == CollectedFunction(CODE, 1, "1", "qemu", "c0ffee", "", "", "", "train.jsonl.gz", 1)


def test_labels_of_collectors_are_text_or_numbers(read: Callable[..., Any], write_lines: Callable[..., Path]) -> None:
    labels: list[Any] = ["1", "0", 1, 0, True, False, 1.0, 0.0, "1.0", "0.0"]
    found = read(write_lines([COLLECTED | {"label": label, "key": str(n)} for n, label in enumerate(labels)]))
    assert [row.label for row in found.functions] == [1, 0] * 5
    assert found.functions[0] == CollectedFunction(
        CODE, 1, "0", "", "", "primevul-unlisted", "", "", "functions.jsonl", 1
    )


def test_a_hash_that_repeats_is_told_apart_and_no_row_is_lost(
    read: Callable[..., Any], write_lines: Callable[..., Path]
) -> None:
    lines = [COLLECTED, COLLECTED | {"label": 0}, COLLECTED | {"key": "k1-functions.jsonl-2"}, COLLECTED]
    names = [row.idx for row in read(write_lines(lines)).functions]
    assert names[:2] == ["k1", "k1-functions.jsonl-2"]
    assert len(set(names)) == 4


def test_juliet_gives_the_neutral_function_and_groups_by_file(
    read: Callable[..., Any], write_lines: Callable[..., Path]
) -> None:
    row = read(write_lines([JULIET])).functions[0]
    assert row == CollectedFunction(
        "void func() { }", 0, "CWE123_a_01.c:good1", "juliet", "CWE123_a_01.c", "", "CWE-123", "", "functions.jsonl", 1
    )


def test_a_pair_is_the_vulnerable_function_then_the_fixed_one(
    read: Callable[..., Any], write_lines: Callable[..., Path]
) -> None:
    before, after = read(write_lines([PAIR])).functions
    assert (before.code, before.label, after.code, after.label) == (CODE, 1, FIXED, 0)
    assert before.pair == after.pair == "functions.jsonl:1"
    assert before.idx != after.idx
    assert (before.project, before.commit_id, before.cwe) == ("libreport", "239c4f7d", "CWE-22")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"file_name": "a.py"}, "wrong_language"),
        ({"file_name": "", "func_src_after": PYTHON}, "wrong_language"),
        ({"func_src_after": CODE.replace("\n", "\r\n\t")}, "identical_pair"),
        ({"func_src_after": None}, "missing_func"),
        ({"func_src_before": " "}, "empty_func"),
        ({"func_src_after": "a" * 2000}, "func_too_long"),
    ],
)
def test_a_pair_with_one_side_that_cannot_be_used_is_rejected_whole(
    read: Callable[..., Any], write_lines: Callable[..., Path], changes: dict[str, Any], reason: str
) -> None:
    found = read(write_lines([PAIR | changes, PAIR]))
    assert found.reasons == [(1, reason)]
    assert len(found.functions) == 2


def test_primevul_keeps_every_kind_of_flaw_and_names_rows_by_what_it_has(
    read: Callable[..., Any], write_lines: Callable[..., Path]
) -> None:
    diversevul = {name: value for name, value in PRIMEVUL.items() if name != "idx"}
    lines = [
        PRIMEVUL,
        diversevul | {"hash": "ff"},
        json.dumps(diversevul)[:-1].encode() + b', "hash": 1%s}' % (b"0" * 38),
    ]
    found = read(write_lines(lines), "primevul").functions
    assert [row.idx for row in found] == ["3", "ff", "line-3"]
    assert found[0].cwe == "CWE-119,CWE-787"
    assert {row.pair for row in found} == {""}


def test_primevul_goes_by_the_name_of_the_source_file_where_there_is_one(
    read: Callable[..., Any], write_lines: Callable[..., Path]
) -> None:
    lines = [PRIMEVUL | {"file_name": name} for name in ("net/a.c", "a.java", "None", None)]
    assert read(write_lines(lines)).reasons == [(2, "wrong_language")]


def paired(*rows: tuple[str, int]) -> list[dict[str, Any]]:
    return [
        PRIMEVUL | {"commit_id": commit, "target": target, "func": CODE if target else FIXED, "idx": number}
        for number, (commit, target) in enumerate(rows)
    ]


def test_rows_of_paired_files_are_paired_two_after_another(
    read: Callable[..., Any], write_lines: Callable[..., Path]
) -> None:
    lines = paired(("a", 1), ("a", 0), ("a", 0), ("a", 1), ("b", 1), ("c", 0), ("c", 1), ("d", 1))
    found = read(write_lines(lines, "primevul_test_paired.jsonl")).functions
    name = "primevul_test_paired.jsonl:"
    expected = [name + "1", name + "1", name + "3", name + "3", "", name + "6", name + "6", ""]
    assert [row.pair for row in found] == expected
    assert [row.idx for row in found] == [str(number) for number in range(8)]
    assert {row.pair for row in read(write_lines(lines, "primevul_test.jsonl")).functions} == {""}


def test_beside_a_broken_row_no_pair_is_made_across_the_border_of_pairs(
    read: Callable[..., Any], write_lines: Callable[..., Path]
) -> None:
    lines: list[Any] = paired(("a", 1), ("a", 0), ("a", 1), ("a", 0))
    lines[0] = b"{broken"
    found = read(write_lines(lines, "primevul_valid_paired.jsonl.gz"), "primevul")
    assert found.reasons == [(1, "broken_json")]
    assert [(row.idx, bool(row.pair)) for row in found.functions] == [("1", False), ("2", True), ("3", True)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"func": "int f', "broken_json"),
        (b'["func"]', "not_an_object"),
        (b'{"func": "\xff", "label": 0}', "invalid_utf8"),
        (COLLECTED | {"func": "a\0b"}, "nul_byte"),
        ({"label": 1}, "missing_func"),
        (COLLECTED | {"func": 3}, "missing_func"),
        (COLLECTED | {"func": "\n"}, "empty_func"),
        ({"func": CODE}, "missing_label"),
        (COLLECTED | {"label": 2.0}, "foreign_label"),
        (COLLECTED | {"label": "1.5"}, "foreign_label"),
        (COLLECTED | {"label": None}, "missing_label"),
        (COLLECTED | {"label": ""}, "missing_label"),
        (COLLECTED | {"label": "2"}, "foreign_label"),
        (COLLECTED | {"label": 0.5}, "foreign_label"),
        (COLLECTED | {"label": [1]}, "foreign_label"),
        (COLLECTED | {"label": "vulnerable"}, "foreign_label"),
        (COLLECTED | {"func": PYTHON}, "wrong_language"),
        (COLLECTED | {"func": "x" * 1001}, "func_too_long"),
        (COLLECTED | {"func": "x" * 10_000_000}, "line_too_long"),
    ],
)
def test_a_broken_row_costs_itself_only_and_says_why(
    read: Callable[..., Any], write_lines: Callable[..., Path], line: Any, reason: str
) -> None:
    found = read(write_lines([COLLECTED, line, b"", COLLECTED | {"key": "k2"}], "functions.jsonl.gz"), "collected")
    assert found.reasons == [(2, reason)]
    assert found.rejected[0].file == "functions.jsonl.gz"
    assert len(found.rejected[0].detail) < 400
    assert [row.idx for row in found.functions] == ["k1", "k2"]


def test_a_missing_label_is_no_sound_row_but_another_language_is() -> None:
    assert "wrong_language" in SOUND_REASONS
    assert not {"missing_label", "foreign_label", "broken_json"} & SOUND_REASONS


def test_a_damaged_gzip_file_ends_the_reading(write_lines: Callable[..., Path]) -> None:
    path = write_lines([COLLECTED | {"key": str(number)} for number in range(500)], "functions.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataInvalid, match="damaged or cut off"):
        list(read_collection(path, "collected", max_code_bytes=1000))


@given(
    lines=st.lists(
        st.binary(max_size=40).filter(lambda line: b"\n" not in line)
        | st.dictionaries(
            st.sampled_from(["func", "label", "key", "src"]), st.none() | st.booleans() | st.integers() | st.text()
        ).map(lambda row: json.dumps(row).encode())
    )
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_line_that_is_not_blank_is_told_of_once(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "any.jsonl"
    path.write_bytes(b"\n".join([json.dumps(COLLECTED).encode(), *lines]))
    rows = list(read_collection(path, "collected", max_code_bytes=100))
    given_lines = [line.strip() for line in path.read_bytes().split(b"\n")]
    assert [row.line for row in rows] == [number for number, line in enumerate(given_lines, 1) if line]
    assert all(isinstance(row, CollectedFunction | RejectedRow) for row in rows)
    names = [row.idx for row in rows if isinstance(row, CollectedFunction)]
    assert len(set(names)) == len(names)
