"""Graph network over typed and reversed edges: a second architecture behind the settings of the first.

Shape letters: N nodes of the batch, G graphs, R relations (each edge type in both directions), D embedding width,
H hidden width, C classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.data.graph_batches import GraphBatch, Relation
from models.nn.dropout import dropout
from models.nn.pooling import mean_max_pool


class _Mix(torch.autograd.Function):
    """s_0 * X + sum_r s_r * A_r X, where A_r X is the mean over the neighbours by relation r.

    Only X is kept: the gradient of s_r is the sum over nodes of (A_r^T G) * X, and A_r^T G is what the gradient of X
    needs as well. Left to autograd, A_r X of every relation would be kept, seven times the memory.
    """

    @staticmethod
    def forward(ctx: Any, states_NH: Tensor, scales_RH: Tensor, relations: tuple[Relation, ...]) -> Tensor:
        ctx.relations = relations
        ctx.save_for_backward(states_NH, scales_RH)
        states_NH, scales_RH = states_NH.detach(), scales_RH.detach()
        total_NH = states_NH * scales_RH[0]
        for scale_H, relation in zip(scales_RH[1:], relations, strict=True):
            gathered_NH = _bag(states_NH, relation.row_starts_N1, relation.columns_E, relation.values_E)
            total_NH.addcmul_(gathered_NH, scale_H)
        return total_NH

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        states_NH, scales_RH = ctx.saved_tensors
        gradient_NH = gradients[0].contiguous()
        to_states_NH = gradient_NH * scales_RH[0]
        to_scales_RH = [(gradient_NH * states_NH).sum(0)]
        for scale_H, relation in zip(scales_RH[1:], ctx.relations, strict=True):
            returned_NH = _bag(
                gradient_NH,
                relation.transposed_starts_N1,
                relation.transposed_columns_E,
                relation.transposed_values_E,
            )
            to_states_NH.addcmul_(returned_NH, scale_H)
            to_scales_RH.append(returned_NH.mul_(states_NH).sum(0))
        return to_states_NH, torch.stack(to_scales_RH), None


def _bag(states_NH: Tensor, starts_N1: Tensor, columns_E: Tensor, values_E: Tensor) -> Tensor:
    return functional.embedding_bag(
        columns_E,
        states_NH,
        starts_N1,
        mode="sum",
        per_sample_weights=values_E.to(states_NH.dtype),
        include_last_offset=True,
    )


class TypedConvolution(nn.Module):
    """H' = H + W (s_0 * H + sum_r s_r * mean over r-neighbours of H), normalised.

    Args:
        hidden_dim: H.
        num_relations: R.

    Source:
        Schlichtkrull et al. 2018, arXiv:1703.06103, with block-diagonal relation matrices of block size one
        (a scale per channel) and one shared matrix, so that R relations cost one matrix product; residual and layer
        norm are ours.
    """

    def __init__(self, hidden_dim: int, num_relations: int) -> None:
        super().__init__()
        self.scales_RH = nn.Parameter(torch.ones(num_relations + 1, hidden_dim))
        self.linear = nn.Linear(hidden_dim, hidden_dim)
        self.norm = nn.LayerNorm(hidden_dim)

    def forward(self, states_NH: Tensor, relations: tuple[Relation, ...]) -> Tensor:
        """``(N, H)`` new states."""
        total_NH = _Mix.apply(states_NH, self.scales_RH, relations)  # type: ignore[no-untyped-call]
        result: Tensor = states_NH + functional.relu(self.norm(self.linear(total_NH)))
        return result


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
        self.dropout = dropout
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.widen = nn.Linear(embedding_dim, hidden_dim)
        self.convolutions = nn.ModuleList(TypedConvolution(hidden_dim, num_relations) for _ in range(num_layers))
        self.head = nn.Sequential(
            nn.Linear(2 * hidden_dim, hidden_dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden_dim, num_classes)
        )

    def forward(self, batch: GraphBatch) -> Tensor:
        """``(G, C)`` logits."""
        states = functional.embedding(batch.node_ids_N, self.widen(self.embedding.weight))
        for convolution in self.convolutions:
            states = dropout(convolution(states, batch.relations), self.dropout, training=self.training)
        logits: Tensor = self.head(mean_max_pool(states, batch.graph_N, num_graphs=batch.num_graphs))
        return logits
