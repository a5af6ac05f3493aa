"""Graph convolution over a normalised adjacency made once.

Shape letters in this file: N nodes of the batch, E non-zero entries, D input width, H output width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.data.graph_batches import SymmetricAdjacency


class _Propagate(torch.autograd.Function):
    """A @ X for symmetric A. The gradient is A @ G, so nothing is transposed and no message is stored."""

    @staticmethod
    def forward(ctx: Any, states_ND: Tensor, adjacency: SymmetricAdjacency) -> Tensor:
        ctx.adjacency = adjacency
        return multiply(adjacency, states_ND.detach())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return multiply(ctx.adjacency, gradients[0].contiguous()), None


def multiply(adjacency: SymmetricAdjacency, states_ND: Tensor) -> Tensor:
    """A @ X as a bag of weighted rows, several times faster than a sparse matrix product on the CPU."""
    return functional.embedding_bag(
        adjacency.columns_E,
        states_ND,
        adjacency.row_starts_N1,
        mode="sum",
        per_sample_weights=adjacency.values_E.to(states_ND.dtype),
        include_last_offset=True,
    )


def propagate(states_ND: Tensor, adjacency: SymmetricAdjacency) -> Tensor:
    """A @ X with gradient; ``(N, D)`` to ``(N, D)``."""
    result: Tensor = _Propagate.apply(states_ND, adjacency)  # type: ignore[no-untyped-call]
    return result


class GraphConvolution(nn.Module):
    """H = A X W + b, as PyTorch Geometric's ``GCNConv`` on a graph without directions.

    Args:
        in_dim: Width D of a node's state.
        out_dim: Width H of its new state.

    Shape:
        - states_ND: ``(N, D)`` float.
        - output: ``(N, H)``.

    Source:
        Kipf and Welling 2017, arXiv:1609.02907, equation 2. We keep the normalised adjacency instead of computing
        it in each pass.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_dim, in_dim))
        self.bias = nn.Parameter(torch.zeros(out_dim))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, states_ND: Tensor, adjacency: SymmetricAdjacency) -> Tensor:
        """``(N, H)``."""
        return propagate(functional.linear(states_ND, self.weight), adjacency).add_(self.bias)

    def forward_embedded(self, table_VD: Tensor, ids_N: Tensor, adjacency: SymmetricAdjacency) -> Tensor:
        """The same for states that are rows of a small table: the table is transformed, not each node."""
        transformed_VH = functional.linear(table_VD, self.weight)
        return propagate(functional.embedding(ids_N, transformed_VH), adjacency).add_(self.bias)
