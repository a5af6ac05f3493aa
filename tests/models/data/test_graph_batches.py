from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.data.graph_batches import NUM_EDGE_TYPES, GraphBatch, GraphStore

Edge = tuple[int, int, int]
Graph = tuple[int, list[Edge]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Nodes and edges (source, target, type): self loops, double edges and lonely nodes among them."""
    num_nodes = draw(st.integers(0, 5))
    node = st.integers(0, max(num_nodes - 1, 0))
    edge = st.tuples(node, node, st.integers(0, NUM_EDGE_TYPES - 1))
    return num_nodes, draw(st.lists(edge, max_size=8)) if num_nodes else []


collections = st.lists(graphs(), min_size=1, max_size=4)


def flat(all_graphs: list[Graph]) -> SimpleNamespace:
    edges = np.array([edge for _, own in all_graphs for edge in own], dtype=np.int64).reshape(-1, 3)
    node_ptr = np.cumsum([0] + [num_nodes for num_nodes, _ in all_graphs])
    return SimpleNamespace(
        node_ids=np.arange(node_ptr[-1], dtype=np.int16) % 50,
        node_ptr=node_ptr,
        edge_src=edges[:, 0].astype(np.int32),
        edge_dst=edges[:, 1].astype(np.int32),
        edge_type=edges[:, 2].astype(np.int8),
        edge_ptr=np.cumsum([0] + [len(own) for _, own in all_graphs]),
    )


def dense(starts: torch.Tensor, columns: torch.Tensor, values: torch.Tensor) -> np.ndarray:
    num_nodes = len(starts) - 1
    matrix = np.zeros((num_nodes, num_nodes))
    for row in range(num_nodes):
        for place in range(int(starts[row]), int(starts[row + 1])):
            matrix[row, int(columns[place])] += float(values[place])
    return matrix


def place_in_batch(batch: list[Graph]) -> list[tuple[int, int, list[Edge]]]:
    """First node, number of nodes and edges of each graph."""
    placed, first = [], 0
    for num_nodes, edges in batch:
        placed.append((first, num_nodes, edges))
        first += num_nodes
    return placed


def expected_symmetric(batch: list[Graph]) -> np.ndarray:
    """D^-1/2 (A + I) D^-1/2, from its definition."""
    total = sum(num_nodes for num_nodes, _ in batch)
    joined = np.eye(total)
    for first, _, edges in place_in_batch(batch):
        for source, target, _ in edges:
            joined[first + source, first + target] = joined[first + target, first + source] = 1
    degree = joined.sum(axis=1)
    return joined / np.sqrt(np.outer(degree, degree)) if total else joined


def expected_means(batch: list[Graph], edge_type: int, *, reverse: bool) -> np.ndarray:
    """Mean over the neighbours by one kind of edge; a double edge counts twice."""
    total = sum(num_nodes for num_nodes, _ in batch)
    counts = np.zeros((total, total))
    for first, _, edges in place_in_batch(batch):
        for source, target, own_type in edges:
            if own_type == edge_type:
                row, column = (source, target) if reverse else (target, source)
                counts[first + row, first + column] += 1
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def made(all_graphs: list[Graph], order: list[int]) -> tuple[GraphBatch, list[Graph]]:
    store = GraphStore(flat(all_graphs), with_relations=True)
    return store.batch(np.array(order)), [all_graphs[number] for number in order]


@given(all_graphs=collections, data=st.data())
def test_a_batch_holds_the_normalised_adjacency_of_its_graphs(all_graphs: list[Graph], data: st.DataObject):
    order = data.draw(st.lists(st.integers(0, len(all_graphs) - 1), min_size=1, max_size=5))
    batch, chosen = made(all_graphs, order)
    adjacency = batch.adjacency
    found = dense(adjacency.row_starts_N1, adjacency.columns_E, adjacency.values_E)
    np.testing.assert_allclose(found, expected_symmetric(chosen), atol=1e-6)
    np.testing.assert_array_equal(found, found.T)


@given(all_graphs=collections, data=st.data())
def test_each_relation_is_a_mean_over_neighbours_with_its_transpose(all_graphs: list[Graph], data: st.DataObject):
    order = data.draw(st.lists(st.integers(0, len(all_graphs) - 1), min_size=1, max_size=5))
    batch, chosen = made(all_graphs, order)
    assert len(batch.relations) == 2 * NUM_EDGE_TYPES
    for number, relation in enumerate(batch.relations):
        expected = expected_means(chosen, number // 2, reverse=bool(number % 2))
        forward = dense(relation.row_starts_N1, relation.columns_E, relation.values_E)
        backward = dense(relation.transposed_starts_N1, relation.transposed_columns_E, relation.transposed_values_E)
        np.testing.assert_allclose(forward, expected, atol=1e-6)
        np.testing.assert_allclose(backward, expected.T, atol=1e-6)


@given(all_graphs=collections, data=st.data())
def test_nodes_keep_their_ids_and_know_their_graph(all_graphs: list[Graph], data: st.DataObject):
    order = data.draw(st.lists(st.integers(0, len(all_graphs) - 1), min_size=1, max_size=5))
    batch, chosen = made(all_graphs, order)
    source = flat(all_graphs)
    ids = [source.node_ids[source.node_ptr[number] : source.node_ptr[number + 1]] for number in order]
    assert batch.node_ids_N.tolist() == np.concatenate(ids).tolist()
    assert batch.graph_N.tolist() == [place for place, (nodes, _) in enumerate(chosen) for _ in range(nodes)]
    assert batch.num_graphs == len(order)


def test_relations_are_made_only_when_asked_for():
    store = GraphStore(flat([(2, [(0, 1, 0)])]), with_relations=False)
    assert store.batch(np.array([0])).relations == ()
    assert store.num_nodes.tolist() == [2]


def test_a_batch_moves_to_a_device_whole():
    moved = made([(2, [(0, 1, 0)])], [0])[0].to(torch.device("meta"))
    tensors = [moved.node_ids_N, moved.graph_N, moved.adjacency.values_E, moved.relations[0].transposed_values_E]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
