"""Two towers that read texts into one space, where those that do the same lie near each other.

Shape letters: R texts, E width of an embedding.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from models.data.token_batches import TokenBatch
from models.nn.pooled_text import PooledText

LEAST_TEMPERATURE = 0.01
"""As CLIP has it: a temperature that falls on makes training unstable."""
ANCHOR, TEXT = 0, 1
"""Sides of a pair, and the towers that read them."""


class TextTower(nn.Module):
    """Pooled states of a text, a linear projection, length 1.

    Args:
        text: Backbone and pooling.
        embedding_dim: E.
    """

    def __init__(self, text: PooledText, embedding_dim: int) -> None:
        super().__init__()
        self.text = text
        self.projection = nn.Linear(text.hidden_dim, embedding_dim, bias=False)

    def forward(self, batch: TokenBatch) -> Tensor:
        """``(R, E)`` float32; each text is one window."""
        projected_RE: Tensor = self.projection(self.text(batch.ids_WT, batch.mask_WT))
        return functional.normalize(projected_RE.float(), dim=1)


class DualEncoder(nn.Module):
    """One tower for both sides of a pair, or one each, and the scale of similarities in the loss.

    Args:
        tower: Reads both sides, or begins both towers.
        separate: Whether the sides have towers of their own; they begin alike.
        temperature: What similarities are divided by at first.
        learns_temperature: Whether training moves it; its logarithm is what is learned, and no weight decay touches it.

    Source:
        Radford et al. 2021, arXiv:2103.00020, section 2.3: scale as a learned logarithm, clipped.
    """

    def __init__(self, tower: TextTower, *, separate: bool, temperature: float, learns_temperature: bool) -> None:
        super().__init__()
        self.towers = nn.ModuleList([tower, copy.deepcopy(tower)] if separate else [tower])
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learns_temperature)

    @property
    def backbone(self) -> PreTrainedModel:
        """Of the tower that reads anchors; the other's is of the same architecture."""
        backbone: PreTrainedModel = self.towers[0].text.backbone  # type: ignore[union-attr, assignment]
        return backbone

    @property
    def vocab_size(self) -> int:
        """Ids that it knows are below this."""
        return int(self.backbone.config.vocab_size)

    @property
    def has_separate_towers(self) -> bool:
        """Whether a text is read otherwise as an anchor than as what is found."""
        return len(self.towers) > 1

    @property
    def temperature(self) -> float:
        """What similarities are divided by now."""
        return max(math.exp(-self.log_scale.item()), LEAST_TEMPERATURE)

    def hold_temperature(self) -> None:
        """Bring the scale back where the last step took it too far."""
        with torch.no_grad():
            self.log_scale.clamp_(max=-math.log(LEAST_TEMPERATURE))

    def forward(self, batch: TokenBatch, side: int) -> Tensor:
        """``(R, E)``: texts as ``ANCHOR`` or ``TEXT``."""
        embeddings_RE: Tensor = self.towers[min(side, len(self.towers) - 1)](batch)
        return embeddings_RE
