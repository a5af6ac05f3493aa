"""The memory-mapped copy of a record file that training reads: Arrow beside the JSON lines, made once.

The JSON lines stay the interchange format; the copy names the file it was made from by size and sha256, and is made
again when that differs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from models.errors import DataInvalid
from models.store.manifest import FileDigest, digest_file

BATCH_ROWS = 1024
SOURCE_SIZE_KEY = b"source_size_bytes"
SOURCE_SHA256_KEY = b"source_sha256"

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("group", pa.string()),
        ("label", pa.int8()),
        ("code", pa.large_string()),
        ("tokens", pa.large_list(pa.int32())),
        ("token_offsets", pa.large_list(pa.int32())),
        ("nodes", pa.large_list(pa.int16())),
        ("edge_src", pa.large_list(pa.int32())),
        ("edge_dst", pa.large_list(pa.int32())),
        ("edge_type", pa.large_list(pa.int8())),
    ]
)


class RecordTable:
    """Records of one file, memory-mapped; flat arrays are views where the file is in one piece.

    Args:
        table: Rows of ``SCHEMA``.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.ids: list[str] = table["id"].to_pylist()
        self.groups: list[str] = table["group"].to_pylist()
        self.labels: npt.NDArray[np.int8] = table["label"].to_numpy()
        self.node_ids, self.node_ptr = _flat(table["nodes"])
        self.edge_src, self.edge_ptr = _flat(table["edge_src"])
        self.edge_dst, _ = _flat(table["edge_dst"])
        self.edge_type, _ = _flat(table["edge_type"])
        self.token_ids, self.token_ptr = _flat(table["tokens"])

    def __len__(self) -> int:
        return len(self.ids)

    def code(self, row: int) -> str:
        """Raw code of a record."""
        return str(self._table["code"][row].as_py())

    def tokens(self, row: int) -> npt.NDArray[np.int32]:
        """``(T,)`` token ids of a record."""
        tokens: npt.NDArray[np.int32] = self.token_ids[self.token_ptr[row] : self.token_ptr[row + 1]]
        return tokens


def open_records(path: Path) -> RecordTable:
    """Records of the JSON lines at ``path``, from the Arrow copy beside it.

    Raises:
        DataInvalid: ``path`` is missing or no file of records. Not retried.
    """
    if not path.is_file():
        raise DataInvalid(path, "no such file; give the .jsonl of a preprocess run")
    arrow_path = path.with_suffix(".arrow")
    source = digest_file(path)
    if not _is_copy_of(arrow_path, source):
        write_copy(path, arrow_path, source)
    with pa.memory_map(str(arrow_path)) as mapped:
        return RecordTable(pa.ipc.open_file(mapped).read_all())


def write_copy(path: Path, arrow_path: Path, source: FileDigest) -> None:
    """Write the Arrow copy of ``path`` atomically; equal input gives equal bytes."""
    temp_path = arrow_path.with_name(f".{arrow_path.name}.{os.getpid()}")
    metadata = {SOURCE_SIZE_KEY: str(source.size_bytes).encode(), SOURCE_SHA256_KEY: source.sha256.encode()}
    schema = SCHEMA.with_metadata(metadata)
    with pa.OSFile(str(temp_path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in _batches(path, schema):
            writer.write_batch(batch)
    temp_path.replace(arrow_path)


def _is_copy_of(arrow_path: Path, source: FileDigest) -> bool:
    if not arrow_path.is_file():
        return False
    try:
        with pa.memory_map(str(arrow_path)) as mapped:
            found = pa.ipc.open_file(mapped).schema.metadata or {}
    except pa.ArrowInvalid:
        return False
    return (found.get(SOURCE_SIZE_KEY), found.get(SOURCE_SHA256_KEY)) == (
        str(source.size_bytes).encode(),
        source.sha256.encode(),
    )


def _batches(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, Any]] = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                rows.append(_row(orjson.loads(line)))
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                raise DataInvalid(path, f"no record of the preprocess job ({error!r})", line=number) from error
            if len(rows) == BATCH_ROWS:
                yield pa.RecordBatch.from_pylist(rows, schema)
                rows = []
    yield pa.RecordBatch.from_pylist(rows, schema)


def _row(record: dict[str, Any]) -> dict[str, Any]:
    edges = np.asarray(record["edge_index"], dtype=np.int32).reshape(-1, 2)
    return {
        "id": record["id"],
        "group": record["metadata"]["group"],
        "label": record["label"],
        "code": record["code"],
        "tokens": record["tokens"],
        "token_offsets": [place for offset in record["token_offsets"] for place in offset],
        "nodes": record["ast_nodes"],
        "edge_src": edges[:, 0],
        "edge_dst": edges[:, 1],
        "edge_type": record.get("edge_type") or [0] * len(edges),
    }


def _flat(column: pa.ChunkedArray) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Values end to end, and where each row begins."""
    values = [chunk.flatten().to_numpy(zero_copy_only=True) for chunk in column.chunks]
    lengths = [np.diff(chunk.offsets.to_numpy()) for chunk in column.chunks]
    ends = np.cumsum(np.concatenate(lengths)) if lengths else np.zeros(0, dtype=np.int64)
    flat = values[0] if len(values) == 1 else np.concatenate(values)
    return flat, np.concatenate([[0], ends]).astype(np.int64)
