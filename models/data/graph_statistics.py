"""How large the syntax graphs are, and how many of them fit into memory at once.

The seed's formula, ``batch_size = (16 GB * 0.5) / (P95_nodes * 256 * 4)``, counts one activation of one layer and gives
21,845 for its own example (384 nodes) where it says 32. It is reported as ``seed_formula_batch_size``; what is
recommended comes from `graph_memory` and the network's parameters, and never exceeds the configured batch size.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from models.data.percentiles import mean_of, percentiles_of

FLOAT_BYTES = 4
INDEX_BYTES = 8
PLAIN_KEPT_BYTES = 3 * FLOAT_BYTES
FUSED_KEPT_BYTES = FLOAT_BYTES
SAFETY_MARGIN = 0.5
"""Share of the memory that may be planned for: the rest is for the library's workspaces and fragmentation."""
SEED_MEMORY_BYTES = 16 * 2**30


class NetworkShape(NamedTuple):
    """What of a graph network decides its memory; the defaults are the seed's network."""

    hidden_dim: int = 256
    num_layers: int = 4
    embedding_dim: int = 128
    num_parameters: int = 490_242


class GraphMemory(NamedTuple):
    """Memory that grows with a batch [bytes].

    Args:
        per_node: Node ids, and the activations of all layers that are kept for the backward pass.
        per_edge: Edge list, normalisation, and the messages of the one layer that is being computed.
    """

    per_node: int
    per_edge: int


def graph_memory(
    *, hidden_dim: int, num_layers: int, embedding_dim: int, kept_bytes: int = PLAIN_KEPT_BYTES, gathers: bool = True
) -> GraphMemory:
    """Bytes that a node and an edge cost at the peak of a training step of a graph convolution network in float32.

    Kept per node from forward to backward: the embedding, and of each layer what ``kept_bytes`` says. At the peak, when
    the backward pass enters the last layer, three more arrays of the hidden width are alive: the gradient that arrives,
    the one that is made, and the scattered gradient of the pooling. An edge costs its two ends and weight (with the
    self loops and the transposed copy that the normalisation makes) and, where messages are gathered edge by edge, two
    arrays of the hidden width; a product with a sparse matrix makes none.

    Args:
        hidden_dim: Width of a hidden layer.
        num_layers: Graph convolutions.
        embedding_dim: Width of a node embedding.
        kept_bytes: Bytes kept of each activation: ``PLAIN_KEPT_BYTES`` for rectifier, dropout mask and dropped-out
            output apart, as on a GPU or in plain PyTorch; ``FUSED_KEPT_BYTES`` for ``rectified_dropout`` on a CPU.
        gathers: Messages are made edge by edge (plain PyG); false for sparse products.
    """
    kept = embedding_dim * FLOAT_BYTES + num_layers * hidden_dim * kept_bytes
    passing = 3 * hidden_dim * FLOAT_BYTES
    edge_list = 2 * (2 * INDEX_BYTES + FLOAT_BYTES)
    messages = 2 * hidden_dim * FLOAT_BYTES if gathers else 0
    # Each node has a self loop, so it also counts as an edge.
    return GraphMemory(INDEX_BYTES + kept + passing + edge_list + messages, edge_list + messages)


def parameter_memory_bytes(num_parameters: int) -> int:
    """Weights, gradients and the two moments of Adam [bytes]."""
    return 4 * FLOAT_BYTES * num_parameters


def recommended_batch_size(
    p95_nodes: int,
    p95_edges: int,
    *,
    hidden_dim: int,
    num_layers: int,
    embedding_dim: int,
    memory_bytes: int,
    num_parameters: int,
    cap: int,
    kept_bytes: int = PLAIN_KEPT_BYTES,
    gathers: bool = True,
) -> int:
    """Graphs of the 95th percentile's size that fit into half of the memory, at least 1 and at most ``cap``.

    Args:
        p95_nodes: Nodes of a large graph.
        p95_edges: Edges of a large graph.
        hidden_dim: Width of a hidden layer.
        num_layers: Graph convolutions.
        embedding_dim: Width of a node embedding.
        memory_bytes: Memory of the device; on a CPU, what the process may take.
        num_parameters: Trainable parameters.
        cap: The configured batch size.
        kept_bytes: See `graph_memory`.
        gathers: See `graph_memory`.
    """
    each = graph_memory(
        hidden_dim=hidden_dim,
        num_layers=num_layers,
        embedding_dim=embedding_dim,
        kept_bytes=kept_bytes,
        gathers=gathers,
    )
    planned = int(memory_bytes * SAFETY_MARGIN) - parameter_memory_bytes(num_parameters)
    per_graph = p95_nodes * each.per_node + p95_edges * each.per_edge
    return max(1, min(cap, planned // max(per_graph, 1)))


def seed_formula_batch_size(p95_nodes: int, memory_bytes: int = SEED_MEMORY_BYTES) -> int:
    """The seed's ``(16 GB * 0.5) / (P95_nodes * 256 * 4 bytes)``, for the record only."""
    return int(memory_bytes * SAFETY_MARGIN) // (max(p95_nodes, 1) * 256 * FLOAT_BYTES)


class GraphStatistics:
    """Collects the sizes of graphs.

    Memory: one counter entry per distinct size, so it does not grow with the number of graphs.

    Args:
        memory_bytes: Memory of the device the batch must fit into; the seed's T4 has 16 GiB.
        cap: The configured batch size, which is never exceeded.
        shape: The network that will be trained.
    """

    def __init__(self, memory_bytes: int = SEED_MEMORY_BYTES, cap: int = 32, shape: NetworkShape | None = None) -> None:
        self.memory_bytes = memory_bytes
        self.cap = cap
        self.shape = shape if shape is not None else NetworkShape()
        self._nodes: Counter[int] = Counter()
        self._edges: Counter[int] = Counter()

    def add(self, num_nodes: int, num_edges: int) -> None:
        """Count one graph."""
        self._nodes[num_nodes] += 1
        self._edges[num_edges] += 1

    def summary(self) -> dict[str, Any]:
        """The seed's keys and more, as JSON values; zeros and a batch size of ``cap`` when no graph was counted.

        Returns:
            ``total_graphs``; ``avg_``, ``p50_``, ``p90_``, ``p95_``, ``p99_`` and ``max_`` of ``nodes`` and ``edges``;
            ``recommended_batch_size``, ``seed_formula_batch_size``, and the memory, the cap and the network (plain
            PyTorch) that the recommendation assumes; a training with another network makes its own.
        """
        p95_nodes, p95_edges = percentiles_of(self._nodes)[95], percentiles_of(self._edges)[95]
        shape = self.shape._asdict()
        recommended = recommended_batch_size(
            p95_nodes, p95_edges, memory_bytes=self.memory_bytes, cap=self.cap, **shape
        )
        network = {name: value for name, value in shape.items() if name != "num_parameters"}
        each = graph_memory(**network)
        return {
            "total_graphs": self._nodes.total(),
            **_summary_of("nodes", self._nodes),
            **_summary_of("edges", self._edges),
            "recommended_batch_size": recommended,
            "recommended_for": {"batch_size_cap": self.cap, **shape},
            "seed_formula_batch_size": seed_formula_batch_size(p95_nodes),
            "memory_bytes": self.memory_bytes,
            "safety_margin": SAFETY_MARGIN,
            "parameter_memory_bytes": parameter_memory_bytes(self.shape.num_parameters),
            "p95_graph_memory_bytes": p95_nodes * each.per_node + p95_edges * each.per_edge,
        }


def _summary_of(what: str, sizes: Counter[int]) -> dict[str, float | int]:
    percentiles = {f"p{percent}_{what}": size for percent, size in percentiles_of(sizes).items()}
    return {f"avg_{what}": mean_of(sizes), **percentiles, f"max_{what}": max(sizes, default=0)}
