"""Ranks of positives against a count by hand: masked, pessimistic where texts lie equally near."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training import pair_ranking
from models.training.pair_ranking import PairRanks, pair_ranks, ranking_metrics


@given(
    pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=12),
    levels=st.integers(1, 3),
    seed=st.integers(0, 500),
)
def test_ranks_are_what_a_count_says(pairs: list[tuple[int, int]], levels: int, seed: int):
    rng = np.random.default_rng(seed)
    match = np.array([match for match, _ in pairs])
    text = match * 10 + np.array([number for _, number in pairs])  # a text does one thing
    vectors = {name: rng.integers(0, levels, 3).astype(np.float32) for name in sorted(set(text.tolist()))}
    positives = np.stack([vectors[name] for name in text.tolist()])
    anchors = rng.integers(0, levels, (len(pairs), 3)).astype(np.float32)
    found = pair_ranks(anchors, positives, text_N=text, match_N=match)
    for row in range(len(pairs)):
        others = {name for name in vectors if name // 10 != match[row]}
        nearer = [name for name in others if anchors[row] @ vectors[name] >= anchors[row] @ positives[row]]
        assert (found.rank[row], found.num_candidates[row]) == (1 + len(nearer), 1 + len(others))


def test_equal_embeddings_earn_nothing():
    vectors = np.full((6, 2), np.sqrt(0.5), dtype=np.float32)
    ranks = pair_ranks(vectors, vectors, text_N=np.arange(6), match_N=np.arange(6))
    assert ranks.rank.tolist() == [6] * 6
    assert ranks.cosine == pytest.approx(np.ones(6))


def test_many_anchors_are_ranked_some_at_a_time(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    anchors, positives = rng.standard_normal((2, 50, 4)).astype(np.float32)
    whole = pair_ranks(anchors, positives, text_N=np.arange(50), match_N=np.arange(50))
    monkeypatch.setattr(pair_ranking, "ANCHORS_AT_ONCE", 7)
    cut = pair_ranks(anchors, positives, text_N=np.arange(50), match_N=np.arange(50))
    assert np.array_equal(whole.rank, cut.rank)


def test_metrics_are_means_over_the_pairs():
    ranks = PairRanks(np.array([1, 2, 6, 20]), np.array([30, 30, 30, 10]), np.zeros(4, dtype=np.float32))
    metrics = ranking_metrics(ranks)
    assert metrics.pop("selection") == metrics["val_mrr"]
    assert metrics == pytest.approx(
        {
            "val_mrr": (1 + 1 / 2 + 1 / 6 + 1 / 20) / 4,
            "val_recall_1": 0.25,
            "val_recall_5": 0.5,
            "val_recall_10": 0.75,
            "val_num_candidates": 25.0,
        }
    )
