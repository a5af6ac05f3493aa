"""How well embeddings find the other text of a pair, for validation: each anchor among all different positives.

Texts that do the same as the anchor are left out of its pool, but for its own positive. Of texts as near as that one,
all count as nearer, so that equal embeddings earn nothing.

Shape letters: N pairs, M different positive texts, E width of an embedding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from models.training.order import Indices

KS = (1, 5, 10)
TIED = 1e-6
"""Similarities that differ by less are equal: float32 tells them no further apart."""
ANCHORS_AT_ONCE = 512
Floats = npt.NDArray[np.float32]


class PairRanks(NamedTuple):
    """Where the anchors of pairs found their positives.

    Args:
        rank: ``(N,)`` from 1.
        num_candidates: ``(N,)`` texts that were ranked, the positive included.
        cosine: ``(N,)`` of anchor and positive.
    """

    rank: Indices
    num_candidates: Indices
    cosine: npt.NDArray[np.float32]


def pair_ranks(anchors_NE: Floats, positives_NE: Floats, *, text_N: Indices, match_N: Indices) -> PairRanks:
    """Ranks of the positives.

    Args:
        anchors_NE: Of length 1.
        positives_NE: Of length 1; equal rows for equal texts.
        text_N: Row of each positive's text: a text that is several pairs' positive is one candidate.
        match_N: What each pair does the same as.
    """
    _, first, place = np.unique(text_N, return_index=True, return_inverse=True)
    pool_ME, pool_match_M = torch.from_numpy(positives_NE[first]), match_N[first]
    cosine = (anchors_NE * positives_NE).sum(axis=1)
    rank, num_candidates = np.zeros((2, len(text_N)), dtype=np.int64)
    for begin in range(0, len(text_N), ANCHORS_AT_ONCE):
        rows = np.arange(begin, min(begin + ANCHORS_AT_ONCE, len(text_N)))
        near = (torch.from_numpy(anchors_NE[rows]) @ pool_ME.T).numpy()
        others = match_N[rows][:, None] != pool_match_M
        own = near[np.arange(len(rows)), place[rows]]
        rank[rows] = 1 + (others & (near >= own[:, None] - TIED)).sum(axis=1)
        num_candidates[rows] = 1 + others.sum(axis=1)
    return PairRanks(rank, num_candidates, cosine)


def ranking_metrics(ranks: PairRanks) -> dict[str, float]:
    """MRR, recall at some depths, and the mean size of the pool they are told over; ``selection`` is the MRR."""
    mrr = float((1.0 / ranks.rank).mean())
    return {
        "val_mrr": mrr,
        **{f"val_recall_{k}": float((ranks.rank <= k).mean()) for k in KS},
        "val_num_candidates": float(ranks.num_candidates.mean()),
        "selection": mrr,
    }
