"""The loss of a step of pairs by its embeddings, and its gradients: what the gradient cache passes on.

Shape letters: P pairs of the step, B of them, R texts of the step, E width of an embedding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.losses.info_nce import symmetric_info_nce
from models.training.text_pair_examples import StepTexts

PAIRS_AT_ONCE = 128
"""Whose similarities to all texts of a step are in memory together."""


class StepLoss(NamedTuple):
    """Loss of a step and its gradients.

    Args:
        loss: Scalar.
        by_embeddings_RE: By the embedding of each of its texts.
        by_log_scale: By the logarithm of the scale of similarities.
    """

    loss: Tensor
    by_embeddings_RE: Tensor
    by_log_scale: Tensor


def step_loss(embeddings_RE: Tensor, texts: StepTexts, weights: npt.NDArray[np.float64], log_scale: Tensor) -> StepLoss:
    """Symmetric InfoNCE over all pairs of a step, in float32 whatever mixed precision is on.

    Args:
        embeddings_RE: Of all its texts.
        texts: Which they are.
        weights: ``(P,)`` of the pairs, as shares of the whole.
        log_scale: Logarithm of what similarities are multiplied by.
    """
    num_pairs, device = texts.num_pairs, embeddings_RE.device
    match_R, weights_P = torch.from_numpy(texts.match).to(device), torch.from_numpy(weights).to(embeddings_RE)
    embeddings_RE = embeddings_RE.detach().requires_grad_()
    log_scale = log_scale.detach().clone().requires_grad_()
    found = StepLoss(torch.zeros_like(log_scale), torch.zeros_like(embeddings_RE), torch.zeros_like(log_scale))
    with torch.enable_grad(), torch.autocast(device.type, enabled=False):
        for of in (slice(first, first + PAIRS_AT_ONCE) for first in range(0, num_pairs, PAIRS_AT_ONCE)):
            losses_B = symmetric_info_nce(
                embeddings_RE[:num_pairs],
                embeddings_RE[num_pairs:],
                log_scale.exp(),
                match_P=match_R[:num_pairs],
                match_T=match_R[num_pairs:],
                of=of,
            )
            loss = (losses_B * weights_P[of]).sum()
            gradients = torch.autograd.grad(loss, (embeddings_RE, log_scale))
            for total, part in zip(found, (loss.detach(), *gradients), strict=True):
                total.add_(part)
    return found


def validation_loss(
    scores: npt.NDArray[np.float32], match: npt.NDArray[np.int64], *, batch_size: int, scale: float
) -> float:
    """Mean loss of pairs in batches as large as those of training.

    They are dealt into the batches in turn: neighbours in a file often do the same.

    Args:
        scores: ``(N, 2 E)`` embeddings of anchor and positive.
        match: ``(N,)`` what each pair does the same as.
        batch_size: Pairs of a batch at most.
        scale: What similarities are multiplied by.
    """
    anchors_NE, positives_NE = torch.from_numpy(scores).chunk(2, dim=1)
    match_N, num_batches = torch.from_numpy(match), -(-len(scores) // batch_size)
    total = 0.0
    for first in range(num_batches):
        dealt = slice(first, None, num_batches)
        losses = symmetric_info_nce(
            anchors_NE[dealt],
            positives_NE[dealt],
            torch.tensor(scale),
            match_P=match_N[dealt],
            match_T=match_N[dealt],
        )
        total += float(losses.sum())
    return total / len(scores)
