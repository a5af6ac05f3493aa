"""Lists as records: no micro-batch divides one, candidates keep their places, whole lists are left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.data.retrieval.candidate_lists import CandidateList, list_line
from models.errors import DataInvalid, SettingsInvalid
from models.training.ranked_lists import (
    Candidates,
    RankedLists,
    flat_features,
    flat_relevant,
    padded,
    require_mixed,
    within_triples,
)


def entry(number: int, relevant: tuple[int, ...]) -> CandidateList:
    names = tuple(f"{number}-{place}" for place in range(len(relevant)))
    return CandidateList(f"l{number}", f"g{number}", None, names, relevant, ((1.0,),) * len(relevant), 1, "train")


def lists_of(sizes: list[list[int]]) -> RankedLists:
    """Lists whose candidates take so much."""
    entries = [entry(number, (0,) * len(candidates)) for number, candidates in enumerate(sizes)]
    flat = np.array([size for candidates in sizes for size in candidates], dtype=np.int64)
    rows = np.arange(len(flat))
    candidates = Candidates(rows, rows, flat_features(entries), flat_relevant(entries), flat)
    return RankedLists(Path("lists.jsonl"), entries, candidates, np.arange(len(sizes)))


sizes_of_lists = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=8), min_size=1, max_size=12)


@given(sizes=sizes_of_lists, budget=st.integers(1, 400), data=st.data())
def test_micro_batches_hold_each_list_once_and_whole_and_stay_within_the_budget(
    sizes: list[list[int]], budget: int, data: st.DataObject
):
    examples = lists_of(sizes)
    records = np.array(data.draw(st.permutations(range(len(sizes)))), dtype=np.int64)
    parts = examples.cut(records, budget)
    assert sorted(np.concatenate(parts).tolist()) == sorted(records.tolist())
    for part in parts:
        area = sum(len(sizes[row]) for row in part) * max(max(sizes[row]) for row in part)
        assert examples.cost(part) == area
        assert area <= budget or len(part) == 1
    assert examples.sizes.tolist() == [len(each) * max(each) for each in sizes]


@given(sizes=sizes_of_lists, data=st.data())
def test_candidates_come_list_by_list_in_the_order_that_is_asked_for(sizes: list[list[int]], data: st.DataObject):
    numbers = list(np.split(np.arange(sum(map(len, sizes))), np.cumsum([len(each) for each in sizes])[:-1]))
    rows = np.array(data.draw(st.lists(st.integers(0, len(sizes) - 1), min_size=1, max_size=9)), dtype=np.int64)
    examples, only = lists_of(sizes), lists_of(sizes).only(rows)
    expected = np.concatenate([numbers[row] for row in rows])
    assert examples.candidates_of(rows).tolist() == expected.tolist()
    assert only.candidates_of(np.arange(len(rows))).tolist() == expected.tolist()
    assert only.ids == [f"l{row}" for row in rows]
    there = torch.from_numpy(examples.there(rows))
    table = padded(torch.from_numpy(expected) + 1, there)
    for row, values in zip(rows, table.tolist(), strict=True):
        assert values == [*(numbers[row] + 1).tolist(), *[0] * (table.shape[1] - len(numbers[row]))]


def test_a_part_looks_at_its_own_lists_alone():
    """Lists that are no lists anywhere else: a part that looked at them would fail."""
    examples = lists_of([[1, 2], [3], [4, 5, 6]])
    lists: Any = examples._file.lists
    lists[0] = lists[2] = None
    part = examples.only(np.array([1]))
    assert (part.ids, part.num_candidates.tolist(), part.sizes.tolist()) == (["l1"], [1], [3])
    assert part.candidates_of(np.array([0])).tolist() == [2]


def test_whole_lists_are_left_out_beyond_the_triples_that_are_asked_for():
    lists = [entry(0, (1, 0, 0)), entry(1, (1, 1, 0)), entry(2, (1, 0))]  # 2, 2 and 1 triples
    assert within_triples(lists, None) == lists
    assert within_triples(lists, 5) == lists
    assert within_triples(lists, 4) == lists[:2]
    assert within_triples(lists, 3) == lists[:1]
    with pytest.raises(SettingsInvalid, match=r"max_triples 1: the first list alone has 2"):
        within_triples(lists, 1)


def test_lists_of_one_label_alone_choose_no_epoch(tmp_path: Path):
    path = tmp_path / "valid.jsonl"
    path.write_bytes(list_line(entry(0, (1, 1))) + list_line(entry(1, (0,))))
    with pytest.raises(DataInvalid, match="no list holds both right and wrong candidates"):
        require_mixed(path)
