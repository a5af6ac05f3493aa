"""Which shape a collection is taken for, and what is said of one that has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.data.collectors.reading import detect_format
from models.errors import DataInvalid


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ("func target project commit_id idx", "codexglue"),
        ("func target project commit_id cwe hash size message", "primevul"),
        ("idx project commit_id target func func_hash file_name cwe cve", "primevul"),
        ("func label src key", "collected"),
        ("cwe file name label func func_neutral", "juliet"),
        ("func_name func_src_before func_src_after commit_link file_name vul_type", "pairs"),
        ("func_before func_after vul lang", "bigvul"),
    ],
)
@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.json"])
def test_fields_tell_the_shape(write_lines: Callable[..., Path], fields: str, shape: str, name: str) -> None:
    path = write_lines([b"", b"{broken", dict.fromkeys(fields.split(), "")], name)
    assert detect_format(path) == shape
    if name != "x.json":
        assert detect_format(path.parent) == shape


def test_names_of_files_and_columns_tell_the_shape(tmp_path: Path) -> None:
    def written(name: str, content: str = "") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    columns = written("msr/MSR.csv", '\ufeff,CVE ID,func_after,"func_before",lang,vul\n')
    assert detect_format(columns) == detect_format(columns.parent) == "bigvul"
    listed = written("commits/fixes.txt", "repo,abcdef1\n")
    assert detect_format(listed) == detect_format(listed.parent) == "fixes"
    written("trees/deep/CVE-1/before/a.c")
    written("trees/deep/CVE-1/after/a.c")
    assert detect_format(tmp_path / "trees") == "fixes"
    assert detect_format(written("labelled/Vulnerable/a.c").parents[1]) == "folder"
    assert detect_format(written("listed/labels.csv").parent) == "folder"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"code": "x", "lang": "C"}', "found code, lang; known are pairs .*codexglue .func, target"),
        ("a.jsonl", "", "found no JSON object on its first lines"),
        ("a.json", '[\n{"func": 1}\n]', "the shape is not known"),
        ("a.csv", "x,y\n1,2\n", "found x, y; known are"),
        ("a.csv", "", "is empty; expected a line with the names of the columns"),
    ],
)
def test_an_unknown_shape_is_refused_with_what_was_found(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataInvalid, match=message) as refused:
        detect_format(path)
    assert "\n" not in str(refused.value)


def test_folders_with_nothing_to_read_are_refused(tmp_path: Path, write_lines: Callable[..., Path]) -> None:
    with pytest.raises(DataInvalid, match="found nothing; known are"):
        detect_format(tmp_path)
    with pytest.raises(DataInvalid, match="no such file or folder"):
        detect_format(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataInvalid, match=r"found notes\.txt; known are"):
        detect_format(tmp_path)
    row: dict[str, Any] = {"func": "int f;", "target": 1}
    write_lines([row], "both/train.jsonl")
    folder = write_lines([row], "both/train.jsonl.gz").parent
    with pytest.raises(DataInvalid, match=r"train\.jsonl\.gz is there too"):
        detect_format(folder)


def test_a_file_without_rows_is_refused(read: Callable[..., Any], write_lines: Callable[..., Path]) -> None:
    with pytest.raises(DataInvalid, match=r"holds no function to read \(nothing in it"):
        read(write_lines([b"", b" "]), "collected")
