"""One vector of a text: the states that a backbone gives its tokens, pooled.

Shape letters: W texts, T tokens of the longest, H width of a state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from models.nn.attention import use_own_kernels
from models.nn.backbones import hidden_width
from models.nn.token_pooling import POOLINGS
from models.nn.token_states import READERS


class PooledText(nn.Module):
    """A backbone and a pooling.

    Args:
        backbone: Gives the tokens' states; its kernels are made ours where that is possible.
        reads_with: One of ``READERS``.
        pooling: One of ``POOLINGS``.

    Attributes:
        hidden_dim: H.

    Shape:
        - ids_WT: ``(W, T)`` int64.
        - mask_WT: ``(W, T)`` bool, false where filled up; ``None`` where nothing is.
        - output: ``(W, H)`` float32.
    """

    def __init__(self, backbone: PreTrainedModel, *, reads_with: str, pooling: str) -> None:
        super().__init__()
        use_own_kernels(backbone)
        self.backbone = backbone
        self.hidden_dim = hidden_width(backbone)
        self.token_states = READERS[reads_with]
        self.pooling = POOLINGS[pooling](self.hidden_dim)

    def forward(self, ids_WT: Tensor, mask_WT: Tensor | None) -> Tensor:
        """``(W, H)``."""
        states_WTH = self.token_states(self.backbone, ids_WT, mask_WT)
        if mask_WT is None:
            mask_WT = torch.ones_like(ids_WT, dtype=torch.bool)
        pooled_WH: Tensor = self.pooling(states_WTH, mask_WT)
        return pooled_WH.float()
