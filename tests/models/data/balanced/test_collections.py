"""Known collections: what their rows become, and what is wrong with some."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.data.balanced.dataset import BalancedDataset
from models.data.balanced.formats import known_format
from models.errors import DataInvalid, SettingsInvalid
from tests.models.data.balanced.small_trees import Build, c_function

RowsFile = Callable[..., Path]


def rows_of(dataset: BalancedDataset) -> list[dict[str, Any]]:
    return [*dataset.train, *dataset.val, *dataset.test]


def solution(task: int, number: int, language: str = "C", code: str | None = None) -> dict[str, Any]:
    text = c_function(f"t{task}n{number}", 10 * task + number) if code is None else code
    return {"task": f"task-{task}", "lang": language, "file": f"{task}-{number}.c", "code": text}


def solutions() -> list[dict[str, Any]]:
    return [solution(task, number) for task in range(10) for number in range(3)]


def test_solutions_of_a_task_match_and_stay_together(rows_file: RowsFile, build: Build) -> None:
    path = rows_file("solutions", [*solutions(), solution(0, 9, "Haskell")])
    dataset = build(path.parent)
    assert dataset.stats["format"] == "rosetta"
    assert not dataset.stats["balanced"]
    assert dataset.stats["left_out"]["other_language"]["count"] == 1
    splits = {row["match"]: set() for row in rows_of(dataset)}
    for row in rows_of(dataset):
        splits[row["match"]].add(row["split"])
        assert row["label"] is None
        assert row["code"].startswith("int t")
    assert len(splits) == 10
    assert all(len(found) == 1 for found in splits.values())
    assert [len(part) for part in (dataset.train, dataset.val, dataset.test)] == [24, 3, 3]


def test_copies_match_their_original_and_independent_ones_only_themselves(rows_file: RowsFile, build: Build) -> None:
    rows = [
        {"case": f"case-{case}", "kind": kind, "path": f"{case}/{kind}{number}.java", "code": c_function(f"f{case}", n)}
        for case in range(5)
        for number, kind in enumerate(["original", "plagiarized", "plagiarized", "non-plagiarized"])
        for n in [100 * case + 7 * number]
    ]
    dataset = build(rows_file("ir_plag", rows), split_by="auto")
    assert dataset.stats["split_by"] == "repository"
    for row in rows_of(dataset):
        assert row["match"] == (row["id"] if "non-" in row["file"] else row["repo"])
    assert [len(part) for part in (dataset.train, dataset.val, dataset.test)] == [12, 4, 4]


def fix(number: int, repo: int) -> dict[str, Any]:
    return {
        "func_name": f"f{number}",
        "func_src_before": c_function(f"f{number}", number),
        "func_src_after": c_function(f"f{number}", number, "  if (b < 0) return -1;\n"),
        "commit_link": f"github.com/owner/repo{repo}/commit/{number:040x}",
        "file_name": "src/a.c",
    }


def test_both_sides_of_a_fix_stay_together_and_are_labelled(rows_file: RowsFile, build: Build) -> None:
    same = {**fix(99, 1), "func_src_after": fix(99, 1)["func_src_before"]}
    other = {**fix(98, 1), "file_name": "a.rs"}
    dataset = build(rows_file("train", [*(fix(number, number % 6) for number in range(30)), same, other]))
    assert {reason: found["count"] for reason, found in dataset.stats["left_out"].items()} == {
        "same_before_and_after": 1,
        "other_language": 1,
    }
    rows = rows_of(dataset)
    assert {row["repo"] for row in rows} == {f"owner/repo{number}" for number in range(6)}
    assert all(row["match"] == row["id"] and row["label_source"] == "sven" for row in rows)
    sides = {row["id"]: (row["split"], row["label"]) for row in rows}
    for number in range(30):
        name = f"owner/repo{number % 6}/src/a.c:f{number}"
        (before, vulnerable), (after, safe) = sides[f"{name}@before"], sides[f"{name}@after"]
        assert (before, vulnerable, safe) == (after, 1, 0)


def juliet(number: int) -> dict[str, Any]:
    return {
        "cwe": f"CWE{number // 6}",
        "file": f"CWE{number // 6}_{number // 2}.c",
        "name": f"bad_{number}",
        "label": number % 2,
        "func": "void bad() { /* FLAW */ }",
        "func_neutral": c_function("f", number),
    }


def test_of_juliet_nothing_that_says_the_label_is_taken(rows_file: RowsFile, build: Build) -> None:
    dataset = build(rows_file("functions", [juliet(number) for number in range(60)]))
    assert dataset.stats["format"] == "juliet"
    for row in rows_of(dataset):
        assert "FLAW" not in row["code"]
        assert "bad" not in json.dumps(row)
        assert row["match"].startswith("CWE")


def test_a_line_that_is_no_row_is_named(rows_file: RowsFile, build: Build) -> None:
    for line, problem in (
        ('{"task": ', "broken_json"),
        ('{"task": "a"}', "no lang, file, code"),
        ("[1]", "not_an_obj"),
    ):
        path = rows_file("solutions", [*solutions(), line])
        with pytest.raises(DataInvalid, match=problem) as raised:
            build(path.parent, format="rosetta")
        assert raised.value.line == 31


def test_a_field_of_another_type_is_named(rows_file: RowsFile, build: Build) -> None:
    path = rows_file("functions", [{**juliet(0), "label": 2}])
    with pytest.raises(DataInvalid, match=r"functions.jsonl.gz:1: label must be 0 or 1, found 2"):
        build(path)


def test_a_row_of_ten_megabytes_is_passed_over_and_counted(rows_file: RowsFile, build: Build) -> None:
    huge = [solution(0, 7, code="x" * 10_000_000), solution(0, 8, code="y" * 200_000)]
    dataset = build(rows_file("solutions", [*solutions(), *huge]))
    counts = {reason: found["count"] for reason, found in dataset.stats["left_out"].items()}
    assert counts == {"line_too_long": 1, "function_too_long": 1}
    assert dataset.stats["num_samples"] == 30


def test_a_file_of_no_known_shape_is_told(rows_file: RowsFile) -> None:
    path = rows_file("anything", [{"func": "x"}])
    with pytest.raises(DataInvalid, match="no known shape"):
        known_format(path, "auto")
    with pytest.raises(DataInvalid, match="is a file"):
        known_format(path, "repositories")
    assert known_format(path.parent, "auto") == "repositories"


def test_labels_are_not_given_for_a_collection_that_has_its_own(rows_file: RowsFile, build: Build) -> None:
    path = rows_file("solutions", solutions())
    with pytest.raises(SettingsInvalid, match="label_by_rules"):
        build(path, label_by_rules=True)
