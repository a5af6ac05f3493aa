"""The patch ranker: how likely a candidate patch is right, by the text of its edit and by numbers about it.

Shape letters: K candidates, T tokens of the longest edit, F features, H width of the text's vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.nn.pooled_text import PooledText
from models.nn.standardised_features import StandardisedFeatures


class PatchRanker(nn.Module):
    """Pooled text of the edit and standardised features, through one hidden layer with ReLU and dropout, to a score.

    Args:
        text: Reads the edit; ``None``: features alone.
        num_features: F; 0: the text alone.
        hidden_dim: Width of the hidden layer.
        dropout: Share of activations dropped in training.

    Shape:
        - ids_KT: ``(K, T)`` int64, mask_KT: ``(K, T)`` bool or ``None``; not read where there is no text.
        - features_KF: as they are in the lists.
        - output: ``(K,)`` scores.
    """

    def __init__(self, text: PooledText | None, num_features: int, *, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        self.text = text
        self.features = StandardisedFeatures(num_features)
        width = (text.hidden_dim if text is not None else 0) + num_features
        self.layers = nn.Sequential(
            nn.Linear(width, hidden_dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden_dim, 1)
        )

    def forward(self, ids_KT: Tensor | None, mask_KT: Tensor | None, features_KF: Tensor) -> Tensor:
        """``(K,)`` scores."""
        read = [self.features(features_KF)]
        if self.text is not None:
            assert ids_KT is not None
            read.insert(0, self.text(ids_KT, mask_KT))
        scores_K1: Tensor = self.layers(torch.cat(read, dim=1))
        return scores_K1[:, 0]
