"""Exact search: FAISS against plain numpy, equal vectors, ties, depth, chunks."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.retrieval import search
from models.evaluation.retrieval.search import Pool, chunks_of, ordered_by_scores


def unit(random, *shape):
    vectors = random.standard_normal(shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def found_by(pool, queries, depth):
    parts = list(pool.search(queries, depth))
    assert [int(row) for part in parts for row in part.queries] == list(range(len(queries)))
    return np.concatenate([part.order for part in parts]), np.concatenate([part.scores for part in parts])


@pytest.mark.parametrize("depth", [1, 7, 60, 1000])
def test_the_order_is_that_of_a_plain_sort(depth):
    random = np.random.default_rng(1)
    vectors, queries = unit(random, 60, 8), unit(random, 33, 8)
    order, scores = found_by(Pool(vectors), queries, depth)
    dense = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    expected = np.argsort(-dense, axis=1, kind="stable")[:, :depth]
    assert (order == expected).all()
    assert np.allclose(scores, np.take_along_axis(dense, expected, axis=1), atol=1e-6)


@pytest.mark.parametrize("depth", [3, 30])
def test_equal_vectors_score_exactly_the_same_and_come_by_row(depth):
    random = np.random.default_rng(2)
    different = unit(random, 10, 130)
    copies = random.permutation(np.repeat(np.arange(10), 3))
    order, scores = found_by(Pool(different[copies]), unit(random, 21, 130), depth)
    for row, values in zip(order, scores, strict=True):
        assert len(set(row.tolist())) == len(row)
        for start in range(0, len(row), 3):
            assert len(set(copies[row[start : start + 3]].tolist())) == 1
            assert len(set(values[start : start + 3].tolist())) == 1
            assert row[start : start + 3].tolist() == sorted(row[start : start + 3].tolist())


@pytest.mark.parametrize("num_queries", [3, 40])
@pytest.mark.parametrize("depth", [1, 2, 5, 30, 120])
def test_ties_of_different_vectors_are_cut_by_row(depth, num_queries):
    """Small whole numbers score exactly, and alike more often than not."""
    random = np.random.default_rng(7)
    vectors = random.integers(0, 2, (200, 7)).astype(np.float32)
    queries = random.integers(0, 2, (num_queries, 7)).astype(np.float32)
    order, scores = found_by(Pool(vectors), queries, depth)
    dense = queries @ vectors.T
    expected = np.argsort(-dense, axis=1, kind="stable")[:, :depth]
    assert (order == expected).all()
    assert (scores == np.take_along_axis(dense, expected, axis=1)).all()


def test_an_encoder_that_gives_one_vector_for_all_ties_everything():
    vectors = np.repeat(unit(np.random.default_rng(3), 1, 48), 300, axis=0)
    order, scores = found_by(Pool(vectors), vectors[:40], 300)
    assert (order == np.arange(300)).all()
    assert len(np.unique(scores)) == 1


def test_how_queries_are_cut_changes_no_order(monkeypatch):
    random = np.random.default_rng(4)
    vectors = unit(random, 90, 8)
    whole, _ = found_by(Pool(vectors), vectors, 20)
    monkeypatch.setattr(search, "QUERIES_AT_ONCE", 30)
    cut, _ = found_by(Pool(vectors), vectors, 20)
    assert (whole == cut).all()


def test_chunks_stay_small_and_hold_every_query(monkeypatch):
    monkeypatch.setattr(search, "CHUNK_ENTRIES", 100)
    chunks = list(chunks_of(25, 30))
    assert max(map(len, chunks)) * 30 <= 100
    assert np.concatenate(chunks).tolist() == list(range(25))


def test_the_whole_order_is_that_of_the_nearest_and_equal_vectors_score_the_same():
    random = np.random.default_rng(6)
    pool = Pool(unit(random, 40, 130)[np.repeat(np.arange(40), 2)])
    queries = unit(random, 33, 130)
    nearest, scores = found_by(pool, queries, 80)
    whole = next(pool.order_all(queries))
    assert (np.sort(whole.order[:, ::2] // 2, axis=1) == np.arange(40)).all()
    assert (whole.order // 2 == nearest // 2).all()
    assert (whole.scores[:, ::2] == whole.scores[:, 1::2]).all()
    assert np.allclose(whole.scores, scores, atol=1e-6)


def test_dense_scores_in_order():
    found = ordered_by_scores(np.array([5]), np.array([[0.0, 2.0, 1.0, 3.0]]))
    assert found.order.tolist() == [[3, 1, 2, 0]]
    assert found.scores.tolist() == [[3.0, 2.0, 1.0, 0.0]]
