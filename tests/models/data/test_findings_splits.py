"""Files with findings in both train and val go whole to one of them."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from models.data.findings import Finding, Window
from models.data.findings_splits import Separated, separate

STRATEGIES: tuple[Literal["regroup", "drop"], ...] = ("regroup", "drop")


class Splits(NamedTuple):
    train: list[Finding]
    val: list[Finding]


def finding(split: str, file: str, line: int, label: int) -> Finding:
    window = Window((), f"{file} {line}", ())
    return Finding(Path(split), line, split, "use_of_http", "chef", file, line, window, label, "by hand", True)


def splits_of(files: dict[str, tuple[tuple[int, int], tuple[int, int]]], num_copies: int = 0) -> Splits:
    """Findings from true and false ones per file, in train and in val; the first few of train are in val, too."""
    train: list[Finding] = []
    val: list[Finding] = []
    for file, counts in files.items():
        line = itertools.count(1)
        for name, split, (num_true, num_false) in zip(("train", "val"), (train, val), counts, strict=True):
            labels = [1] * num_true + [0] * num_false
            split += [finding(name, file, next(line), label) for label in labels]
    val += [each._replace(path=Path("val"), split="val") for each in train[:num_copies]]
    return Splits(train, val)


COUNTS = st.tuples(st.integers(0, 4), st.integers(0, 4))
FILES = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(COUNTS, COUNTS), max_size=7)
SPLITS = st.builds(splits_of, FILES, st.integers(0, 3))


def groups(findings: Sequence[Finding]) -> set[str]:
    return {each.group for each in findings}


def num_true(findings: Sequence[Finding]) -> int:
    return sum(each.label for each in findings)


def where(separated: Separated) -> dict[str, str]:
    return dict.fromkeys(groups(separated.train), "train") | dict.fromkeys(groups(separated.val), "val")


def without_copies(splits: Splits) -> list[Finding]:
    of_val = {each.place for each in splits.val}
    return [each for each in splits.train if each.place not in of_val]


def nearest_by_trying_all(splits: Splits) -> tuple[int, int]:
    """How far val must be from what it was, in rows and then in true findings, whichever shared files it takes."""
    train = without_copies(splits)
    shared = sorted(groups(train) & groups(splits.val))
    distances = []
    for taken in itertools.product([False, True], repeat=len(shared)):
        to_val = {file for file, is_taken in zip(shared, taken, strict=True) if is_taken}
        val = [each for each in splits.val if each.group not in shared or each.group in to_val]
        val += [each for each in train if each.group in to_val]
        distances.append((abs(len(val) - len(splits.val)), abs(num_true(val) - num_true(splits.val))))
    return min(distances)


@given(SPLITS, st.sampled_from(STRATEGIES))
def test_no_file_is_in_two_splits_afterwards(splits: Splits, strategy: Literal["regroup", "drop"]) -> None:
    separated = separate(*splits, strategy)
    assert not groups(separated.train) & groups(separated.val)


@given(SPLITS)
def test_regrouping_loses_nothing_but_copies_and_moves_whole_shared_files_only(splits: Splits) -> None:
    separated = separate(*splits, "regroup")
    kept = Counter([*without_copies(splits), *splits.val])
    assert Counter([*separated.train, *separated.val]) == kept
    shared = groups(splits.train) & groups(splits.val)
    moved = [each for each in separated.train if each.split == "val"]
    moved += [each for each in separated.val if each.split == "train"]
    assert groups(moved) <= shared


@given(SPLITS)
def test_val_keeps_its_size_as_near_as_any_choice_of_whole_files_gets(splits: Splits) -> None:
    val = separate(*splits, "regroup").val
    assert (abs(len(val) - len(splits.val)), abs(num_true(val) - num_true(splits.val))) == nearest_by_trying_all(splits)


@given(SPLITS, st.sampled_from(STRATEGIES), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    splits: Splits, strategy: Literal["regroup", "drop"], rng: random.Random
) -> None:
    shuffled = Splits(*(rng.sample(each, len(each)) for each in splits))
    expected, found = separate(*splits, strategy), separate(*shuffled, strategy)
    assert where(found) == where(expected)
    assert found.report == expected.report
    assert Counter(found.train) == Counter(expected.train)
    assert Counter(found.val) == Counter(expected.val)


@given(SPLITS)
def test_dropping_leaves_val_alone_and_takes_shared_files_out_of_train(splits: Splits) -> None:
    separated = separate(*splits, "drop")
    assert separated.val == splits.val
    assert separated.train == [each for each in splits.train if each.group not in groups(splits.val)]
    report = separated.report
    assert report["rows_dropped"] + report["copies_left_out"] + len(separated.train) == len(splits.train)
    assert (report["rows_moved_to_train"], report["rows_moved_to_val"], report["files_to_train"]) == (0, 0, 0)


@given(SPLITS)
def test_the_counts_add_up(splits: Splits) -> None:
    separated = separate(*splits, "regroup")
    report = separated.report
    assert report["files"] == len(groups(splits.train) & groups(splits.val))
    assert report["files"] == report["files_to_train"] + report["files_to_val"]
    assert report["val_rows"] == {"before": len(splits.val), "after": len(separated.val)}
    assert report["val_true"] == {"before": num_true(splits.val), "after": num_true(separated.val)}
    moved = report["rows_moved_to_val"] - report["rows_moved_to_train"]
    assert len(separated.val) - len(splits.val) == moved
    assert len(separated.train) == len(splits.train) - report["copies_left_out"] - moved
    assert report["rows_dropped"] == 0


def test_what_is_done_with_a_few_files_is_told() -> None:
    #                    train: true, false; val: true, false
    splits = splits_of({
        "alone": ((2, 2), (0, 0)),
        "of val": ((0, 0), (1, 1)),
        "more in train": ((2, 1), (1, 0)),
        "more in val": ((1, 0), (2, 1)),
    })  # fmt: skip
    regrouped = separate(*splits, "regroup")
    assert regrouped.report == {
        "strategy": "regroup",
        "files": 2,
        "rows_in_train": 4,
        "rows_in_val": 4,
        "copies_left_out": 0,
        "files_to_train": 1,
        "files_to_val": 1,
        "rows_moved_to_train": 1,
        "rows_moved_to_val": 1,
        "rows_dropped": 0,
        "val_rows": {"before": 6, "after": 6},
        "val_true": {"before": 4, "after": 4},
    }
    # Either file would do; each stays where it has more rows.
    assert where(regrouped)["chef/more in val"] == "val"
    assert [(each.file, each.split) for each in regrouped.train[-2:]] == [
        ("more in train", "train"),
        ("more in train", "val"),
    ]
    dropped = separate(*splits, "drop")
    assert dropped.report["rows_dropped"] == 4
    assert {each.file for each in dropped.train} == {"alone"}


def test_a_finding_in_both_stays_in_val_only() -> None:
    splits = splits_of({"a": ((2, 1), (1, 1)), "b": ((3, 3), (0, 0))}, num_copies=1)
    separated = separate(*splits, "regroup")
    assert separated.report["copies_left_out"] == 1
    places = [each.place for each in (*separated.train, *separated.val)]
    assert len(places) == len(set(places)) == len({each.place for each in (*splits.train, *splits.val)})


def test_a_file_of_which_train_has_copies_only_is_of_val_afterwards() -> None:
    splits = splits_of({"a": ((1, 1), (0, 0)), "b": ((2, 2), (1, 1))}, num_copies=2)
    separated = separate(*splits, "drop")
    assert separated.report | {"files": 2, "files_to_val": 2, "copies_left_out": 2} == separated.report
    assert separated.train == []
