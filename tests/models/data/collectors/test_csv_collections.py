"""Big-Vul's csv: rows with newlines inside quotes, pairs, and rows that are broken or too long."""

from __future__ import annotations

import csv
import gzip
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.data.collectors.csv_rows import read_csv_rows
from models.data.collectors.line_files import FieldRow, NamedFile
from models.errors import DataInvalid

NAMES = ["", "CWE ID", "codeLink", "commit_id", "func_after", "func_before", "lang", "project", "vul"]
CODE, FIXED = 'int f(char *s)\n{\n  return *s == "x"[0];\n}', "int f(char *s)\r\n{\r\n  return s ? *s : 0;\r\n}"
ROW = {
    "": "188636",
    "CWE ID": "CWE-119",
    "codeLink": "https://github.com/torvalds/linux/commit/abcdef12",
    "commit_id": "abcdef12",
    "func_after": FIXED,
    "func_before": CODE,
    "lang": "C",
    "project": "linux",
    "vul": "1",
}


def as_csv(*rows: dict[str, str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, NAMES, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    def written(content: bytes, name: str = "MSR_data_cleaned.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
        return path

    return written


@pytest.mark.parametrize("name", ["MSR_data_cleaned.csv", "MSR_data_cleaned.csv.gz"])
def test_a_vulnerable_row_gives_a_pair_and_another_one_function(
    read: Callable[..., Any], write_csv: Callable[..., Path], name: str
) -> None:
    found = read(write_csv(as_csv(ROW, ROW | {"": "9", "vul": "0"}), name)).functions
    assert [(row.idx, row.label, row.code) for row in found] == [
        ("188636", 1, CODE),
        ("188636-after", 0, FIXED),
        ("9", 0, CODE),
    ]
    assert found[0].pair == found[1].pair == f"{name}:2"
    assert found[2].pair == ""
    assert (found[0].project, found[0].commit_id, found[0].cwe) == ("linux", "abcdef12", "CWE-119")
    assert [row.line for row in found] == [2, 2, 9]


def test_a_vulnerable_row_that_did_not_change_gives_no_pair(
    read: Callable[..., Any], write_csv: Callable[..., Path]
) -> None:
    found = read(write_csv(as_csv(ROW | {"func_after": CODE + "\n"}, ROW | {"": "2", "func_after": ""}))).functions
    assert [(row.label, row.pair) for row in found] == [(1, ""), (1, "")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lang": "Java"}, "wrong_language"),
        ({"vul": ""}, "missing_label"),
        ({"vul": "yes"}, "foreign_label"),
        ({"func_before": ""}, "empty_func"),
        ({"func_before": "x" * 1001}, "func_too_long"),
        ({"func_before": ("x" * 99 + '"\n') * 40_000}, "line_too_long"),
    ],
)
def test_a_broken_row_costs_itself_only(
    read: Callable[..., Any], write_csv: Callable[..., Path], changes: dict[str, str], reason: str
) -> None:
    found = read(write_csv(as_csv(ROW | {"vul": "0"}, ROW | changes, ROW | {"": "2", "vul": "0"})))
    assert [told for _, told in found.reasons] == [reason]
    assert [row.idx for row in found.functions] == ["188636", "2"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [(b"1,2", "missing_columns"), (b'1,"a"b,3', "broken_csv"), (b"1,\xff", "invalid_utf8"), (b"a\rb", "broken_csv")],
)
def test_a_line_that_is_no_row_is_told_with_its_number(
    read: Callable[..., Any], write_csv: Callable[..., Path], line: bytes, reason: str
) -> None:
    content = as_csv(ROW | {"vul": "0"}) + line + b"\n" + as_csv(ROW | {"": "2", "vul": "0"}).split(b"\n", 1)[1]
    found = read(write_csv(content))
    assert found.reasons == [(9, reason)]
    assert [row.line for row in found.functions] == [2, 10]


def test_a_file_that_ends_inside_quotes_is_refused(read: Callable[..., Any], write_csv: Callable[..., Path]) -> None:
    path = write_csv(as_csv(ROW)[:-40])
    with pytest.raises(DataInvalid, match="ends inside quotes"):
        read(path)


def test_a_row_that_is_too_long_is_never_held_whole(write_csv: Callable[..., Path]) -> None:
    path = write_csv(as_csv(ROW | {"func_before": ("x" * 99 + "\n") * 80_000}), "large.csv.gz")
    tracemalloc.start()
    try:
        rows = list(read_csv_rows(NamedFile("large.csv.gz", path), 1000))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [row.reason for row in rows if not isinstance(row, FieldRow)] == ["line_too_long"]
    assert peak_bytes < 5_000_000


NUM_ROWS = 2000


def numbered(strays: dict[int, Callable[[str], str]]) -> bytes:
    rows = [f"{number},int f{number}(void) {{ return {number}; }},0" for number in range(NUM_ROWS)]
    for number, spoil in strays.items():
        rows[number] = spoil(rows[number])
    return ("idx,func_before,vul\n" + "\n".join(rows) + "\n").encode()


def at_cell_start(row: str) -> str:
    return row.replace(",int", ',"int')


def at_cell_end(row: str) -> str:
    return row.replace("},", '}",')


def at_label(row: str) -> str:
    return row.replace(",0", ',"0')


def at_row_end(row: str) -> str:
    return row + '"'


@pytest.mark.parametrize("first", [at_cell_start, at_label])
@pytest.mark.parametrize("second", [at_cell_start, at_cell_end, at_label, at_row_end])
def test_stray_quotes_cost_the_rows_they_are_in_only(
    read: Callable[..., Any],
    write_csv: Callable[..., Path],
    first: Callable[[str], str],
    second: Callable[[str], str],
) -> None:
    path = write_csv(numbered({100: first, 1900: second}))
    found = read(path, "bigvul", max_code_bytes=1_000_000)
    lost = set(range(NUM_ROWS)) - {row.line - 2 for row in found.functions}
    assert lost <= {100, 1900}
    assert 100 in lost
    assert {row.line for row in found.rejected} == {number + 2 for number in lost}


def test_a_quote_inside_a_bare_cell_opens_nothing(read: Callable[..., Any], write_csv: Callable[..., Path]) -> None:
    found = read(write_csv(numbered({7: lambda row: row.replace("return", 'return "')})), "bigvul")
    assert found.rejected == []
    assert len(found.functions) == NUM_ROWS


def test_a_stray_quote_in_a_function_of_many_lines_costs_its_lines(
    read: Callable[..., Any], write_csv: Callable[..., Path]
) -> None:
    good = ROW | {"vul": "0", "func_before": CODE * 3}
    lines = as_csv(good, *(good | {"": str(number)} for number in range(40))).splitlines(keepends=True)
    spoiled = lines.index(b"{\n", 60)
    lines[spoiled] = b'{ g("x, y);\n'
    found = read(write_csv(b"".join(lines)))
    per_row = (len(lines) - 1) // 41
    assert len(found.functions) == 40
    assert found.rejected
    assert {(row.line - 2) // per_row for row in found.rejected} == {(spoiled - 1) // per_row}
    assert len({row.line for row in found.rejected}) == len(found.rejected) <= per_row


def test_rows_swallowed_by_a_row_that_is_too_long_are_counted_by_line(write_csv: Callable[..., Path]) -> None:
    path = write_csv(numbered({100: at_cell_start, 1900: at_cell_start}))
    rows = list(read_csv_rows(NamedFile("any.csv", path), 1))  # holds rows of 64 kB; 1,800 are longer
    assert (
        sum(isinstance(row, FieldRow) for row in rows) + sum(not isinstance(row, FieldRow) for row in rows) == NUM_ROWS
    )


def test_lines_that_open_and_go_on_are_not_read_over_and_over(write_csv: Callable[..., Path]) -> None:
    path = write_csv(b"a,b,c\n" + b'x","y\n' * 50_000 + b'"\n')
    rows = list(read_csv_rows(NamedFile("any.csv", path), 1000))
    assert sum(isinstance(row, FieldRow) for row in rows) <= 1
    assert len(rows) > 49_990


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)


@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=6))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_rows_are_those_of_the_csv_module(tmp_path: Path, rows: list[list[str]]) -> None:
    path = tmp_path / "any.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c"])
        writer.writerows(rows)
    found = [row for row in read_csv_rows(NamedFile("any.csv", path), 1000) if isinstance(row, FieldRow)]
    assert [list(row.fields.values()) for row in found] == rows
    num_lines = [sum(cell.count("\n") for cell in row) + 1 for row in rows]
    assert [row.line for row in found] == [2 + sum(num_lines[:number]) for number in range(len(rows))]
