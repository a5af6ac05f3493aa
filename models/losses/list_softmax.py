"""Listwise loss: how far a list's scores, as a distribution over its candidates, are from its relevant ones.

Shape letters: L lists, C candidates of the longest list.
"""

from __future__ import annotations

import torch
from torch import Tensor


def list_softmax(scores_LC: Tensor, relevant_LC: Tensor, there_LC: Tensor) -> Tensor:
    """Cross-entropy of the softmax over a list's scores against the uniform distribution over its relevant candidates.

    A list whose candidates are all relevant, or none of them, cannot be ordered well or badly: its loss is 0.

    Args:
        scores_LC: Any finite numbers.
        relevant_LC: 1 where a candidate is relevant, else 0.
        there_LC: bool, false where a shorter list is filled up; what stands there is not read.

    Returns:
        ``(L,)`` losses of at least 0.

    Source:
        Cao et al. 2007, "Learning to Rank: From Pairwise Approach to Listwise Approach", the top-one probability.
    """
    relevant_LC = relevant_LC.to(scores_LC.dtype).masked_fill(~there_LC, 0.0)
    num_relevant_L = relevant_LC.sum(dim=1)
    is_mixed_L = (num_relevant_L > 0) & (num_relevant_L < there_LC.sum(dim=1))
    logs_LC = scores_LC.masked_fill(~there_LC, -torch.inf).log_softmax(dim=1).masked_fill(~there_LC, 0.0)
    losses_L = -(relevant_LC * logs_LC).sum(dim=1) / num_relevant_L.clamp(min=1.0)
    return losses_L * is_mixed_L
