"""The data set as a whole: what holds of every one, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from models.data.balanced.dataset import BalancedDataset, open_dataset
from models.data.balanced.job import FILES, run
from models.data.balanced.samples import text_digest
from models.errors import DataInvalid, Interrupted
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.balance import BalanceSettings
from tests.models.data.balanced.small_trees import Build, Tree, as_lines, c_function, labelled_tree

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def run_path(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished job with two variants of each training function."""
    path = tmp_path_factory.mktemp("run")
    run(BalanceSettings(repos_root=generated / "repos", augment_k=2), JobContext(path, path, EventStream()))
    return path


@pytest.fixture(scope="module")
def rows(run_path: Path) -> dict[str, dict[str, Any]]:
    dataset = open_dataset(run_path)
    return {row["id"]: row for split in SPLITS for row in getattr(dataset, split)}


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_nothing_else_is_left(run_path: Path) -> None:
    assert sorted(path.name for path in run_path.iterdir()) == sorted(FILES)


def test_no_group_text_or_match_is_in_two_splits(rows: dict[str, dict[str, Any]]) -> None:
    for key in ("group", "match"):
        splits = {(row[key], row["split"]) for row in rows.values()}
        assert len(splits) == len({value for value, _ in splits})
    texts = {(text_digest(row["code"]), row["split"]) for row in rows.values()}
    assert len(texts) == len({digest for digest, _ in texts})
    originals = [text_digest(row["code"]) for row in rows.values() if not row["augmented_from"]]
    assert len(set(originals)) == len(originals)


def test_each_split_is_balanced(rows: dict[str, dict[str, Any]], run_path: Path) -> None:
    stats = open_dataset(run_path).stats
    for split in SPLITS:
        labels = Counter(row["label"] for row in rows.values() if row["split"] == split and not row["augmented_from"])
        assert labels[0] == labels[1] > 10
        assert stats["splits"][split]["ratio"] == 0.5


def test_only_training_functions_have_variants_and_variants_are_theirs(rows: dict[str, dict[str, Any]]) -> None:
    variants = [row for row in rows.values() if row["augmented_from"]]
    assert {row["split"] for row in variants} == {"train"}
    for row in variants:
        original = rows[row["augmented_from"]]
        same = ("label", "match", "group", "language", "repo", "file", "function", "split")
        assert all(row[name] == original[name] for name in same)
        assert row["code"] != original["code"]
        assert row["transformations"]
        assert row["id"].startswith(original["id"] + "#")


def test_pairs_and_triples_name_rows_that_do_and_do_not_do_the_same(
    rows: dict[str, dict[str, Any]], run_path: Path
) -> None:
    pairs, triples = lines_of(run_path / "pairs.jsonl"), lines_of(run_path / "triples.jsonl")
    assert len({pair["id"] for pair in pairs}) == len(pairs)
    for pair in pairs:
        anchor, positive = rows[pair["anchor"]], rows[pair["positive"]]
        assert anchor["split"] == positive["split"] == pair["split"]
        assert anchor["match"] == positive["match"] == pair["match"]
        assert anchor["group"] == pair["group"]
        assert (pair["kind"] == "augmented") == (positive["augmented_from"] == anchor["id"])
    assert {triple["id"] for triple in triples} <= {pair["id"] for pair in pairs}
    for triple in triples:
        negative = rows[triple["negative"]]
        assert negative["split"] == triple["split"]
        assert negative["match"] != rows[triple["anchor"]]["match"]


def test_equal_settings_give_equal_bytes_under_another_hash_seed(
    generated: Path, run_path: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "models.data.balanced", "--build-balanced", "--augment-k", "2"]
    command += ["--repos-root", str(generated / "repos"), "--output-dir", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    for file in FILES:
        assert (tmp_path / "out" / file).read_bytes() == (run_path / file).read_bytes(), file


def test_another_seed_gives_another_split(tree: Tree, build: Build) -> None:
    root = tree(labelled_tree(8, 6))
    first, again, other = build(root, "a"), build(root, "b"), build(root, "c", seed=2)
    assert first == again
    assert first.val != other.val


def test_copies_are_kept_once_and_texts_labelled_both_ways_not_at_all(tree: Tree, build: Build) -> None:
    files = labelled_tree()
    extra = {
        "r0/copy.c": files["r1/f1.c"],
        "r1/both.c": c_function("both", 80),
        "r2/both.c": c_function("both", 80) + " ",
    }
    labels = [
        {"file": "r0/copy.c", "function": "f1", "label": 0},
        {"file": "r1/both.c", "function": "both", "label": 0},
        {"file": "r2/both.c", "function": "both", "label": 1},
    ]
    files["labels.jsonl"] += as_lines(labels)
    dataset = build(tree({**files, **extra}))
    assert dataset.stats["copies_left_out"] == 1
    conflicts = dataset.stats["conflicting_labels"]
    assert (conflicts["texts"], conflicts["rows_left_out"]) == (1, 2)
    assert conflicts["shown"] == [["r1/both.c:both:1", "r2/both.c:both:1"]]
    functions = [row["function"] for split in (dataset.train, dataset.val, dataset.test) for row in split]
    assert "both" not in functions
    assert functions.count("f1") == 1


def test_near_copies_in_two_repositories_stay_together(tree: Tree, build: Build) -> None:
    files = labelled_tree(6, 6)
    for number in range(3):
        name = f"r{number}/near.c"
        files[name] = c_function("near", 90, f"  last(b, {number});\n")
        files["labels.jsonl"] += as_lines([{"file": name, "function": "near", "label": 1}])
    dataset = build(tree(files), balance_ratio=None)
    found = [row for split in (dataset.train, dataset.val, dataset.test) for row in split]
    near = {(row["split"], row["group"]) for row in found if row["function"] == "near"}
    assert len(near) == 1
    joined = {row["group"] for row in found if row["repo"] in ("r0", "r1", "r2")}
    assert len(joined) == 1


def test_one_label_only_is_refused_and_changes_nothing(tree: Tree, build: Build, tmp_path: Path) -> None:
    files = labelled_tree()
    before = build(tree(files))
    one = files["labels.jsonl"].replace('"label": 1', '"label": 0')
    with pytest.raises(DataInvalid, match=r"lacks a label \(safe ones only\)"):
        build(tree({"labels.jsonl": one}))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
    assert list(before.train) == list(open_dataset(tmp_path / "out").train)


def test_a_ratio_that_cannot_be_met_says_what_could(tree: Tree, build: Build) -> None:
    root = tree(labelled_tree(6, 6))
    with pytest.raises(DataInvalid, match=r"balance_ratio=0\.99 cannot be met.*ratios from .* to .* can be met"):
        build(root, balance_ratio=0.99)
    assert build(root, balance_ratio=0.25).stats["splits"]["train"]["ratio"] == pytest.approx(0.25, abs=0.03)


def test_two_groups_cannot_be_split(tree: Tree, build: Build) -> None:
    root = tree({"r/a.c": c_function("f", 1), "r/b.c": c_function("g", 2)})
    with pytest.raises(DataInvalid, match="2 groups that must not be divided"):
        build(root)


def test_a_job_that_is_asked_to_stop_leaves_nothing(generated: Path, tmp_path: Path) -> None:
    calls = iter(range(10_000))
    context = JobContext(tmp_path, tmp_path, EventStream(), stop_requested=lambda: next(calls) > 600)
    with pytest.raises(Interrupted):
        run(BalanceSettings(repos_root=generated / "repos"), context)
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_code(tree: Tree, build: Build) -> None:
    """Five times the code in as many functions: the peak grows by far less than the code."""

    def peak(folder: str, lines: int) -> int:
        body = "".join(f"  call_{k}(b, {k});\n" for k in range(lines))
        files = {f"{folder}/r{n}/f{n}.c": c_function(f"f{n}", n, body.replace("call", f"c{n}")) for n in range(60)}
        root = tree(files) / folder
        tracemalloc.start()
        dataset: BalancedDataset = build(root, folder)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(dataset.train) == 48
        assert sum(path.stat().st_size for path in root.rglob("*.c")) > 60 * 18 * lines
        return found

    peak("warm", 10)
    small, large = peak("small", 60), peak("large", 300)
    assert large - small < 60 * 18 * (300 - 60) / 4


def test_training_stays_balanced_where_only_one_label_has_variants(tree: Tree, build: Build) -> None:
    files = labelled_tree(8, 8)
    for line in files["labels.jsonl"].splitlines():
        label = json.loads(line)
        if label["label"]:  # it has no name of its own that could be changed
            number = int(label["function"][1:])
            files[label["file"]] = f"void {label['function']}(void)\n{{\n  stop{number}();\n}}\n"
    renaming = {f"enable_{name}": False for name in ("shuffle", "whitespace", "comment")}
    dataset = build(tree(files), augment_k=3, augment=renaming)
    train = dataset.stats["splits"]["train"]
    written = Counter(row["label"] for row in dataset.train)
    assert train["ratio"] == 0.5
    assert train["ratio_with_variants"] == written[1] / (written[0] + written[1])
    assert abs(written[1] - written[0]) <= 1
    augmentation = dataset.stats["augmentation"]
    assert augmentation["variants_left_out_by_balance"] == augmentation["variants"] - train["variants"] > 0
    assert sum(row["augmented_from"] is not None for row in dataset.train) == train["variants"]
    assert dataset.stats["pairs"]["train"].get("augmented", 0) == train["variants"]


def test_files_instead_of_repositories_are_told_with_the_reason(
    tree: Tree, build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    root = tree(labelled_tree(2, 30))
    reason = "repositories, joined with what does the same, make 2 of the 3 groups needed"
    assert build(root).stats["split_by_fallback"] == reason
    assert reason in caplog.text
    caplog.clear()
    assert build(root, split_by="file").stats["split_by_fallback"] is None
    assert build(tree(labelled_tree(12, 5))).stats["split_by_fallback"] is None
    assert "repositories" not in caplog.text


def test_what_folders_and_files_of_the_data_are_called_here_changes_nothing(
    tree: Tree, build: Build, tmp_path: Path
) -> None:
    files = {name.partition("/")[2]: text for name, text in labelled_tree(1, 30).items() if "/" in name}
    labels = [{"file": f"f{number}.c", "function": f"f{number}", "label": number % 2} for number in range(30)]
    text = as_lines([*labels, {"file": "x" * 2_000_000, "function": "f", "label": 1}])
    root = tree(files)
    (tmp_path / "mine.jsonl").write_text(text)
    here = build(root, "here", labels=tmp_path / "mine.jsonl")
    moved = root.rename(tmp_path / "elsewhere")
    (tmp_path / "yours.jsonl").write_text(text)
    there = build(moved, "there", labels=tmp_path / "yours.jsonl")
    assert {row["repo"] for row in here.train} == {"."}
    assert here.stats["left_out"]["line_too_long"]["shown"] == ["labels, line 31"]
    assert here == there
