from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.nn.typed_graph import TypedConvolution, _Mix


def test_a_typed_convolution_is_what_dense_matrices_make_of_its_formula(
    random_graphs: Callable[..., Any], dense: Callable[..., Tensor]
):
    torch.manual_seed(0)
    relations = random_graphs(9, 5).batch().relations
    layer = TypedConvolution(6, num_relations=len(relations))
    with torch.no_grad():
        layer.scales_RH.normal_()
    states = torch.randn(14, 6, requires_grad=True)
    twin = states.detach().clone().requires_grad_()
    found = layer(states, relations)
    total = layer.scales_RH[0] * twin
    for scale, relation in zip(layer.scales_RH[1:], relations, strict=True):
        total = total + scale * (dense(relation) @ twin)
    expected = twin + functional.relu(functional.layer_norm(layer.linear(total), (6,)))
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    own_scales, layer.scales_RH.grad = layer.scales_RH.grad, None
    (expected * weights).sum().backward()
    torch.testing.assert_close(states.grad, twin.grad)
    torch.testing.assert_close(own_scales, layer.scales_RH.grad)


def test_the_gradient_of_mixing_is_right_numerically(random_graphs: Callable[..., Any]):
    relations = random_graphs(4, 3).batch().relations
    states = torch.randn(7, 2, dtype=torch.double, requires_grad=True)
    scales = torch.randn(len(relations) + 1, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, s: _Mix.apply(x, s, relations), (states, scales))


def test_directions_and_types_count(random_graphs: Callable[..., Any]):
    torch.manual_seed(0)
    relations = random_graphs(9).batch().relations
    layer = TypedConvolution(6, num_relations=len(relations))
    with torch.no_grad():
        layer.scales_RH.normal_()
    states = torch.randn(9, 6)
    swapped = (relations[1], relations[0], *relations[2:])
    assert not torch.allclose(layer(states, relations), layer(states, swapped))
