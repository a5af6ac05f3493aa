"""Dropout for the CPU, its mask drawn sixteen random bits at a time.

torch's own draws a float per element from its serial generator: at the seed's size it took as long as all matrix
products of a step. Sixteen bits are a tenth of that. They come from torch's generator, so a saved random state gives
the same masks again, whatever the number of threads. Other devices and types take torch's own.

Shape letters: any shape; no dimension has a meaning here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

NUM_LEVELS = 1 << 16
"""Values of sixteen bits: the share that is dropped is the asked one rounded to a multiple of 1 / NUM_LEVELS."""
VALUES_PER_DRAW = 4
"""Sixteen-bit values in the 64 bits that the generator gives at once."""


def dropout(states: Tensor, rate: float, *, training: bool) -> Tensor:
    """``states`` with a share ``rate`` of its elements set to zero and the others scaled up, so that the mean stays.

    Args:
        states: Any shape.
        rate: Share to drop, in ``[0, 1)``.
        training: Otherwise nothing is dropped.
    """
    if not training or rate == 0.0:
        return states
    if not draws_here(states):
        return functional.dropout(states, rate)
    result: Tensor = _Dropout.apply(states, rate)  # type: ignore[no-untyped-call]
    return result


def rectified_dropout(states: Tensor, rate: float, *, training: bool) -> Tensor:
    """``dropout(relu(states))`` with one result kept for the gradient instead of two and a mask.

    Args and shape as :func:`dropout`.
    """
    if not training or rate == 0.0 or not draws_here(states):
        return functional.dropout(functional.relu(states), rate, training)
    result: Tensor = _RectifiedDropout.apply(states, rate)  # type: ignore[no-untyped-call]
    return result


class Dropout(nn.Dropout):
    """``nn.Dropout`` by :func:`dropout`."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """In the shape of the input."""
        return dropout(input, self.p, training=self.training)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, rate: float) -> Tensor:
        kept, ctx.scale = _draw_kept(states, rate)
        ctx.save_for_backward(torch.from_numpy(kept))
        return _masked(states, kept).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return _masked(gradients[0], kept.numpy()).mul_(ctx.scale), None


class _RectifiedDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, rate: float) -> Tensor:
        kept, ctx.scale = _draw_kept(states, rate)
        result = functional.relu(states).mul_(ctx.scale)
        np.multiply(result.numpy(), kept, out=result.numpy())
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        # The result is positive exactly where the state was and was kept: the scale is at least 1, so none underflows.
        (result,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(gradients[0], result, 0.0).mul_(ctx.scale), None


def draws_here(states: Tensor) -> bool:
    """Whether masks for these states are drawn by this module; else by torch."""
    return states.device.type == "cpu" and states.dtype in (torch.float32, torch.float64)


def draw_bits(shape: Sequence[int]) -> Tensor:
    """int16: sixteen random bits for each element, from torch's generator."""
    numel = math.prod(shape)
    draws = torch.empty(-(-numel // VALUES_PER_DRAW), dtype=torch.int64).random_(-(2**63), None)  # all 64 bits
    return draws.view(torch.int16)[:numel].view(*shape)


def num_dropped_levels(rate: float) -> int:
    """How many of the ``NUM_LEVELS`` values of the bits mean that an element is dropped: the lowest."""
    return min(round(rate * NUM_LEVELS), NUM_LEVELS - 1)


def boost(num_dropped: int) -> float:
    """What kept elements are scaled by: one over the chance that one is kept."""
    return NUM_LEVELS / (NUM_LEVELS - num_dropped)


def _draw_kept(states: Tensor, rate: float) -> tuple[npt.NDArray[np.bool_], float]:
    """Which elements stay, and what they are scaled by."""
    num_dropped = num_dropped_levels(rate)
    # NumPy's comparison and product with booleans are several times faster than torch's, which convert first.
    return draw_bits(states.shape).numpy().view(np.uint16) >= num_dropped, boost(num_dropped)


def _masked(states: Tensor, kept: npt.NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(np.multiply(states.detach().numpy(), kept))
