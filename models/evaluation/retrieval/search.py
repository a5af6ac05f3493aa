"""Exact search by inner product on one thread, a few queries at a time: the nearest by FAISS, or the whole order.

Equal vectors are searched once and found together, so that they always score the same: a matrix product may give equal
rows other last digits, and ties would be broken by chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.evaluation.retrieval.embedded import Vectors

CHUNK_ENTRIES = 1_000_000
"""Entries of a temporary array (queries times depth)."""
QUERIES_AT_ONCE = 512
TIES_GROWTH = 4
"""How many times more are asked for where more score alike than were."""

Integers = npt.NDArray[np.int64]
Scores = npt.NDArray[np.floating]


class Ordered(NamedTuple):
    """What some queries find.

    Args:
        queries: ``(Q,)`` their numbers, a run of them.
        order: ``(Q, K)`` rows of the pool, best first.
        scores: ``(Q, K)`` falling in each row.
    """

    queries: Integers
    order: Integers
    scores: Scores


class Pool:
    """Vectors that are searched.

    Args:
        vectors: ``(N, d)`` float32.
    """

    def __init__(self, vectors: Vectors) -> None:
        import faiss

        vectors = np.ascontiguousarray(vectors + np.float32(0.0))  # a minus zero is a zero
        rows_as_bytes = vectors.view(np.dtype((np.void, vectors.shape[1] * vectors.itemsize))).ravel()
        _, first, inverse = np.unique(rows_as_bytes, return_index=True, return_inverse=True)
        self._members = np.argsort(inverse, kind="stable").astype(np.int64)
        self._sizes = np.bincount(inverse).astype(np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(vectors[first])
        self._different = vectors[first]
        self._number_of = inverse.ravel()

    def __len__(self) -> int:
        return len(self._number_of)

    def search(self, queries: Vectors, depth: int) -> Iterator[Ordered]:
        """The ``depth`` nearest of the pool, or all where there are fewer; of equal scores the smaller row first.

        Args:
            queries: ``(Q, d)`` float32.
            depth: ``K``, 1 or more.
        """
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        depth = min(depth, len(self))
        for rows in chunks_of(len(queries), depth):
            with threadpool_limits(limits=1):  # a sum in another order of threads would give other last digits
                found, scores = self._beyond_ties(np.ascontiguousarray(queries[rows]), depth)
            yield Ordered(rows, *self._with_copies(found, scores, depth))

    def order_all(self, queries: Vectors) -> Iterator[Ordered]:
        """The whole pool in order, which is faster so than by its nearest; equal scores in any order."""
        from threadpoolctl import threadpool_limits

        for rows in chunks_of(len(queries), len(self)):
            with threadpool_limits(limits=1):
                scores = queries[rows] @ self._different.T
            yield ordered_by_scores(rows, scores[:, self._number_of])

    def _beyond_ties(self, queries: Vectors, depth: int) -> tuple[Integers, Scores]:
        """Different vectors, best first, as many as the cut needs: all that score as the last of ``depth`` rows do.

        FAISS keeps which it likes of those; they are all asked for, and cut by their rows.
        """
        num_asked = depth
        while True:
            num_asked = min(num_asked + 1, self._index.ntotal)
            scores, found = self._index.search(queries, num_asked)
            at_cut = (np.cumsum(self._sizes[found], axis=1) >= depth).argmax(axis=1)
            is_cut_in_tie = scores[:, -1] == scores[np.arange(len(queries)), at_cut]
            if num_asked == self._index.ntotal or not is_cut_in_tie.any():
                return found, scores
            num_asked *= TIES_GROWTH

    def _with_copies(self, found: Integers, scores: Scores, depth: int) -> tuple[Integers, Scores]:
        """Rows of the pool instead of different vectors: ``depth`` of each query, equal scores in the order of rows."""
        sizes = self._sizes[found]
        per_query = sizes.sum(axis=1)
        rows = self._members[np.repeat(self._starts[found].ravel(), sizes.ravel()) + _counted(sizes.ravel())]
        of_rows = np.repeat(scores.ravel(), sizes.ravel())
        order = np.lexsort((rows, -of_rows, np.repeat(np.arange(len(found)), per_query)))
        kept = order[_counted(per_query) < depth]
        return rows[kept].reshape(-1, depth), of_rows[kept].reshape(-1, depth)


def ordered_by_scores(queries: Integers, scores: Scores) -> Ordered:
    """The whole pool in the order of dense scores ``(Q, N)``; equal ones in any order."""
    order = np.argsort(-scores, axis=1)
    return Ordered(queries, order.astype(np.int64, copy=False), np.take_along_axis(scores, order, axis=1))


def chunks_of(num_queries: int, depth: int) -> Iterator[Integers]:
    """Runs of queries, few enough at a time that an array ``(Q, depth)`` stays small."""
    size = max(1, min(QUERIES_AT_ONCE, CHUNK_ENTRIES // max(depth, 1)))
    for start in range(0, num_queries, size):
        yield np.arange(start, min(start + size, num_queries), dtype=np.int64)


def _counted(sizes: Integers) -> Integers:
    """``0 … size - 1`` of each, one after the other."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
