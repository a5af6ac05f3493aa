from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from models.data.columnar import open_records
from models.data.geometric import geometric_data
from models.data.graph_batches import GraphStore


def test_a_record_as_data_has_the_edges_of_our_adjacency(tmp_path: Path) -> None:
    record = {
        "id": "R0",
        "code": "",
        "tokens": [],
        "token_offsets": [],
        "ast_nodes": [4, 5, 6, 7],
        "edge_index": [[0, 1], [0, 2], [2, 3], [1, 2], [0, 1]],
        "edge_type": [0, 0, 0, 1, 2],
        "label": 1,
        "metadata": {"group": "g"},
    }
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(record) + "\n")
    table = open_records(path)

    data = geometric_data(table, 0)

    assert data.x.tolist() == [4, 5, 6, 7]
    assert data.y.tolist() == [1]
    ours = GraphStore(table, with_relations=False).adjacency
    rows = np.repeat(np.arange(4), np.diff(ours.starts))
    without_loops = {(int(r), int(c)) for r, c in zip(rows, ours.columns, strict=True) if r != c}
    assert {tuple(pair) for pair in data.edge_index.T.tolist()} == without_loops
