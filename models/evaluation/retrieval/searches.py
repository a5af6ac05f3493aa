"""Which texts are asked with, in which pool, and which of it are relevant: the whole pool, and by language.

A text is never in its own pool. Everything else that does the same is relevant, exact copies included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.retrieval.rank_metrics import TieGroups, measure
from models.evaluation.retrieval.search import Ordered
from models.evaluation.retrieval.texts import Integers, Texts, numbered

Floats = npt.NDArray[np.float64]

SEARCHES = {
    "all": "every other text",
    "same_language": "every other text in the language of the query",
    "across_languages": "every text in another language than the query's",
}
ALL = "all"


@dataclass(frozen=True)
class Question:
    """What is searched.

    Args:
        texts: The pool.
        rows: ``(Q,)`` rows of the texts that are asked with.
        matches: ``(N,)`` a number for what each does the same as.
        languages: ``(N,)`` a number for the language of each.
    """

    texts: Texts
    rows: Integers
    matches: Integers
    languages: Integers

    def num_relevant(self, search: str) -> Integers:
        """``(Q,)`` relevant texts in the pool of each query."""
        return self._counted(self.matches, search)

    def pool_sizes(self, search: str) -> Integers:
        """``(Q,)`` texts in the pool of each query, itself not counted."""
        return self._counted(np.zeros_like(self.matches), search)

    def _counted(self, keys: Integers, search: str) -> Integers:
        """``(Q,)`` other texts with the query's key in its pool."""
        of_key = np.bincount(keys)[keys]
        both = keys * (self.languages.max() + 1) + self.languages
        same = np.unique(both, return_inverse=True, return_counts=True)
        of_both = same[2][same[1].ravel()]
        counted = {ALL: of_key - 1, "same_language": of_both - 1, "across_languages": of_key - of_both}
        return np.asarray(counted[search][self.rows], dtype=np.int64)


@dataclass(frozen=True)
class Measure:
    """One system's values in one search.

    Args:
        queries: ``(Q',)`` numbers of the queries that have a relevant text in this pool.
        values: ``(Q',)`` of each metric.
        first_rank: ``(Q',)`` pessimistic rank of the first relevant text.
    """

    queries: Integers
    values: dict[str, Floats]
    first_rank: Integers


def queries_of(texts: Texts, *, max_queries: int | None, seed: int) -> tuple[Question, int]:
    """The texts that others do the same as, all or so many drawn; and how many there are.

    Args:
        texts: The pool.
        max_queries: Drawn without replacement; ``None``: all.
        seed: Seed of the draw.
    """
    counts = Counter(texts.matches)
    rows = np.array([row for row, match in enumerate(texts.matches) if counts[match] > 1], dtype=np.int64)
    asked = drawn_rows(rows, max_queries, seed)
    return Question(texts, asked, numbered(texts.matches), numbered(texts.languages)), len(rows)


def drawn_rows(rows: Integers, most: int | None, seed: int) -> Integers:
    """At most so many of ``rows``, drawn by the seed, in their order."""
    if most is None or len(rows) <= most:
        return rows
    random = np.random.Generator(np.random.PCG64(seed))
    return np.sort(random.choice(rows, size=most, replace=False))


def measure_found(
    found: Ordered, question: Question, search: str, num_relevant: Integers, ks: Sequence[int]
) -> Measure:
    """Measure what some queries found: the whole pool in order.

    Args:
        found: Places of queries in ``question.rows``, and all ``N`` texts of the pool by falling score.
        question: "
        search: One of ``SEARCHES``.
        num_relevant: ``(Q,)`` of every query, as ``Question.num_relevant`` counts them.
        ks: Depths.
    """
    num_relevant = num_relevant[found.queries]
    asked = np.flatnonzero(num_relevant > 0)
    rows, order, scores = question.rows[found.queries[asked]][:, None], found.order[asked], found.scores[asked]
    in_pool = order != rows
    if search != ALL:
        same = question.languages[order] == question.languages[rows]
        in_pool &= same if search == "same_language" else ~same
    relevant = in_pool & (question.matches[order] == question.matches[rows])
    groups = pessimistic_ranks(scores, in_pool, relevant)
    first = np.searchsorted(groups.query, np.arange(len(asked)), side="left")
    return Measure(found.queries[asked], measure(groups, num_relevant[asked], ks), groups.before[first] + 1)


def pessimistic_ranks(
    scores: npt.NDArray[np.floating], in_pool: npt.NDArray[np.bool_], relevant: npt.NDArray[np.bool_]
) -> TieGroups:
    """Each relevant text as a group of its own, at its pessimistic rank: as ``pessimistic`` of ``tie_groups``, faster.

    Most of a pool is not relevant and ties with nothing; only what is relevant is looked at.

    Args:
        scores: ``(Q, N)`` falling in each row.
        in_pool: ``(Q, N)`` which texts count.
        relevant: ``(Q, N)`` which of these are relevant; one in each row at least.
    """
    query, place = np.nonzero(relevant)
    end = _ends_of_ties(scores, query, place)
    counted = np.cumsum(in_pool, axis=1, dtype=np.int32)
    keys = query * scores.shape[1] + place
    later = np.searchsorted(keys, query * scores.shape[1] + end, side="right") - 1 - np.arange(len(keys))
    found_before = np.arange(len(keys)) - np.searchsorted(query, query, side="left")
    alone = np.ones(len(keys), dtype=np.int64)
    return TieGroups(query, counted[query, end] - later - 1, found_before, alone, alone)


def _ends_of_ties(scores: npt.NDArray[np.floating], query: Integers, place: Integers) -> Integers:
    """``(P,)`` the last place of a row that scores as ``place`` does."""
    end = place.copy()
    after = np.minimum(place + 1, scores.shape[1] - 1)
    for at in np.flatnonzero((after > place) & (scores[query, after] == scores[query, place])):
        row = scores[query[at]]
        end[at] = np.searchsorted(-row, -row[place[at]], side="right") - 1
    return end


def joined(parts: Sequence[Measure]) -> Measure:
    """The measures of all queries, of those of runs of them."""
    return Measure(
        np.concatenate([part.queries for part in parts]),
        {name: np.concatenate([part.values[name] for part in parts]) for name in parts[0].values},
        np.concatenate([part.first_rank for part in parts]),
    )
