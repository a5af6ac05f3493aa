"""From node states to one vector per graph.

Shape letters: N nodes of the batch, G graphs, D state width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from models.errors import ShapeError


class _Max(torch.autograd.Function):
    """Maximum over each graph's nodes; nodes that tie for it share its gradient, as torch's ``scatter_reduce`` does.

    torch's own gradient also scatters zeros over what was there before, and costs three times as much.
    """

    @staticmethod
    def forward(ctx: Any, states_ND: Tensor, graph_N: Tensor, num_graphs: int) -> Tensor:
        index_ND = graph_N.unsqueeze(1).expand_as(states_ND)
        zeros_GD = states_ND.new_zeros(num_graphs, states_ND.shape[1])
        max_GD = zeros_GD.scatter_reduce(0, index_ND, states_ND.detach(), "amax", include_self=False)
        ctx.save_for_backward(states_ND, graph_N, max_GD)
        return max_GD

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        states_ND, graph_N, max_GD = ctx.saved_tensors
        is_max_ND = max_GD.index_select(0, graph_N).eq_(states_ND)  # 1.0 where it is
        num_max_GD = torch.zeros_like(max_GD).index_add_(0, graph_N, is_max_ND).clamp_(min=1.0)
        return is_max_ND.mul_((gradients[0] / num_max_GD).index_select(0, graph_N)), None, None


def mean_max_pool(states_ND: Tensor, graph_N: Tensor, *, num_graphs: int) -> Tensor:
    """Mean and maximum over each graph's nodes, side by side: ``(G, 2 D)``; zeros for a graph without nodes.

    Args:
        states_ND: ``(N, D)`` float.
        graph_N: ``(N,)`` int64, the graph of each node, in ``[0, G)``.
        num_graphs: G.

    Raises:
        ShapeError: the two do not have the same N.
    """
    if states_ND.ndim != 2 or graph_N.shape != states_ND.shape[:1]:
        raise ShapeError("graph_N", f"({states_ND.shape[0]},)", tuple(graph_N.shape))
    num_nodes_G = torch.bincount(graph_N, minlength=num_graphs).clamp(min=1).to(states_ND.dtype)
    zeros_GD = states_ND.new_zeros(num_graphs, states_ND.shape[1])
    mean_GD = zeros_GD.index_add(0, graph_N, states_ND) / num_nodes_G.unsqueeze(1)
    max_GD: Tensor = _Max.apply(states_ND, graph_N, num_graphs)  # type: ignore[no-untyped-call]
    return torch.cat([mean_GD, max_GD], dim=1)
