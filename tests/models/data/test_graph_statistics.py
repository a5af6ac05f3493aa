"""The memory model is held against what the allocator really gave out in a training step of that shape."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.graph_statistics import (
    FUSED_KEPT_BYTES,
    PLAIN_KEPT_BYTES,
    GraphStatistics,
    NetworkShape,
    graph_memory,
    parameter_memory_bytes,
    recommended_batch_size,
    seed_formula_batch_size,
)

SEED_EXAMPLE_NODES = 384
SHAPE = {"hidden_dim": 256, "num_layers": 4, "embedding_dim": 128, "num_parameters": 490_242}

# One step of the seed's network in a process of its own; prints the largest sum of live tensor bytes.
MEASURED_STEP = """
import json, sys, torch
from torch.profiler import ProfilerActivity, profile
from torch.nn import functional as F
from torch_geometric.nn import GCNConv, global_max_pool, global_mean_pool

kind, graphs, nodes, edges, hidden, layers, width = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(1)

class Plain(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(1000, width)
        self.layers = torch.nn.ModuleList(GCNConv(width if i == 0 else hidden, hidden) for i in range(layers))
        linear = torch.nn.Linear
        self.head = torch.nn.Sequential(linear(2 * hidden, hidden), torch.nn.ReLU(), linear(hidden, 2))

    def forward(self, batch):
        ids, edge_index, graph, count = batch
        x = self.embedding(ids)
        for layer in self.layers:
            x = F.dropout(F.relu(layer(x, edge_index)), 0.3, self.training)
        return self.head(torch.cat([global_mean_pool(x, graph, count), global_max_pool(x, graph, count)], 1))

def plain_batch(count):
    graph = torch.arange(count).repeat_interleave(nodes)
    offsets = (torch.arange(count) * nodes).repeat_interleave(edges)
    return torch.randint(0, 100, (count * nodes,)), torch.randint(0, nodes, (2, count * edges)) + offsets, graph, count

def own_batch(count):
    from models.data.graph_batches import GraphBatch, SymmetricAdjacency
    total, degree = count * nodes, 2 * edges // nodes + 1
    adjacency = SymmetricAdjacency(
        torch.arange(0, total * degree + 1, degree),
        torch.randint(0, total, (total * degree,)),
        torch.rand(total * degree),
    )
    graph = torch.arange(count).repeat_interleave(nodes)
    return GraphBatch(torch.randint(0, 100, (total,)), graph, count, adjacency)

if kind == "plain":
    network, make = Plain(), plain_batch
else:
    from models.nn.gcn import GraphClassifier
    network, make = GraphClassifier(1000, width, hidden, layers), own_batch
optimiser = torch.optim.AdamW(network.parameters())

def step(count):
    loss = F.cross_entropy(network(make(count)), torch.zeros(count, dtype=torch.long))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

step(1)
with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
    step(graphs)
live = peak = 0
for event in profiled.profiler.kineto_results.events():
    if event.name() == "[memory]":
        live += event.nbytes()
        peak = max(peak, live)
print(json.dumps(peak))
"""


@pytest.mark.parametrize(
    ("kind", "graphs", "nodes", "edges", "hidden_dim", "num_layers", "embedding_dim"),
    [("plain", 16, 384, 880, 256, 4, 128), ("plain", 16, 100, 900, 128, 2, 64), ("own", 16, 384, 880, 256, 4, 128)],
)
def test_memory_model_is_within_half_and_double_of_a_real_step(
    kind: str, graphs: int, nodes: int, edges: int, hidden_dim: int, num_layers: int, embedding_dim: int
) -> None:
    numbers = [graphs, nodes, edges, hidden_dim, num_layers, embedding_dim]
    finished = subprocess.run(
        [sys.executable, "-c", MEASURED_STEP, kind, *map(str, numbers)], capture_output=True, text=True, check=True
    )
    measured_bytes = json.loads(finished.stdout)

    each = graph_memory(
        hidden_dim=hidden_dim,
        num_layers=num_layers,
        embedding_dim=embedding_dim,
        kept_bytes=PLAIN_KEPT_BYTES if kind == "plain" else FUSED_KEPT_BYTES,
        gathers=kind == "plain",
    )
    modelled_bytes = graphs * (nodes * each.per_node + edges * each.per_edge)

    assert 0.5 < modelled_bytes / measured_bytes < 2.0


def test_seed_formula_gives_the_number_it_claims_not_to() -> None:
    assert seed_formula_batch_size(SEED_EXAMPLE_NODES) == 21_845


def test_seed_example_is_recommended_its_configured_32() -> None:
    statistics = GraphStatistics(cap=32)
    for nodes in [100] * 90 + [SEED_EXAMPLE_NODES] * 10:
        statistics.add(nodes, 2 * nodes)

    summary = statistics.summary()

    assert summary["p95_nodes"] == SEED_EXAMPLE_NODES
    assert summary["recommended_batch_size"] == 32
    assert summary["seed_formula_batch_size"] == 21_845


def test_memory_below_the_cap_lowers_the_batch_and_it_really_fits() -> None:
    memory_bytes = 256 * 2**20
    size = recommended_batch_size(SEED_EXAMPLE_NODES, 880, memory_bytes=memory_bytes, cap=1000, **SHAPE)
    each = graph_memory(hidden_dim=256, num_layers=4, embedding_dim=128)
    per_graph = SEED_EXAMPLE_NODES * each.per_node + 880 * each.per_edge
    fixed = parameter_memory_bytes(490_242)

    assert 1 < size < 1000
    assert fixed + size * per_graph <= memory_bytes / 2 < fixed + (size + 1) * per_graph


def test_a_graph_that_does_not_fit_still_gives_a_batch_of_one() -> None:
    assert recommended_batch_size(10**7, 10**7, memory_bytes=2**20, cap=32, **SHAPE) == 1


@given(
    nodes=st.integers(1, 5000),
    edges=st.integers(0, 20_000),
    layers=st.integers(1, 8),
    megabytes=st.integers(10, 40_000),
)
def test_recommendation_never_grows_with_size_or_depth(nodes: int, edges: int, layers: int, megabytes: int) -> None:
    def size(nodes: int, edges: int, layers: int, megabytes: int) -> int:
        shape = {**SHAPE, "num_layers": layers}
        return recommended_batch_size(nodes, edges, memory_bytes=megabytes * 2**20, cap=4096, **shape)

    here = size(nodes, edges, layers, megabytes)
    assert 1 <= size(2 * nodes, edges, layers, megabytes) <= here
    assert size(nodes, edges + 1000, layers, megabytes) <= here
    assert size(nodes, edges, layers + 1, megabytes) <= here
    assert size(nodes, edges, layers, 2 * megabytes) >= here


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=200))
def test_percentiles_agree_with_numpy(sizes: list[int]) -> None:
    statistics = GraphStatistics()
    for size in sizes:
        statistics.add(size, 2 * size)

    summary = statistics.summary()

    for percent in (50, 90, 95, 99):
        expected = np.percentile(sizes, percent, method="inverted_cdf")
        assert summary[f"p{percent}_nodes"] == expected
        assert summary[f"p{percent}_edges"] == 2 * expected
    assert summary["total_graphs"] == len(sizes)
    assert summary["max_nodes"] == max(sizes)
    assert summary["avg_nodes"] == pytest.approx(np.mean(sizes), abs=0.01)


def test_summary_without_graphs_is_zeros() -> None:
    summary = GraphStatistics(cap=8).summary()

    assert summary["total_graphs"] == summary["max_nodes"] == summary["p95_edges"] == 0
    assert summary["recommended_batch_size"] == 8


def test_the_recommendation_says_which_cap_and_network_it_is_for() -> None:
    shape = NetworkShape(hidden_dim=64, num_layers=2, embedding_dim=32, num_parameters=99)
    statistics = GraphStatistics(cap=8, shape=shape)

    assert statistics.summary()["recommended_for"] == {"batch_size_cap": 8, **shape._asdict()}


def test_default_shape_counts_the_parameters_of_our_network() -> None:
    from models.nn.gcn import GraphClassifier

    assert sum(p.numel() for p in GraphClassifier().parameters()) == NetworkShape().num_parameters
