from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.fold_dealing import TrainingRows, deal_by_group, deal_by_project, joined_rows
from models.data.fold_file import NEVER
from models.errors import DataInvalid

PATH = Path("train.jsonl")


def rows_of(labels: list[int], groups: list[str], projects: list[str] | None = None) -> TrainingRows:
    return TrainingRows(PATH, [f"r{row}" for row in range(len(labels))], labels, groups, projects or [""] * len(labels))


@st.composite
def some_rows(draw: st.DrawFn) -> tuple[TrainingRows, list[tuple[int, int]]]:
    """Commits of up to five rows with a project each, and copies that tie some of them together."""
    num_rows = draw(st.integers(24, 60))
    commits = draw(st.lists(st.integers(0, num_rows), min_size=num_rows, max_size=num_rows))
    labels = draw(st.lists(st.integers(0, 1), min_size=num_rows, max_size=num_rows))
    row = st.integers(0, num_rows - 1)
    copies = draw(st.lists(st.tuples(row, row), max_size=8))
    projects = draw(st.lists(st.sampled_from(["p", "q", "s", ""]), min_size=num_rows, max_size=num_rows))
    return rows_of(labels, [f"c{commit}" for commit in commits], projects), copies


@given(some_rows(), st.integers(2, 4), st.integers(0, 2**40))
@settings(max_examples=60, deadline=None)
def test_every_record_is_in_one_fold_and_no_component_in_two(
    given_rows: tuple[TrainingRows, list[tuple[int, int]]], num_folds: int, seed: int
):
    rows, copies = given_rows
    joined = joined_rows(rows.groups, copies)
    try:
        deal = deal_by_group(rows, joined, num_folds=num_folds, seed=seed)
    except DataInvalid:
        return
    assert set(deal.fold.tolist()) == set(range(num_folds))
    kept_together = [*copies, *((rows.groups.index(group), row) for row, group in enumerate(rows.groups))]
    assert all(deal.fold[left] == deal.fold[right] for left, right in kept_together)
    labels = np.array(rows.labels)
    assert all(set(labels[deal.fold == number]) == {0, 1} for number in range(num_folds))
    again = deal_by_group(rows, joined, num_folds=num_folds, seed=seed)
    assert again.fold.tolist() == deal.fold.tolist()


@given(some_rows(), st.integers(2, 4))
@settings(max_examples=60, deadline=None)
def test_projects_stay_whole_and_what_they_share_is_never_held_out(
    given_rows: tuple[TrainingRows, list[tuple[int, int]]], num_folds: int
):
    rows, copies = given_rows
    joined = joined_rows(rows.groups, copies)
    try:
        deal = deal_by_project(rows, joined, num_folds=num_folds, seed=1)
    except DataInvalid:
        return
    fold_of: dict[str, int] = {}
    for project, fold in zip(rows.projects, deal.fold.tolist(), strict=True):
        if fold != NEVER:
            assert project
            assert fold_of.setdefault(project, fold) == fold
    folds_of_component: dict[int, set[int]] = {}
    for first, fold in zip(joined.tolist(), deal.fold.tolist(), strict=True):
        folds_of_component.setdefault(first, set()).add(fold)
    assert all(len(folds) == 1 for folds in folds_of_component.values())
    assert deal.num_folds == min(num_folds, len(fold_of)) == len(set(fold_of.values()))


@given(st.integers(20, 200), st.integers(20, 200), st.integers(2, 8), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_labels_of_ungrouped_records_are_dealt_out_evenly(num_zero: int, num_one: int, num_folds: int, seed: int):
    rows = rows_of([0] * num_zero + [1] * num_one, [str(row) for row in range(num_zero + num_one)])
    deal = deal_by_group(rows, np.arange(len(rows)), num_folds=num_folds, seed=seed)
    for label, total in ((0, num_zero), (1, num_one)):
        counts = Counter(deal.fold[np.array(rows.labels) == label].tolist())
        assert sum(counts.values()) == total
        assert max(counts.values()) - min(counts.values()) <= 1


def test_labels_of_grouped_records_are_dealt_out_nearly_evenly():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 9, 400)
    groups = [f"c{group}" for group, size in enumerate(sizes) for _ in range(size)]
    rows = rows_of((rng.random(len(groups)) < 0.3).astype(int).tolist(), groups)
    deal = deal_by_group(rows, joined_rows(groups, []), num_folds=5, seed=0)
    labels = np.array(rows.labels)
    shares = [labels[deal.fold == number].mean() for number in range(5)]
    assert max(shares) - min(shares) < 0.02
    other = deal_by_group(rows, joined_rows(groups, []), num_folds=5, seed=1)
    assert other.fold.tolist() != deal.fold.tolist()


def test_a_copy_joins_whole_commits():
    groups = ["a", "a", "b", "b", "c", "c"]
    assert joined_rows(groups, [(1, 2)]).tolist() == [0, 0, 0, 0, 4, 4]


def test_one_commit_in_two_spellings_stays_together():
    hashed = "c0ffee" * 6 + "abcd"
    assert joined_rows([hashed, "x", hashed.upper(), "X"], []).tolist() == [0, 1, 0, 3]


def test_one_project_in_several_spellings_is_one_fold():
    projects = ["FFmpeg", "ffmpeg", "FFmpeg/ffmpeg", "ffmpeg", "linux", "torvalds/linux", "Linux", "linux"]
    rows = rows_of([0, 1] * 4, [str(row) for row in range(8)], projects)
    deal = deal_by_project(rows, joined_rows(rows.groups, [(0, 1), (4, 5)]), num_folds=5, seed=0)
    assert deal.num_folds == 2
    assert len(set(deal.fold[:4].tolist())) == len(set(deal.fold[4:].tolist())) == 1
    assert NEVER not in deal.fold


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        ([0, 1, 0, 1], ["a", "a", "b", "b"], "2 groups .* cannot fill num_folds=3 folds; give num_folds=2 or fewer"),
        ([0, 1, 0, 1], ["a"] * 4, "1 groups .*; give more records"),
        ([0, 0, 0, 0, 1, 1], list("abcdef"), "only 2 records of one label for 3 folds.* num_folds=2 or fewer"),
        ([0] * 9, list("abcdefghi"), "only 0 records of one label for 3 folds.* give more records"),
        ([0, 0, 0, 1, 1, 1], ["a", "b", "c", "d", "d", "d"], "fold . of 3 has only label 0"),
    ],
)
def test_folds_that_could_not_be_measured_are_refused(labels: list[int], groups: list[str], message: str):
    rows = rows_of(labels, groups)
    with pytest.raises(DataInvalid, match=message):
        deal_by_group(rows, joined_rows(groups, []), num_folds=3, seed=0)


@pytest.mark.parametrize(
    ("labels", "projects", "message"),
    [
        ([0, 1] * 4, ["p"] * 8, "there is only 'p'; cut them by group"),
        ([0, 1] * 4, [""] * 8, "there is none; cut them by group"),
        ([0, 1] * 2 + [0] * 4, ["p"] * 4 + ["q"] * 4, "fold . of 2 has only label 0"),
    ],
)
def test_projects_that_make_no_folds_are_refused(labels: list[int], projects: list[str], message: str):
    rows = rows_of(labels, [str(row) for row in range(8)], projects)
    with pytest.raises(DataInvalid, match=message):
        deal_by_project(rows, np.arange(8), num_folds=3, seed=0)


def test_a_near_copy_in_another_project_is_learnt_from_always():
    projects = ["p"] * 4 + ["q"] * 4 + ["", ""]
    rows = rows_of([0, 1] * 5, [str(row) for row in range(10)], projects)
    joined = joined_rows(rows.groups, [(0, 4), (1, 8)])
    deal = deal_by_project(rows, joined, num_folds=5, seed=0)
    assert np.flatnonzero(deal.fold == NEVER).tolist() == [0, 1, 4, 8, 9]
    assert deal.num_folds == 2
    assert deal.fold[2] == deal.fold[3] != deal.fold[5] == deal.fold[7]
