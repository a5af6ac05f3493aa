"""Syntax graphs as tensors: normalised once for all graphs, then cut into batches by slicing.

Shape letters: N nodes, E entries, G graphs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

NUM_EDGE_TYPES = 3

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class FlatGraphs(Protocol):
    """Graphs of many records end to end; see ``models.data.columnar.RecordTable``."""

    node_ids: npt.NDArray[np.integer]
    node_ptr: Ints
    edge_src: npt.NDArray[np.integer]
    edge_dst: npt.NDArray[np.integer]
    edge_type: npt.NDArray[np.integer]
    edge_ptr: Ints


@dataclass(frozen=True)
class SymmetricAdjacency:
    """D^-1/2 (A + I) D^-1/2 of a batch of graphs, as compressed rows.

    Args:
        row_starts_N1: ``(N + 1,)`` int64, where each row begins.
        columns_E: ``(E,)`` int64.
        values_E: ``(E,)`` float.
    """

    row_starts_N1: Tensor
    columns_E: Tensor
    values_E: Tensor


@dataclass(frozen=True)
class Relation:
    """Mean over the neighbours by one kind of edge, and its transpose for the gradient, as compressed rows."""

    row_starts_N1: Tensor
    columns_E: Tensor
    values_E: Tensor
    transposed_starts_N1: Tensor
    transposed_columns_E: Tensor
    transposed_values_E: Tensor


Matrix = TypeVar("Matrix", SymmetricAdjacency, Relation)


@dataclass(frozen=True)
class GraphBatch:
    """Graphs side by side, nodes numbered through.

    Args:
        node_ids_N: ``(N,)`` int64, what each node is.
        graph_N: ``(N,)`` int64, the graph of each node.
        num_graphs: G.
        adjacency: Symmetric and normalised, edge types ignored.
        relations: One for each edge type and direction; empty where not asked for.
    """

    node_ids_N: Tensor
    graph_N: Tensor
    num_graphs: int
    adjacency: SymmetricAdjacency
    relations: tuple[Relation, ...] = ()

    def to(self, device: torch.device) -> GraphBatch:
        """The same on ``device``."""
        return GraphBatch(
            self.node_ids_N.to(device),
            self.graph_N.to(device),
            self.num_graphs,
            _moved(self.adjacency, device),
            tuple(_moved(relation, device) for relation in self.relations),
        )


@dataclass(frozen=True)
class CompressedRows:
    """A sparse matrix per graph, all end to end; columns are local to their graph.

    Args:
        starts: ``(sum N + 1,)`` where each row begins.
        columns: ``(sum E,)``.
        values: ``(sum E,)``.
    """

    starts: Ints
    columns: Ints
    values: Floats

    def cut(self, node_ptr: Ints, records: Ints, offsets: Ints) -> tuple[Tensor, Tensor, Tensor]:
        """Rows of the graphs ``records``, columns moved by each graph's offset in the batch."""
        first, last = self.starts[node_ptr[records]], self.starts[node_ptr[records + 1]]
        lengths = last - first
        moved = np.cumsum(lengths) - lengths
        starts = [
            self.starts[node_ptr[record] : node_ptr[record + 1]] - begin + move
            for record, begin, move in zip(records, first, moved, strict=True)
        ]
        columns = np.concatenate([self.columns[a:b] for a, b in zip(first, last, strict=True)])
        values = np.concatenate([self.values[a:b] for a, b in zip(first, last, strict=True)])
        columns += np.repeat(offsets, lengths)
        row_starts = np.concatenate([*starts, [lengths.sum()]])
        return torch.from_numpy(row_starts), torch.from_numpy(columns), torch.from_numpy(values)


def _moved(matrix: Matrix, device: torch.device) -> Matrix:
    return type(matrix)(*(getattr(matrix, field.name).to(device) for field in fields(matrix)))


class GraphStore:
    """All graphs of a file, normalised once.

    Args:
        graphs: Flat arrays.
        with_relations: Also keep one matrix per edge type and direction.
    """

    def __init__(self, graphs: FlatGraphs, *, with_relations: bool) -> None:
        self.node_ids = np.asarray(graphs.node_ids, dtype=np.int64)
        self.node_ptr = np.asarray(graphs.node_ptr, dtype=np.int64)
        shift = np.repeat(self.node_ptr[:-1], np.diff(graphs.edge_ptr))
        self._sources = np.asarray(graphs.edge_src, dtype=np.int64) + shift
        self._targets = np.asarray(graphs.edge_dst, dtype=np.int64) + shift
        self.adjacency = self._symmetric()
        self.relations = self._relations(np.asarray(graphs.edge_type)) if with_relations else []
        del self._sources, self._targets

    @property
    def num_nodes(self) -> Ints:
        """Nodes of each graph."""
        return np.diff(self.node_ptr)

    def batch(self, records: Ints) -> GraphBatch:
        """The graphs ``records``, in that order."""
        num_nodes = self.num_nodes[records]
        offsets = np.cumsum(num_nodes) - num_nodes
        node_ids = np.concatenate([self.node_ids[self.node_ptr[r] : self.node_ptr[r + 1]] for r in records])
        relations = tuple(
            Relation(
                *forward.cut(self.node_ptr, records, offsets),
                *backward.cut(self.node_ptr, records, offsets),
            )
            for forward, backward in self.relations
        )
        return GraphBatch(
            torch.from_numpy(node_ids),
            torch.from_numpy(np.repeat(np.arange(len(records)), num_nodes)),
            len(records),
            SymmetricAdjacency(*self.adjacency.cut(self.node_ptr, records, offsets)),
            relations,
        )

    def _symmetric(self) -> CompressedRows:
        """D^-1/2 (A + I) D^-1/2 with each pair of nodes counted once, whatever types and directions join it."""
        total = int(self.node_ptr[-1])
        nodes = np.arange(total, dtype=np.int64)
        apart = self._sources != self._targets
        sources, targets = self._sources[apart], self._targets[apart]
        pairs = np.concatenate([targets * total + sources, sources * total + targets, nodes * total + nodes])
        pairs.sort()  # np.unique hashes large arrays before it sorts them: ten times slower on these
        pairs = pairs[np.diff(pairs, prepend=-1) != 0]
        rows, columns = pairs // total, pairs % total
        scale = 1.0 / np.sqrt(np.bincount(rows, minlength=total))
        return self._compress(rows, columns, (scale[rows] * scale[columns]).astype(np.float32))

    def _relations(self, types: npt.NDArray[np.integer]) -> list[tuple[CompressedRows, CompressedRows]]:
        """For each type and direction the mean over neighbours, and its transpose."""
        found = []
        for edge_type in range(NUM_EDGE_TYPES):
            chosen = types == edge_type
            sources, targets = self._sources[chosen], self._targets[chosen]
            for rows, columns in ((targets, sources), (sources, targets)):
                values = 1.0 / np.bincount(rows, minlength=int(self.node_ptr[-1]))[rows]
                values = values.astype(np.float32)
                found.append((self._sorted(rows, columns, values), self._sorted(columns, rows, values)))
        return found

    def _sorted(self, rows: Ints, columns: Ints, values: Floats) -> CompressedRows:
        order = np.lexsort((columns, rows))
        return self._compress(rows[order], columns[order], values[order])

    def _compress(self, rows: Ints, columns: Ints, values: Floats) -> CompressedRows:
        """Rows are sorted; columns become local to their graph."""
        total = int(self.node_ptr[-1])
        starts = np.searchsorted(rows, np.arange(total + 1))
        graph_of_row = np.searchsorted(self.node_ptr, rows, side="right") - 1
        return CompressedRows(starts, columns - self.node_ptr[graph_of_row], values)
