"""A pretrained or small encoder with pooling and a classification head.

Shape letters: W windows, T tokens, H width, R records, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from models.data.token_batches import TokenBatch
from models.nn.token_pooling import POOLINGS


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
        backbone: Encoder that gives ``last_hidden_state``.
        hidden_dim: Its width.
        pooling: One of ``POOLINGS``.
        dropout: Of the head; the backbone brings its own.
    """

    def __init__(self, backbone: PreTrainedModel, hidden_dim: int, *, pooling: str, dropout: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = POOLINGS[pooling](hidden_dim)
        self.head = ClassificationHead(hidden_dim, dropout=dropout)

    def forward(self, batch: TokenBatch) -> Tensor:
        """``(R, C)`` logits."""
        mask_WT = batch.mask_WT
        # Without a mask where nothing is filled up: attention then has nothing to add.
        states_WTH = self.backbone(input_ids=batch.ids_WT, attention_mask=mask_WT).last_hidden_state
        if mask_WT is None:
            mask_WT = torch.ones_like(batch.ids_WT, dtype=torch.bool)
        logits_WC = self.head(self.pooling(states_WTH, mask_WT)).float()
        return logits_WC if batch.record_of_W is None else _means(logits_WC, batch.record_of_W, batch.num_records)


def _means(logits_WC: Tensor, record_of_W: Tensor, num_records: int) -> Tensor:
    """Mean over each record's windows, as a product with a matrix: sums by index are in no fixed order on a GPU."""
    belongs_RW = record_of_W == torch.arange(num_records, device=record_of_W.device)[:, None]
    shares_RW = belongs_RW / belongs_RW.sum(dim=1, keepdim=True)
    return shares_RW @ logits_WC
