"""Lists of the nearest texts, as a reranker will meet them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.data.retrieval.candidate_lists import CandidateList
from models.evaluation.retrieval.search import Ordered
from models.evaluation.retrieval.searches import Question
from models.evaluation.retrieval.texts import Integers


def nearest_lists(
    found: Ordered, question: Question, num_relevant: Integers, *, depth: int, split: str
) -> Iterator[CandidateList]:
    """The nearest texts of each query, itself left out; their feature is how near they are.

    Args:
        found: Places of queries in ``question.rows``, and at least ``depth + 1`` texts of the pool by falling score.
        question: What was searched.
        num_relevant: ``(Q,)`` relevant texts in the pool of every query.
        depth: Candidates of a list, or as many as there are.
        split: Of the texts.
    """
    texts = question.texts
    for query, order, scores in zip(found.queries.tolist(), found.order, found.scores, strict=True):
        row = int(question.rows[query])
        kept = np.flatnonzero(order != row)[:depth]
        yield CandidateList(
            list_id=texts.ids[row],
            group=texts.groups[row],
            query=texts.ids[row],
            candidates=tuple(texts.ids[at] for at in order[kept]),
            relevant=tuple((question.matches[order[kept]] == question.matches[row]).astype(int).tolist()),
            features=tuple((score,) for score in scores[kept].astype(float).tolist()),
            num_relevant=int(num_relevant[query]),
            split=split,
        )
