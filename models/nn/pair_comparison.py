"""The reranker's network: how well a candidate answers a query, by the vectors of both.

Shape letters: K pairs of a query and a candidate, D width of a vector, F further features, H hidden width.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from models.nn.standardised_features import StandardisedFeatures


class PairComparison(nn.Module):
    """``[q, d, q * d, |q - d|]`` and features of the first stage, through hidden layers (ReLU, dropout), to a score.

    Vectors have length 1, so their numbers get smaller the wider they are; they are scaled by the root of D first, so
    that the layers begin with inputs of about 1. The network begins with the order of the first stage: its own part of
    the score is 0 at first, and the first feature (the similarity) is taken as it is.

    Args:
        embedding_dim: D.
        num_features: F.
        hidden_dim: H.
        num_layers: Hidden layers.
        dropout: Share of activations dropped in training.

    Shape:
        - query_KD, candidate_KD: vectors of length 1.
        - features_KF: numbers of the first stage.
        - output: ``(K,)`` scores.
    """

    def __init__(
        self, embedding_dim: int, num_features: int, *, hidden_dim: int, num_layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.scale = math.sqrt(embedding_dim)
        widths = [4 * embedding_dim + num_features] + [hidden_dim] * num_layers
        hidden = [(nn.Linear(*pair), nn.ReLU(), nn.Dropout(dropout)) for pair in itertools.pairwise(widths)]
        last = nn.Linear(hidden_dim, 1)
        nn.init.zeros_(last.weight)
        self.layers = nn.Sequential(*itertools.chain(*hidden), last)
        self.features = StandardisedFeatures(num_features)
        self.first_stage = nn.Linear(num_features, 1, bias=False)
        with torch.no_grad():
            self.first_stage.weight.copy_(torch.eye(1, num_features))

    def forward(self, query_KD: Tensor, candidate_KD: Tensor, features_KF: Tensor) -> Tensor:
        """``(K,)`` scores."""
        query_KD, candidate_KD = self.scale * query_KD, self.scale * candidate_KD
        features_KF = self.features(features_KF)
        both = [query_KD, candidate_KD, query_KD * candidate_KD, (query_KD - candidate_KD).abs(), features_KF]
        scores_K1: Tensor = self.layers(torch.cat(both, dim=1)) + self.first_stage(features_KF)
        return scores_K1[:, 0]
