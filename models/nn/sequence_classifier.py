"""A pretrained or small backbone with pooling and a classification head.

Shape letters: W windows, T tokens, H width, R records, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from models.data.token_batches import TokenBatch
from models.nn.token_pooling import POOLINGS
from models.nn.token_states import READERS


class ClassificationHead(nn.Module):
    """Dropout, H → H/2, GELU, dropout, H/2 → C: the seed's 768 → 384 → 2, scaled to the encoder's width.

    Args:
        hidden_dim: H.
        dropout: Share of activations dropped in training.
        num_classes: C.
    """

    def __init__(self, hidden_dim: int, *, dropout: float, num_classes: int = 2) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_dim, hidden_dim // 2)
        self.out = nn.Linear(hidden_dim // 2, num_classes)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(dropout)

    def forward(self, pooled_WH: Tensor) -> Tensor:
        """``(W, C)`` logits."""
        hidden: Tensor = self.dropout(self.activation(self.dense(self.dropout(pooled_WH))))
        logits: Tensor = self.out(hidden)
        return logits


class SequenceClassifier(nn.Module):
    """Logits of records; those of a record's windows are averaged.

    Args:
        backbone: Gives the tokens' states.
        hidden_dim: Their width.
        reads_with: One of ``READERS``.
        pooling: One of ``POOLINGS``.
        dropout: Of the head; the backbone brings its own.
    """

    def __init__(
        self, backbone: PreTrainedModel, hidden_dim: int, *, reads_with: str, pooling: str, dropout: float
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.token_states = READERS[reads_with]
        self.pooling = POOLINGS[pooling](hidden_dim)
        self.head = ClassificationHead(hidden_dim, dropout=dropout)

    def forward(self, batch: TokenBatch) -> Tensor:
        """``(R, C)`` logits."""
        mask_WT = batch.mask_WT
        states_WTH = self.token_states(self.backbone, batch.ids_WT, mask_WT)
        if mask_WT is None:
            mask_WT = torch.ones_like(batch.ids_WT, dtype=torch.bool)
        logits_WC = self.head(self.pooling(states_WTH, mask_WT)).float()
        return logits_WC if batch.record_of_W is None else _means(logits_WC, batch.record_of_W, batch.num_records)


def _means(logits_WC: Tensor, record_of_W: Tensor, num_records: int) -> Tensor:
    """Mean over each record's windows, as a product with a matrix: sums by index are in no fixed order on a GPU."""
    belongs_RW = record_of_W == torch.arange(num_records, device=record_of_W.device)[:, None]
    shares_RW = belongs_RW / belongs_RW.sum(dim=1, keepdim=True)
    return shares_RW @ logits_WC
