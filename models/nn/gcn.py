"""The seed's graph network: plain graph convolutions over a syntax tree, edge types ignored.

Shape letters: N nodes of the batch, G graphs, V vocabulary, D embedding width, H hidden width, C classes.
"""

from __future__ import annotations

import itertools
from typing import cast

from torch import Tensor, nn

from models.data.graph_batches import GraphBatch
from models.nn.dropout import rectified_dropout
from models.nn.graph_convolution import GraphConvolution
from models.nn.pooling import mean_max_pool


class GraphClassifier(nn.Module):
    """Embedding, ``num_layers`` graph convolutions with ReLU and dropout, mean‖max pooling, 2 H → H → C.

    Args:
        vocab_size: V, rows of the node embedding.
        embedding_dim: D.
        hidden_dim: H.
        num_layers: Graph convolutions.
        dropout: Share of activations dropped in training.
        num_classes: C.

    Shape:
        - batch: nodes and symmetric adjacency of G graphs.
        - output: ``(G, C)`` logits.
    """

    def __init__(
        self,
        vocab_size: int = 1000,
        embedding_dim: int = 128,
        hidden_dim: int = 256,
        num_layers: int = 4,
        dropout: float = 0.3,
        num_classes: int = 2,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        widths = [embedding_dim] + [hidden_dim] * num_layers
        self.convolutions = nn.ModuleList(GraphConvolution(*pair) for pair in itertools.pairwise(widths))
        self.head = nn.Sequential(
            nn.Linear(2 * hidden_dim, hidden_dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden_dim, num_classes)
        )

    def forward(self, batch: GraphBatch) -> Tensor:
        """``(G, C)`` logits."""
        first, *rest = self.convolutions
        first = cast(GraphConvolution, first)
        states = first.forward_embedded(self.embedding.weight, batch.node_ids_N, batch.adjacency)
        states = rectified_dropout(states, self.dropout, training=self.training)
        for convolution in rest:
            states = rectified_dropout(convolution(states, batch.adjacency), self.dropout, training=self.training)
        logits: Tensor = self.head(mean_max_pool(states, batch.graph_N, num_graphs=batch.num_graphs))
        return logits
