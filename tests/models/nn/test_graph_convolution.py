from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch_geometric.nn import GCNConv

from models.nn.graph_convolution import GraphConvolution, multiply, propagate


def twins() -> tuple[GraphConvolution, GCNConv]:
    """Ours and PyTorch Geometric's, with the same weights, in double precision."""
    torch.manual_seed(0)
    ours, theirs = GraphConvolution(6, 4).double(), GCNConv(6, 4).double()
    with torch.no_grad():
        ours.bias.normal_()
        theirs.lin.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias)
    return ours, theirs


def in_double(batch: Any) -> Any:
    """Values as exact as the comparison."""
    adjacency = batch.adjacency
    degrees = (adjacency.row_starts_N1[1:] - adjacency.row_starts_N1[:-1]).double()
    rows = torch.repeat_interleave(torch.arange(len(degrees)), degrees.long())
    exact = 1 / torch.sqrt(degrees[rows] * degrees[adjacency.columns_E])
    torch.testing.assert_close(exact.float(), adjacency.values_E)
    return replace(adjacency, values_E=exact)


def test_it_is_the_convolution_of_pytorch_geometric_forward_and_backward(random_graphs: Callable[..., Any]):
    graphs = random_graphs(9, 1, 14)
    ours, theirs = twins()
    states = torch.randn(24, 6, dtype=torch.double, requires_grad=True)
    twin_states = states.detach().clone().requires_grad_()
    found = ours(states, in_double(graphs.batch()))
    expected = theirs(twin_states, graphs.both_ways_2E)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(states.grad, twin_states.grad)
    torch.testing.assert_close(ours.weight.grad, theirs.lin.weight.grad)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)


def test_its_first_weights_are_drawn_as_theirs_are():
    torch.manual_seed(3)
    ours = GraphConvolution(6, 4)
    torch.manual_seed(3)
    theirs = GCNConv(6, 4)
    assert not ours.bias.any()
    bound = (6 / (6 + 4)) ** 0.5
    assert ours.weight.abs().max() <= bound
    assert theirs.lin.weight.abs().max() <= bound


def test_transforming_the_table_first_gives_the_same_states_and_gradients(random_graphs: Callable[..., Any]):
    batch = random_graphs(9, 14).batch()
    ours, _ = twins()
    table = torch.randn(30, 6, dtype=torch.double, requires_grad=True)
    twin_table = table.detach().clone().requires_grad_()
    found = ours.forward_embedded(table, batch.node_ids_N, batch.adjacency)
    expected = ours(twin_table[batch.node_ids_N], batch.adjacency)
    torch.testing.assert_close(found, expected)
    found.pow(2).sum().backward()
    expected.pow(2).sum().backward()
    torch.testing.assert_close(table.grad, twin_table.grad)


def test_the_gradient_of_propagation_is_right_numerically(random_graphs: Callable[..., Any]):
    adjacency = random_graphs(4, 3).batch().adjacency
    states = torch.randn(7, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: propagate(x, adjacency), (states,))


def test_propagation_multiplies_by_the_matrix(random_graphs: Callable[..., Any], dense: Callable[..., torch.Tensor]):
    adjacency = random_graphs(4, 3).batch().adjacency
    states = torch.randn(7, 5)
    torch.testing.assert_close(multiply(adjacency, states), dense(adjacency) @ states)
