from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv, global_max_pool, global_mean_pool

from models.nn.gcn import GraphClassifier
from models.nn.typed_graph import TypedGraphClassifier

SIZES = {"vocab_size": 30, "embedding_dim": 6, "hidden_dim": 8, "num_layers": 3}


class Reference(nn.Module):
    """The seed's network put together from PyTorch Geometric's parts, with the weights of ours."""

    def __init__(self, ours: GraphClassifier) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(ours.embedding.weight.detach().clone(), freeze=False)
        self.convolutions = nn.ModuleList()
        for own in ours.convolutions:
            layer = GCNConv(own.weight.shape[1], own.weight.shape[0])
            with torch.no_grad():
                layer.lin.weight.copy_(own.weight)
                layer.bias.copy_(own.bias)
            self.convolutions.append(layer)
        self.first = nn.Linear(2 * SIZES["hidden_dim"], SIZES["hidden_dim"])
        self.last = nn.Linear(SIZES["hidden_dim"], 2)
        self.first.load_state_dict(ours.head[0].state_dict())
        self.last.load_state_dict(ours.head[3].state_dict())

    def forward(self, ids: Tensor, edges: Tensor, graph: Tensor) -> Tensor:
        states = self.embedding(ids)
        for layer in self.convolutions:
            states = layer(states, edges).relu()
        pooled = torch.cat([global_mean_pool(states, graph), global_max_pool(states, graph)], dim=1)
        return self.last(self.first(pooled).relu())


def test_it_is_the_network_that_pytorch_geometric_s_parts_make(random_graphs: Callable[..., Any]):
    torch.manual_seed(0)
    graphs = random_graphs(9, 1, 14, 5)
    batch = graphs.batch()
    ours = GraphClassifier(**SIZES).eval()
    with torch.no_grad():
        for convolution in ours.convolutions:
            convolution.bias.normal_()
    theirs = Reference(ours)
    found = ours(batch)
    expected = theirs(batch.node_ids_N, graphs.both_ways_2E, batch.graph_N)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.embedding.weight.grad, theirs.embedding.weight.grad, rtol=1e-4, atol=1e-6)
    for own, layer in zip(ours.convolutions, theirs.convolutions, strict=True):
        torch.testing.assert_close(own.weight.grad, layer.lin.weight.grad, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(own.bias.grad, layer.bias.grad, rtol=1e-4, atol=1e-6)


def test_the_sizes_are_the_seed_s():
    shapes = {name: tuple(parameter.shape) for name, parameter in GraphClassifier().named_parameters()}
    assert shapes["embedding.weight"] == (1000, 128)
    assert [shapes[f"convolutions.{layer}.weight"] for layer in range(4)] == [(256, 128)] + [(256, 256)] * 3
    assert (shapes["head.0.weight"], shapes["head.3.weight"]) == ((256, 512), (2, 256))


@pytest.mark.parametrize("network", [GraphClassifier, TypedGraphClassifier])
def test_graphs_in_a_batch_do_not_see_each_other(network: Any, random_graphs: Callable[..., Any]):
    torch.manual_seed(0)
    graphs = random_graphs(9, 1, 14, 5)
    model = network(**SIZES).eval()
    together = model(graphs.batch(3, 0, 2, 1, 0))
    alone = torch.cat([model(graphs.batch(number)) for number in (3, 0, 2, 1, 0)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("network", [GraphClassifier, TypedGraphClassifier])
def test_dropout_acts_in_training_only_and_every_parameter_learns(network: Any, random_graphs: Callable[..., Any]):
    torch.manual_seed(0)
    batch = random_graphs(9, 14).batch()
    model = network(**SIZES, dropout=0.5)
    assert not torch.equal(model(batch), model(batch))
    model(batch).pow(2).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
    model.eval()
    assert torch.equal(model(batch), model(batch))
