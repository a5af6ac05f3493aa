"""All gradients in one flat buffer: one clear, one norm, one all-reduce in a fixed order.

Why not DistributedDataParallel: it rebuilds its buckets after the first step of a *process*, so a resumed run sums in
another order than an undisturbed one, and with three ranks the bytes differ.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn


class FlatGradients:
    """Views of one buffer as the ``.grad`` of each parameter, with room for a few numbers beside them.

    Args:
        parameters: Parameters in a fixed order, all on one device and of one type.
        num_extra: Numbers summed over ranks in the same all-reduce (losses, flags).
    """

    def __init__(self, parameters: Iterable[nn.Parameter], num_extra: int) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        first = self.parameters[0]
        sizes = [p.numel() for p in self.parameters]
        self._buffer = torch.zeros(sum(sizes) + num_extra, dtype=first.dtype, device=first.device)
        self.gradient = self._buffer[: sum(sizes)]
        self.extra = self._buffer[sum(sizes) :]
        for parameter, view in zip(self.parameters, torch.split(self.gradient, sizes), strict=True):
            parameter.grad = view.view_as(parameter)

    def clear(self) -> None:
        """Set gradient and extra numbers to zero; the views stay."""
        self._buffer.zero_()

    def sum_over_ranks(self) -> None:
        """Add up over all ranks; nothing to do for one."""
        if distributed.is_initialized():
            distributed.all_reduce(self._buffer)

    def clip(self, max_norm: float) -> Tensor:
        """Scale the gradient down to ``max_norm`` where it is longer; gives its norm before."""
        norm: Tensor = torch.linalg.vector_norm(self.gradient)
        self.gradient.mul_(torch.clamp(max_norm / (norm + 1e-6), max=1.0))
        return norm
