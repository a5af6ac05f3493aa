"""Lists in the order of scores, and what each order is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.data.retrieval.candidate_lists import CandidateList
from models.evaluation.retrieval.rank_metrics import measure, pessimistic, tie_groups

Floats = npt.NDArray[np.float64]


class Orders:
    """Lists laid end to end, so that scores of their candidates are one array.

    Args:
        lists: ``Q``, each with a relevant text, among its candidates or not.

    Attributes:
        query: ``(M,)`` number of the list of each candidate.
        relevant: ``(M,)`` whether it is right.
        num_relevant: ``(Q,)`` right ones there are, in the list or not.
    """

    def __init__(self, lists: Sequence[CandidateList]) -> None:
        sizes = [len(entry.candidates) for entry in lists]
        self.query = np.repeat(np.arange(len(lists)), sizes)
        self.relevant = np.array([label == 1 for entry in lists for label in entry.relevant], dtype=bool)
        self.num_relevant = np.array([entry.num_relevant for entry in lists], dtype=np.int64)


def values_of(orders: Orders, scores: Floats, ks: Sequence[int], *, is_pessimistic: bool) -> dict[str, Floats]:
    """``(Q,)`` values of each metric, of the lists ordered by falling score.

    Args:
        orders: "
        scores: ``(M,)``.
        ks: Depths.
        is_pessimistic: Of equally scored candidates the right ones last; else the mean of all their orders.
    """
    order = np.lexsort((-scores, orders.query))
    groups = tie_groups(orders.query[order], scores[order], orders.relevant[order])
    return measure(pessimistic(groups) if is_pessimistic else groups, orders.num_relevant, ks)
