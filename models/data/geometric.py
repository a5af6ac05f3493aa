"""Records as PyTorch Geometric ``Data``, for users of that library; training itself uses ``graph_batches``."""

from __future__ import annotations

import torch
from torch_geometric.data import Data
from torch_geometric.utils import to_undirected

from models.data.columnar import RecordTable


def geometric_data(table: RecordTable, row: int) -> Data:
    """One record's graph.

    Returns:
        ``x`` ``(N,)`` int64 node ids, ``edge_index`` ``(2, E)`` without directions and doubles, ``y`` ``(1,)`` label.
    """
    nodes = slice(int(table.node_ptr[row]), int(table.node_ptr[row + 1]))
    edges = slice(int(table.edge_ptr[row]), int(table.edge_ptr[row + 1]))
    ends = torch.stack([torch.from_numpy(ends[edges].astype("int64")) for ends in (table.edge_src, table.edge_dst)])
    return Data(
        x=torch.from_numpy(table.node_ids[nodes].astype("int64")),
        edge_index=to_undirected(ends, num_nodes=nodes.stop - nodes.start),
        y=torch.tensor([int(table.labels[row])]),
    )
