"""Embedding of tokens whose gradient touches only the rows that were read.

Shape letters: V vocabulary, H width; ids of any shape.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class TokenEmbedding(nn.Embedding):
    """``nn.Embedding`` that adds to a gradient which is there already, on the CPU, without a whole ``(V, H)`` tensor.

    With 50 000 tokens that tensor is written and read again for each micro-batch, a tenth of a training step. The sums
    are the same. Where there is no gradient yet, and on other devices, torch's own way is taken.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """``(..., H)``."""
        adds = self.weight.grad is not None and self.weight.device.type == "cpu"
        return functional.embedding(input, self.weight, self.padding_idx, sparse=adds)
