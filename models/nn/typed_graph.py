"""Graph network over typed and reversed edges: a second architecture behind the settings of the first.

Shape letters: N nodes of the batch, G graphs, R relations (each edge type in both directions), D embedding width,
H hidden width, B width shared by the relations, C classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.data.graph_batches import GraphBatch, Relation
from models.nn.dropout import rectified_dropout
from models.nn.pooling import mean_max_pool


class _Gather(torch.autograd.Function):
    """Mean over the neighbours by one relation; the gradient runs over its transpose, and no state is kept."""

    @staticmethod
    def forward(ctx: Any, states_NB: Tensor, relation: Relation) -> Tensor:
        ctx.relation = relation
        return _bag(states_NB, relation.row_starts_N1, relation.columns_E, relation.values_E)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        relation: Relation = ctx.relation
        return (
            _bag(
                gradients[0].contiguous(),
                relation.transposed_starts_N1,
                relation.transposed_columns_E,
                relation.transposed_values_E,
            ),
            None,
        )


def _bag(states_NB: Tensor, starts_N1: Tensor, columns_E: Tensor, values_E: Tensor) -> Tensor:
    return functional.embedding_bag(
        columns_E,
        states_NB,
        starts_N1,
        mode="sum",
        per_sample_weights=values_E.to(states_NB.dtype),
        include_last_offset=True,
    )


class TypedConvolution(nn.Module):
    """H' = H + dropout(relu(W_0 H + sum_r W_r mean over r-neighbours of H)), with W_r = U_r V.

    Args:
        hidden_dim: H.
        num_relations: R.
        dropout: Share of the new part that is dropped in training.

    Source:
        Schlichtkrull et al. 2018, arXiv:1703.06103, equation 2. The relations share the factor V, of a quarter of the
        width, so that R relations cost about two matrix products instead of R. The residual is ours; norms were tried
        and kept the model from learning at all, since pooling needs the size of a state.
    """

    def __init__(self, hidden_dim: int, num_relations: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        shared_dim = max(1, hidden_dim // 4)
        self.own = nn.Linear(hidden_dim, hidden_dim)
        self.shared = nn.Linear(hidden_dim, shared_dim, bias=False)
        self.related = nn.Linear(num_relations * shared_dim, hidden_dim, bias=False)

    def forward(self, states_NH: Tensor, relations: tuple[Relation, ...]) -> Tensor:
        """``(N, H)`` new states."""
        shared_NB = self.shared(states_NH)
        gathered: list[Tensor] = [_Gather.apply(shared_NB, relation) for relation in relations]  # type: ignore[no-untyped-call]
        change_NH = self.own(states_NH) + self.related(torch.cat(gathered, dim=1))
        return states_NH + rectified_dropout(change_NH, self.dropout, training=self.training)


class TypedGraphClassifier(nn.Module):
    """Embedding, typed convolutions with residuals, mean‖max pooling, 2 H → H → C.

    Args and shapes as :class:`models.nn.gcn.GraphClassifier`; ``num_relations`` is R.
    """

    def __init__(
        self,
        vocab_size: int = 1000,
        embedding_dim: int = 128,
        hidden_dim: int = 256,
        num_layers: int = 4,
        dropout: float = 0.3,
        num_classes: int = 2,
        num_relations: int = 6,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.widen = nn.Linear(embedding_dim, hidden_dim)
        self.convolutions = nn.ModuleList(
            TypedConvolution(hidden_dim, num_relations, dropout) for _ in range(num_layers)
        )
        self.head = nn.Sequential(
            nn.Linear(2 * hidden_dim, hidden_dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden_dim, num_classes)
        )

    def forward(self, batch: GraphBatch) -> Tensor:
        """``(G, C)`` logits."""
        states = functional.embedding(batch.node_ids_N, self.widen(self.embedding.weight))
        for convolution in self.convolutions:
            states = convolution(states, batch.relations)
        logits: Tensor = self.head(mean_max_pool(states, batch.graph_N, num_graphs=batch.num_graphs))
        return logits
