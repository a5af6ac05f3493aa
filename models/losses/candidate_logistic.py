"""Pointwise loss: each candidate of a list judged alone, which also a list of one label teaches.

Shape letters: L lists, C candidates of the longest list.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def candidate_logistic(scores_LC: Tensor, relevant_LC: Tensor, there_LC: Tensor) -> Tensor:
    """Mean over a list's candidates of the binary cross-entropy of their scores, read as log-odds of being relevant.

    Args:
        scores_LC: Any finite numbers.
        relevant_LC: 1 where a candidate is relevant, else 0.
        there_LC: bool, false where a shorter list is filled up; what stands there is not read.

    Returns:
        ``(L,)`` losses of at least 0.
    """
    losses_LC = functional.binary_cross_entropy_with_logits(
        scores_LC, relevant_LC.to(scores_LC.dtype), reduction="none"
    )
    return losses_LC.masked_fill(~there_LC, 0.0).sum(dim=1) / there_LC.sum(dim=1)
