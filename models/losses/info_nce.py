"""Symmetric InfoNCE: each text of a pair is told from all others of the step, in both directions.

Shape letters: P pairs, B of them, T texts (the P positives and then any mined negatives), C candidates, E embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor


def symmetric_info_nce(
    anchors_PE: Tensor, texts_TE: Tensor, scale: Tensor, *, match_P: Tensor, match_T: Tensor, of: slice = slice(None)
) -> Tensor:
    """``(B,)`` loss of each pair: the mean of anchor → text over all T and positive → anchor over the P.

    Texts that do the same as the anchor are no negatives of it: but for its own positive they are left out, in both
    directions.

    Args:
        anchors_PE: Of length 1.
        texts_TE: Of length 1; row p is the positive of anchor p, rows from P on are mined negatives.
        scale: Scalar that similarities are multiplied by, the inverse of the temperature.
        match_P: int64, what each pair does the same as.
        match_T: The same of each text.
        of: The pairs whose loss is wanted, a run of them: what lies in memory are their similarities.

    Source:
        van den Oord et al. 2018, arXiv:1807.03748; both directions and the learned scale as in Radford et al. 2021,
        arXiv:2103.00020.
    """
    first = of.start or 0
    positives_PE, match_of_positives_P = texts_TE[: len(anchors_PE)], match_T[: len(anchors_PE)]
    forwards_B = _told_apart(anchors_PE[of] @ texts_TE.T * scale, match_P[of, None] == match_T, first)
    backwards_B = _told_apart(positives_PE[of] @ anchors_PE.T * scale, match_of_positives_P[of, None] == match_P, first)
    return (forwards_B + backwards_B) / 2


def _told_apart(scores_BC: Tensor, same_BC: Tensor, first: int) -> Tensor:
    """Cross entropy of each row, whose right candidate is in column ``first`` plus its number."""
    own_B = scores_BC.diagonal(offset=first)
    same_BC.diagonal(offset=first).fill_(False)
    return scores_BC.masked_fill(same_BC, -torch.inf).logsumexp(dim=1) - own_B
