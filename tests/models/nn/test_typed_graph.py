from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from models.nn.typed_graph import TypedConvolution


def layer_for(relations: tuple[Any, ...], hidden_dim: int = 8) -> TypedConvolution:
    torch.manual_seed(0)
    return TypedConvolution(hidden_dim, num_relations=len(relations), dropout=0.0).double()


def in_double(relations: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        replace(
            relation,
            values_E=relation.values_E.double(),
            transposed_values_E=relation.transposed_values_E.double(),
        )
        for relation in relations
    )


def test_a_typed_convolution_is_what_dense_matrices_make_of_its_formula(
    random_graphs: Callable[..., Any], dense: Callable[..., Tensor]
):
    relations = in_double(random_graphs(9, 5).batch().relations)
    layer = layer_for(relations)
    states = torch.randn(14, 8, dtype=torch.double, requires_grad=True)
    twin = states.detach().clone().requires_grad_()
    found = layer(states, relations)
    total = twin @ layer.own.weight.T + layer.own.bias
    for number, relation in enumerate(relations):
        of_relation = layer.related.weight[:, 2 * number : 2 * number + 2]  # U_r
        total = total + dense(relation) @ twin @ (of_relation @ layer.shared.weight).T
    expected = twin + total.relu()
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    own = torch.autograd.grad((found * weights).sum(), [states, *layer.parameters()])
    others = torch.autograd.grad((expected * weights).sum(), [twin, *layer.parameters()])
    for gradient, other in zip(own, others, strict=True):
        torch.testing.assert_close(gradient, other)


def test_its_gradient_is_right_numerically(random_graphs: Callable[..., Any]):
    relations = in_double(random_graphs(4, 3).batch().relations)
    assert len(relations) == 6
    layer = layer_for(relations, hidden_dim=4)
    states = torch.randn(7, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda own: layer(own, relations), (states,))


def test_directions_and_types_count(random_graphs: Callable[..., Any]):
    relations = in_double(random_graphs(9).batch().relations)
    layer = layer_for(relations)
    states = torch.randn(9, 8, dtype=torch.double)
    for first, second in ((0, 1), (0, 2)):  # a type's two directions; two types
        swapped = list(relations)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        assert not torch.allclose(layer(states, relations), layer(states, tuple(swapped)))
