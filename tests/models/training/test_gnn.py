"""What the memory model is told of our networks, against what the allocator really gave out in a step of them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from models.data.graph_statistics import graph_memory
from models.training.gnn import kept_bytes

MEASURED_STEP = """
import json, sys
import numpy as np
import torch
from types import SimpleNamespace
from torch.profiler import ProfilerActivity, profile
from models.data.graph_batches import GraphStore
from models.settings.gnn import GnnSettings
from models.training.gnn import GraphObjective

architecture, fused, graphs, nodes, hidden, layers, width = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(1)
if not fused:  # what a GPU does, which takes torch's own rectifier and dropout
    import models.nn.dropout
    models.nn.dropout.draws_here = lambda states: False

rng = np.random.default_rng(0)
tree = [(int(rng.integers(max(0, n - 5), n)), n) for n in range(1, nodes)]
row = [(n, n + 1) for n in range(nodes - 1)]
edges = np.array(tree + row)
flat = SimpleNamespace(
    node_ids=rng.integers(0, 100, graphs * nodes),
    node_ptr=np.arange(graphs + 1) * nodes,
    edge_src=np.tile(edges[:, 0], graphs),
    edge_dst=np.tile(edges[:, 1], graphs),
    edge_type=np.tile(np.array([0] * len(tree) + [2] * len(row)), graphs),
    edge_ptr=np.arange(graphs + 1) * len(edges),
)
examples = SimpleNamespace(
    batch=GraphStore(flat, with_relations=architecture == "typed").batch,
    labels=np.zeros(graphs, dtype=np.int8),
    weights=np.ones(graphs),
)
objective = GraphObjective(
    GnnSettings(architecture=architecture, hidden_dim=hidden, num_layers=layers, embedding_dim=width)
)
optimiser = torch.optim.AdamW(objective.model.parameters())

def step(count):
    optimiser.zero_grad()
    objective.loss_sum(examples, np.arange(count)).backward()
    optimiser.step()

step(1)
with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
    step(graphs)
live = peak = 0
for event in profiled.profiler.kineto_results.events():
    if event.name() == "[memory]":
        live += event.nbytes()
        peak = max(peak, live)
print(json.dumps([peak, len(edges)]))
"""


@pytest.mark.parametrize("shape", [(256, 4, 128), (128, 2, 64)], ids=["four wide layers", "two narrow ones"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("architecture", ["gcn", "typed"])
def test_the_memory_planned_with_is_that_of_a_real_step_to_half_more(
    architecture: str, device: str, shape: tuple[int, int, int]
):
    graphs, nodes = 16, 384
    numbers = [int(device == "cpu"), graphs, nodes, *shape]
    command = [sys.executable, "-c", MEASURED_STEP, architecture, *map(str, numbers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured_bytes, edges = json.loads(done.stdout)
    hidden_dim, num_layers, embedding_dim = shape
    each = graph_memory(
        hidden_dim=hidden_dim,
        num_layers=num_layers,
        embedding_dim=embedding_dim,
        kept_bytes=kept_bytes(architecture, device),
        gathers=False,
    )
    modelled_bytes = graphs * (nodes * each.per_node + edges * each.per_edge)
    assert 0.9 < modelled_bytes / measured_bytes < 1.5
