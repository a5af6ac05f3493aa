"""Copies and near copies: no tie is lost with a text that is left out, and what is alike is no negative."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.balanced.choosing import ChosenRows, choose_rows
from models.data.balanced.copies import without_copies
from models.data.balanced.grouping import NearCopies
from models.data.balanced.likeness import Likeness, num_across_tasks, share_matches
from models.data.balanced.row_pairs import Negatives, RowPair
from models.data.balanced.samples import CodeSample
from models.data.balanced.spool import UNKNOWN, Facts, Spool
from models.errors import DataInvalid
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.balance import BalanceSettings
from tests.models.data.balanced.small_trees import Build, Tree, as_lines, c_function, labelled_tree


def sample(number: int, **values: Any) -> CodeSample:
    fields = {"label": None, "label_source": "test", "repo": "r", "file": f"f{number}.c", "code": f"code {number}"}
    fields |= {"name": f"row{number}", "language": "c", "function": "f", "line": 1, **values}
    return CodeSample(**fields)


def facts_of(*samples: CodeSample) -> Facts:
    facts = Facts()
    for one in samples:
        facts.add(one)
    return facts


NO_NEAR = NearCopies([], [], complete=True)
samples_of = st.lists(
    st.builds(
        dict,
        code=st.integers(0, 9).map(lambda number: c_function("f", number)),
        label=st.sampled_from([None, 0, 1]),
        match=st.none() | st.integers(0, 9).map("task{}".format),
        group_hint=st.none() | st.integers(0, 9).map("fix{}".format),
    ),
    min_size=6,
    max_size=30,
)


def chosen_of(spool: Spool, ratio: float | None, folder: Path) -> ChosenRows | None:
    context = JobContext(folder, folder, EventStream())
    try:
        return choose_rows(BalanceSettings(repos_root=folder, balance_ratio=ratio), spool, context)
    except DataInvalid:
        return None


@settings(max_examples=60, deadline=None)
@given(samples_of, st.sampled_from([None, 0.5]))
def test_no_hint_and_no_match_of_any_copy_is_divided_between_splits(given_samples, ratio):  # type: ignore[no-untyped-def]
    with tempfile.TemporaryDirectory() as name, Spool(Path(name) / "spool") as spool:
        for number, values in enumerate(given_samples):
            spool.add(sample(number, **values))
        chosen = chosen_of(spool, ratio, Path(name))
        if chosen is None:
            return
        split_of = {given_samples[row]["code"]: split for split, rows in chosen.rows.items() for row in rows}
        for tie in ("match", "group_hint"):
            splits: dict[str, set[str]] = {}
            for values in given_samples:
                if values[tie] is not None and values["code"] in split_of:
                    splits.setdefault(values[tie], set()).add(split_of[values["code"]])
            assert all(len(found) == 1 for found in splits.values())


def test_a_copy_that_is_left_out_hands_on_its_task_and_its_fix() -> None:
    facts = facts_of(
        sample(0, code="x", label=1), sample(1, code="x ", match="a", group_hint="fix"), sample(2, code="x", match="b")
    )
    kept = without_copies(facts)
    assert kept.rows.tolist() == [0]
    assert facts.match_of(0) == "a"
    assert facts.hints[0] == facts.hints[1] != UNKNOWN
    assert kept.tasks == {0: frozenset(facts.matches[row] for row in (1, 2))}


def test_a_text_of_two_tasks_is_a_negative_of_neither() -> None:
    facts = facts_of(
        sample(0, code="x", match="a"), sample(1, code="x", match="b"), sample(2, match="b"), sample(3, match="c")
    )
    kept = without_copies(facts)
    negatives = Negatives(facts, kept.rows.tolist(), 1, Likeness(facts, kept.tasks, NO_NEAR))
    assert negatives.find(RowPair(2, 2, "v")) == 3
    assert negatives.find(RowPair(0, 0, "v")) == 3


def test_near_copies_without_a_task_are_given_one_match_unless_one_is_vulnerable_and_one_is_safe() -> None:
    labels = [1, 1, 0, None, None]
    facts = facts_of(*(sample(number, label=label) for number, label in enumerate(labels)), sample(5, match="a"))
    near = NearCopies([(0, 1)], [(0, 2), (3, 4), (0, 5)], complete=True)
    assert num_across_tasks(facts, near) == 0
    assert share_matches(facts, near) == 4
    assert [facts.match_of(row) for row in range(6)] == ["row0", "row0", "row2", "row3", "row3", "a"]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] < pair[1]), max_size=12))
def test_one_match_never_joins_both_labels(links: list[tuple[int, int]]) -> None:
    labels = [0, 1, None, None, 1, 0, None, 1]
    facts = facts_of(*(sample(number, label=label) for number, label in enumerate(labels)))
    share_matches(facts, NearCopies([], links, complete=True))
    for match in {facts.match_of(row) for row in range(8)}:
        assert not {0, 1} <= {labels[row] for row in range(8) if facts.match_of(row) == match}


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] < pair[1]), max_size=12))
def test_near_copies_of_other_tasks_are_counted_and_are_never_negatives(links: list[tuple[int, int]]) -> None:
    facts = facts_of(*(sample(number, match=f"task{number % 4}") for number in range(8)))
    near = NearCopies([], sorted(set(links)), complete=True)
    assert num_across_tasks(facts, near) == sum((b - a) % 4 > 0 for a, b in set(links))
    negatives = Negatives(facts, range(8), 1, Likeness(facts, {}, near))
    for anchor in range(8):
        found = negatives.find(RowPair(anchor, anchor, "v"))
        alike = {other for pair in links if anchor in pair for other in pair}
        possible = {row for row in range(8) if (row - anchor) % 4} - alike
        assert found in possible if possible else found is None


def test_copies_up_to_their_comments_are_near_copies_of_what_their_first_is() -> None:
    facts = facts_of(*(sample(number, match=f"task{number}") for number in range(5)))
    likeness = Likeness(facts, {}, NearCopies([(0, 2)], [(0, 3)], complete=True))
    found = np.array([[likeness.near_copies(a, b) for b in range(5)] for a in range(5)])
    expected = np.eye(5, dtype=bool)
    for a, b in ((0, 2), (0, 3), (2, 3)):
        expected[a, b] = expected[b, a] = True
    assert (found == expected).all()


def test_near_copies_that_are_given_two_tasks_are_told(
    tree: Tree, build: Build, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = labelled_tree(6, 6)
    for number, task in enumerate(("a", "b", None, None)):
        name = f"r{number}/near.c"
        files[name] = c_function("near", 90 + 5 * (task is None), f"  last(b, {number});\n")
        label = {"file": name, "function": "near", "label": 1, **({} if task is None else {"task": task})}
        files["labels.jsonl"] += as_lines([label])
    dataset = build(tree(files), balance_ratio=None)
    assert dataset.stats["near_copies_across_tasks"] == 1
    assert dataset.stats["near_copies_given_one_match"] == 2
    assert "1 pairs of near copies are given different tasks" in caplog.text
    rows = {row["file"]: row for part in (dataset.train, dataset.val, dataset.test) for row in part}
    assert rows["r2/near.c"]["match"] == rows["r3/near.c"]["match"] == "r2/near.c:near:1"
    pairs = [json.loads(line) for line in (tmp_path / "out" / "pairs.jsonl").read_text().splitlines()]
    assert [pair["match"] for pair in pairs] == ["r2/near.c:near:1"]
