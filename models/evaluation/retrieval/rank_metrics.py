"""Metrics of orders: recall and success at a depth, MRR, MAP, nDCG, top-1, and what a random order would have.

Equal scores leave the order open, so that what is measured are groups of equally scored candidates. Two rules for them:

- pessimistic: the relevant ones of a group come after all others of it, so that nobody gains by scoring all alike;
- mean: the expected value over all orders of the group, in closed form. A single group of the whole pool is a random
  order: its expected values are the level of chance.

Queries without a relevant text have no value; whoever measures leaves them out and counts them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DEFINITIONS = {
    "recall@k": "share of the relevant texts that are among the first k (never more than k of them can be)",
    "success@k": "whether any relevant text is among the first k, also called hit rate",
    "top1": "whether the first is relevant: success@1",
    "mrr": "mean reciprocal rank of the first relevant text; 0 where none is found",
    "map": "mean average precision: precision at the rank of each relevant text, over all relevant ones",
    "ndcg@k": "discounted gain 1/log2(1 + rank) of relevant texts among the first k, over that of the best order",
    "pessimistic": "of equally scored texts the relevant ones come last",
    "mean": "equally scored texts in every order, the mean of all of them",
    "chance": "the expected value of a random order of the same pool, in closed form",
}


class TieGroups(NamedTuple):
    """The groups of equally scored candidates that hold a relevant one, query by query, best first.

    Args:
        query: ``(P,)`` number of the query, never falling.
        before: ``(P,)`` candidates before the group.
        found_before: ``(P,)`` relevant ones of these.
        size: ``(P,)`` candidates in the group.
        relevant: ``(P,)`` relevant ones of these, 1 or more.
    """

    query: Integers
    before: Integers
    found_before: Integers
    size: Integers
    relevant: Integers


def tie_groups(query: Integers, scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.bool_]) -> TieGroups:
    """Groups of candidates that lie in order: by query, then by falling score.

    Args:
        query: ``(M,)`` of each candidate.
        scores: ``(M,)`` "
        relevant: ``(M,)`` "
    """
    if not len(query):
        return TieGroups(*(np.empty(0, np.int64) for _ in range(5)))
    begins = np.concatenate([[True], (query[1:] != query[:-1]) | (scores[1:] != scores[:-1])])
    starts = np.flatnonzero(begins)
    found = np.concatenate([[0], np.cumsum(relevant, dtype=np.int64)])
    of_query = query[starts]
    first = np.searchsorted(query, of_query, side="left")
    ends = np.append(starts[1:], len(query))
    within = found[ends] - found[starts]
    groups = (of_query, starts - first, found[starts] - found[first], ends - starts, within)
    return TieGroups(*(part[within > 0].astype(np.int64) for part in groups))


def pessimistic(groups: TieGroups) -> TieGroups:
    """The same where of each group the relevant candidates come last."""
    return groups._replace(before=groups.before + groups.size - groups.relevant, size=groups.relevant)


def measure(groups: TieGroups, num_relevant: Integers, ks: Sequence[int]) -> dict[str, Floats]:
    """``(Q,)`` values of every metric by name; groups of several candidates count as the mean of their orders.

    Args:
        groups: Of the queries ``0 … Q - 1``; one without any group finds nothing.
        num_relevant: ``(Q,)`` relevant texts that there are, found or not; 1 or more.
        ks: Depths.
    """
    of, place = _positions(groups.size)
    rank = groups.before[of] + place
    share = groups.relevant[of] / groups.size[of]
    others = (place - 1) * (groups.relevant[of] - 1) / np.maximum(groups.size[of] - 1, 1)
    query = groups.query[of]

    def summed(values: Floats) -> Floats:
        return np.bincount(query, weights=values, minlength=len(num_relevant)).astype(np.float64)

    discounts = share / np.log2(1.0 + rank)
    found = first_ranks(groups, len(num_relevant))
    values = {"top1": found.within(1), "mrr": found.reciprocal()}
    values["map"] = summed(share * (groups.found_before[of] + 1 + others) / rank) / num_relevant
    for k in ks:
        values[f"recall@{k}"] = summed(share * (rank <= k)) / num_relevant
        values[f"success@{k}"] = found.within(k)
        values[f"ndcg@{k}"] = summed(discounts * (rank <= k)) / _best_gain(num_relevant, k)
    return values


def chance(pool_size: Integers, num_relevant: Integers, ks: Sequence[int]) -> dict[str, Floats]:
    """``(Q,)`` expected values of a random order, by metric.

    Args:
        pool_size: ``(Q,)`` candidates of each query.
        num_relevant: ``(Q,)`` relevant ones of these, 1 or more.
        ks: Depths.
    """
    pairs, inverse = np.unique(np.stack([pool_size, num_relevant], axis=1), axis=0, return_inverse=True)
    nothing = np.zeros(len(pairs), dtype=np.int64)
    groups = TieGroups(np.arange(len(pairs)), nothing, nothing, pairs[:, 0], pairs[:, 1])
    return {name: values[inverse.ravel()] for name, values in measure(groups, pairs[:, 1], ks).items()}


class FirstRanks(NamedTuple):
    """Ranks that the first relevant text of a query may have.

    Args:
        query: ``(M,)`` number of the query.
        rank: ``(M,)``, from 1.
        share: ``(M,)`` of the orders that give it this rank; they sum to 1 for a query that finds anything.
        num_queries: ``Q``.
    """

    query: Integers
    rank: Integers
    share: Floats
    num_queries: int

    def within(self, k: int) -> Floats:
        """``(Q,)`` share of orders in which it is among the first ``k``."""
        return self._summed(self.share * (self.rank <= k))

    def reciprocal(self) -> Floats:
        """``(Q,)`` mean of 1/rank; 0 where nothing is found."""
        return self._summed(self.share / self.rank)

    def _summed(self, values: Floats) -> Floats:
        return np.bincount(self.query, weights=values, minlength=self.num_queries).astype(np.float64)


def first_ranks(groups: TieGroups, num_queries: int) -> FirstRanks:
    """Ranks of the first relevant text, from the first group of each query."""
    is_first = np.ones(len(groups.query), dtype=bool)
    is_first[1:] = groups.query[1:] != groups.query[:-1]
    firsts = TieGroups(*(part[is_first] for part in groups))
    of, place = _positions(firsts.size - firsts.relevant + 1)
    shares = [
        _share_of_first(size, relevant)
        for size, relevant in zip(firsts.size.tolist(), firsts.relevant.tolist(), strict=True)
    ]
    share = np.concatenate(shares) if shares else np.empty(0)
    return FirstRanks(firsts.query[of], firsts.before[of] + place, share, num_queries)


@functools.lru_cache(maxsize=4096)
def _share_of_first(size: int, relevant: int) -> Floats:
    """Share of the orders of a group in which its first relevant candidate is at place 1, 2, … (hypergeometric)."""
    place = np.arange(size - relevant + 1)
    missed = np.cumprod(np.concatenate([[1.0], (size - relevant - place[:-1]) / (size - place[:-1])]))
    return np.asarray(missed * relevant / (size - place))


def _positions(sizes: Integers) -> tuple[Integers, Integers]:
    """Number of the group, and place in it from 1, of every candidate."""
    of = np.repeat(np.arange(len(sizes)), sizes)
    return of, np.arange(len(of)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + 1


def _best_gain(num_relevant: Integers, k: int) -> Floats:
    """``(Q,)`` discounted gain of the best order at depth ``k``."""
    gains = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(2.0 + np.arange(k)))])
    return np.asarray(gains[np.minimum(num_relevant, k)])
