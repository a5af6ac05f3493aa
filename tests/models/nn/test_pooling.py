from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import global_max_pool, global_mean_pool

from models.errors import ShapeError
from models.nn.pooling import mean_max_pool


def test_it_is_the_mean_and_the_maximum_of_pytorch_geometric():
    graph = torch.tensor([0, 0, 2, 2, 2, 3])
    states = (torch.randn(6, 5, dtype=torch.double) - 2).requires_grad_()
    twin = states.detach().clone().requires_grad_()
    found = mean_max_pool(states, graph, num_graphs=5)
    expected = torch.cat([global_mean_pool(twin, graph, size=5), global_max_pool(twin, graph, size=5)], dim=1)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(states.grad, twin.grad)
    assert not found[[1, 4]].any()  # graphs without nodes


@pytest.mark.parametrize("shapes", [((4, 2), (3,)), ((4,), (4,)), ((4, 2), (4, 1))])
def test_states_and_graphs_of_other_lengths_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]):
    states, graph = shapes
    with pytest.raises(ShapeError, match=r"graph_N must be \(4,\)"):
        mean_max_pool(torch.zeros(states), torch.zeros(graph, dtype=torch.long), num_graphs=1)
