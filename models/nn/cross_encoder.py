"""The cross-encoder: reads query and candidate as one text and scores the pair.

Shape letters: K pairs, T tokens of the longest, H width of a state.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.nn.pooled_text import PooledText


class CrossEncoder(nn.Module):
    """Pooled states of the joined texts, dropout, a linear head with one output.

    Args:
        text: Reads the joined texts.
        dropout: Share of the pooled numbers dropped in training.

    Shape:
        - ids_KT: ``(K, T)`` int64.
        - mask_KT: ``(K, T)`` bool, false where filled up; ``None`` where nothing is.
        - output: ``(K,)`` scores.

    Source:
        Nogueira and Cho 2019, arXiv:1901.04085, with a listwise loss instead of a pointwise one.
    """

    def __init__(self, text: PooledText, *, dropout: float) -> None:
        super().__init__()
        self.text = text
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(text.hidden_dim, 1)

    def forward(self, ids_KT: Tensor, mask_KT: Tensor | None) -> Tensor:
        """``(K,)`` scores."""
        scores_K1: Tensor = self.head(self.dropout(self.text(ids_KT, mask_KT)))
        return scores_K1[:, 0]
