"""Metrics of order against their definitions, list by list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.retrieval.candidate_lists import CandidateList
from models.training.list_metrics import list_metrics
from models.training.ranked_lists import Candidates, RankedLists, flat_features, flat_relevant

Judged = list[list[tuple[int, int]]]


def examples_of(lists: Judged, missing: int = 0) -> tuple[RankedLists, np.ndarray]:
    """Lists of (score, relevant), and their scores as a table with spoilt filling."""
    entries = [
        CandidateList(
            str(number),
            str(number),
            None,
            tuple(map(str, range(len(candidates)))),
            tuple(right for _, right in candidates),
            ((0.0,),) * len(candidates),
            sum(right for _, right in candidates) + missing,
            "valid",
        )
        for number, candidates in enumerate(lists)
    ]
    rows = np.zeros(sum(map(len, lists)), dtype=np.int64)
    candidates = Candidates(rows, rows, flat_features(entries), flat_relevant(entries), rows + 1)
    table = np.full((len(lists), max(map(len, lists))), 99.0, dtype=np.float32)
    for row, scored in enumerate(lists):
        table[row, : len(scored)] = [score for score, _ in scored]
    return RankedLists(Path("lists.jsonl"), entries, candidates, np.arange(len(lists))), table


def written_out(lists: Judged, missing: int) -> dict[str, float]:
    found: dict[str, list[float]] = {"mrr": [], "top_1": [], "map": [], "recall_1": [], "recall_5": [], "recall_10": []}
    for candidates in lists:
        if len({right for _, right in candidates}) < 2:
            continue
        order = sorted(candidates, key=lambda each: (-each[0], each[1]))  # of equal scores the wrong one first
        places = [place for place, (_, right) in enumerate(order, start=1) if right]
        in_pool = len(places) + missing
        found["mrr"].append(1 / places[0])
        found["top_1"].append(float(places[0] == 1))
        found["map"].append(sum(number / place for number, place in enumerate(places, start=1)) / in_pool)
        for k in (1, 5, 10):
            found[f"recall_{k}"].append(sum(place <= k for place in places) / in_pool)
    return {f"val_{name}": sum(values) / len(values) for name, values in found.items()}


@given(
    lists=st.lists(
        st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 1)), min_size=1, max_size=12), min_size=1, max_size=6
    ).filter(lambda lists: any(len({right for _, right in each}) == 2 for each in lists)),
    missing=st.integers(0, 3),
)
def test_they_are_what_their_definitions_say_over_lists_with_both_labels(lists: Judged, missing: int):
    found = list_metrics(*examples_of(lists, missing))
    expected = written_out(lists, missing)
    assert found == pytest.approx({**expected, "selection": expected["val_mrr"]})


def test_a_constant_score_earns_what_the_worst_order_earns():
    found = list_metrics(*examples_of([[(0, 1), (0, 0), (0, 0), (0, 0)]]))
    assert found["val_mrr"] == 0.25
    assert found["val_top_1"] == 0.0
