"""Functions of repositories and who labels them."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from models.data.balanced.dataset import BalancedDataset
from models.data.balanced.weak_rules import weak_label
from models.errors import DataInvalid
from tests.models.data.balanced.small_trees import Build, Tree, as_lines, c_function, labelled_tree

METHODS = """class Box:
    @property
    def size(self):
        return len(self.items)

    def put(self, item):
        self.items.append(item)
        return self.count + 1
"""


def by_function(dataset: BalancedDataset) -> dict[str, dict[str, Any]]:
    return {row["function"]: row for row in [*dataset.train, *dataset.val, *dataset.test]}


def test_labels_are_found_by_name_by_name_in_a_class_and_by_line(tree: Tree, build: Build) -> None:
    twice = c_function("same", 70) + c_function("same", 71)
    labels = [
        {"file": "r9/box.py", "function": "Box.size", "label": 1},
        {"file": "./r9/box.py", "function": "put", "label": 0, "task": "storing"},
        {"file": "r9/twice.c", "function": "same", "label": 1, "line": 14},
    ]
    files = labelled_tree()
    files["labels.jsonl"] += as_lines(labels)
    dataset = build(tree({**files, "r9/box.py": METHODS, "r9/twice.c": twice}), balance_ratio=None)
    rows = {row["id"]: row for row in [*dataset.train, *dataset.val, *dataset.test]}
    assert rows["r9/box.py:Box.size:2"]["label"] == 1
    assert rows["r9/box.py:Box.size:2"]["code"] == "@property\ndef size(self):\n    return len(self.items)"
    assert (rows["r9/box.py:Box.put:6"]["label"], rows["r9/box.py:Box.put:6"]["match"]) == (0, "storing")
    assert rows["r9/twice.c:same:1"]["label_source"] == "none"
    assert rows["r9/twice.c:same:14"]["label_source"] == "labels"


def test_labels_of_what_is_not_there_are_counted_and_listed(
    tree: Tree, build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    files = labelled_tree()
    absent = [{"file": "r0/gone.c", "function": "f", "label": 1}, {"file": "r0/f0.c", "function": "g", "label": 0}]
    files["labels.jsonl"] += as_lines(absent)
    with caplog.at_level(logging.WARNING):
        stats = build(tree(files)).stats
    assert stats["labels"] == {"given": 42, "missing": 2, "shown": ["r0/gone.c:f (line 41)", "r0/f0.c:g (line 42)"]}
    assert "2 entries of labels" in caplog.text


def test_labels_of_which_nothing_is_there_are_refused(tree: Tree, build: Build) -> None:
    root = tree({"r/a.c": c_function("f", 1), "labels.jsonl": as_lines([{"file": "b.c", "function": "f", "label": 1}])})
    with pytest.raises(DataInvalid, match="none of its 1 labels"):
        build(root)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "broken_json"),
        ('{"file": "a", "function": "f"}', "no label"),
        ('{"file": "a", "function": "f", "label": "1"}', "label must be 0 or 1"),
        ('{"file": "a", "function": "f", "label": 1, "line": 0}', "line must be a number"),
        ('{"file": 3, "function": "f", "label": 1}', "file must be text"),
    ],
)
def test_a_line_that_is_no_label_is_named(tree: Tree, build: Build, line: str, problem: str) -> None:
    files = labelled_tree()
    files["labels.jsonl"] += line + "\n"
    with pytest.raises(DataInvalid, match=problem) as raised:
        build(tree(files))
    assert raised.value.line == 41


def test_a_function_with_two_labels_is_left_out(tree: Tree, build: Build) -> None:
    files = labelled_tree()
    files["labels.jsonl"] += as_lines([{"file": "r0/f0.c", "function": "f0", "label": 1}])
    dataset = build(tree(files))
    assert dataset.stats["left_out"]["contradicting_labels"]["shown"] == ["r0/f0.c:1"]
    assert "f0" not in by_function(dataset)


def fix_files(number: int, name: str = "g") -> dict[str, str]:
    function, kept = f"{name}{number}", c_function(f"kept{number}", 500 + number)
    return {
        f"p{number}/before.c": kept + c_function(function, 200 + number),
        f"p{number}/after.c": kept + c_function(function, 200 + number, "  if (b < 0) return -1;\n"),
    }


def test_a_function_that_a_fix_changed_is_vulnerable_before_and_safe_after(tree: Tree, build: Build) -> None:
    files = {name: text for number in range(8) for name, text in fix_files(number).items()}
    pairs = [{"before": f"p{number}/before.c", "after": f"p{number}/after.c"} for number in range(8)]
    pairs += [{"before": "p0/gone.c", "after": "p0/after.c"}, {"before": "p1/after.c", "after": "p1/after.c"}]
    dataset = build(tree({**files, "before_after.jsonl": as_lines(pairs)}), augment_k=1)
    rows = [*dataset.train, *dataset.val, *dataset.test]
    assert {row["label"] for row in rows if "before" in row["file"]} == {1}
    assert {row["label"] for row in rows if "after" in row["file"]} == {0}
    assert {row["function"] for row in rows} == {f"g{number}" for number in range(8)}
    assert dataset.stats["before_after"] == {
        "given": 10,
        "functions_changed": 8,
        "missing": 1,
        "shown": ["p0/gone.c (line 9)"],
        "unchanged": 1,
    }
    assert dataset.stats["copies_left_out"] == 8
    assert dataset.stats["unlabelled_left_out"] == 8
    assert dataset.stats["triples"]["train"]["with_other_side_of_fix"] == dataset.stats["triples"]["train"]["count"] > 0


def test_fixes_of_which_no_file_is_there_are_refused(tree: Tree, build: Build) -> None:
    pairs = [{"before": "r0/x.c", "after": "r0/y.c"}]
    with pytest.raises(DataInvalid, match=r"none of its 1 pairs.*r0/x.c \(line 1\)"):
        build(tree({**labelled_tree(), "before_after.jsonl": as_lines(pairs)}))


def test_rules_label_only_where_asked_and_what_nothing_else_labels(
    tree: Tree, build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    files = labelled_tree()
    files["labels.jsonl"] = "".join(files["labels.jsonl"].splitlines(keepends=True)[:20])
    dangerous = {
        f"r{number}/d{number}.c": c_function(f"d{number}", 300 + number, "  gets(b);\n") for number in range(4)
    }
    root = tree({**files, **dangerous})
    assert build(root).stats["unlabelled_left_out"] == 24
    with caplog.at_level(logging.WARNING):
        dataset = build(root, "ruled", label_by_rules=True, balance_ratio=None)
    rows = by_function(dataset)
    assert all(rows[f"d{number}"]["label"] == 1 for number in range(4))
    assert sum(row["label_source"] == "rules" for row in rows.values()) == 24
    assert "24 labels come from rules" in caplog.text


def test_rules_read_calls_and_neither_comments_nor_strings() -> None:
    assert weak_label("void f(char *s) { strcpy(b, s); }", "c") == 1
    assert weak_label('void f(char *s) { log("strcpy(b, s)"); /* gets(s) */ }', "c") == 0
    assert weak_label("void f(char *s) { my_strcpy(b, s); p->gets(s); }", "c") == 0
    assert weak_label("def f(x):\n    # é eval(x)\n    return eval(x)\n", "python") == 1
    assert weak_label("def f(x):\n    # eval(x)\n    return literal_eval(x)\n", "python") == 0
    assert weak_label('func f(a string) { exec.Command("sh", "-c", a).Run() }', "go") == 1


def test_repositories_without_a_function_are_refused_with_the_reasons(tree: Tree, build: Build) -> None:
    root = tree({"r/a.c": "int x;\n", "r/b.bin": b"\0\1", "r/c.py": "x = 1\n"})
    with pytest.raises(DataInvalid, match=r"no function that can be used \(no_function: 2, other_language: 1\)"):
        build(root)
