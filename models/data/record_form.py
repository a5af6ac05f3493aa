"""How a finished record looks, as a line of JSON and as a row of the columnar copy, whatever it was made of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from models.data.column_writer import ColumnRow
from models.data.tokens import TokenSequence

_JSON_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE

Array = npt.NDArray[Any]
NO_NODES: npt.NDArray[np.int16] = np.empty(0, np.int16)
NO_EDGES: npt.NDArray[np.int32] = np.empty((0, 2), np.int32)
NO_EDGE_TYPES: npt.NDArray[np.int8] = np.empty(0, np.int8)


class Record(NamedTuple):
    """A finished record.

    Args:
        record_id: Unique among all splits.
        group: What must not be split, such as its commit or its file.
        code: The text, untrimmed.
        language: Of the text.
        tokens: Those kept, special ones (with offsets 0, 0) included.
        label: 0 or 1.
        metadata: JSON values.
        nodes: ``(N,)`` of the syntax graph; empty where it has none.
        edge_index: ``(E, 2)`` source and destination.
        edge_type: ``(E,)``.
    """

    record_id: str
    group: str
    code: str
    language: str
    tokens: TokenSequence
    label: int
    metadata: dict[str, Any]
    nodes: Array = NO_NODES
    edge_index: Array = NO_EDGES
    edge_type: Array = NO_EDGE_TYPES


def json_line(record: Record) -> bytes:
    """One record as a line of JSON."""
    values = {
        "id": record.record_id,
        "code": record.code,
        "language": record.language,
        "tokens": record.tokens.ids,
        "token_offsets": record.tokens.offsets,
        "ast_nodes": record.nodes,
        "edge_index": record.edge_index,
        "edge_type": record.edge_type,
        "label": record.label,
        "metadata": record.metadata,
    }
    return orjson.dumps(values, option=_JSON_OPTIONS)


def column_row(record: Record) -> ColumnRow:
    """What the columnar copy takes of it."""
    edges: npt.NDArray[np.int32] = np.empty((3, len(record.edge_type)), np.int32)
    edges[:2] = record.edge_index.T
    edges[2] = record.edge_type
    return ColumnRow(record.record_id, record.group, record.label, record.code, record.tokens.ids, record.nodes, edges)
