"""The columnar copy of a record file: one Arrow file beside the .jsonl, memory-mapped by training.

All records are one Arrow batch, so each column is one flat array and is read without a copy. The preprocess job writes
it with the records; ``open_records`` makes it for a .jsonl that has none. How it is written is in
``column_writer.py``, how a record looks in ``record_form.py``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from models.data.column_writer import FORMAT, LENGTHS, ColumnRow, ColumnWriter, column_chunk, columns_sha256
from models.errors import DataInvalid

RECORDS_PER_CHUNK = 256

Array = npt.NDArray[Any]


class RecordTable:
    """Records of one file, memory-mapped.

    Args:
        path: The Arrow file.

    Attributes:
        labels: ``(N,)`` int8.
        token_ids: ``(sum T,)`` int32.
        token_ptr: ``(N + 1,)`` int64.
        node_ids: ``(sum nodes,)`` int16.
        node_ptr: ``(N + 1,)`` int64.
        edge_src: ``(sum edges,)`` int32, numbered within each graph.
        edge_dst: As ``edge_src``.
        edge_type: ``(sum edges,)`` int8: 0 child, 1 next sibling, 2 next token.
        edge_ptr: ``(N + 1,)`` int64.
    """

    def __init__(self, path: Path) -> None:
        with pa.memory_map(str(path)) as source:
            self._batch = pa.ipc.open_file(source).get_batch(0)
        self.labels: Array = _flat(self._batch["label"])
        tokens, nodes, edges = (self._batch[name] for name in ("tokens", "nodes", "edges"))
        self.token_ptr: Array = _flat(tokens.offsets)
        self.token_ids: Array = _flat(tokens.values)
        self.node_ptr: Array = _flat(nodes.offsets)
        self.node_ids: Array = _flat(nodes.values)
        self.edge_ptr: Array = _flat(edges.offsets)
        self.edge_src, self.edge_dst, self.edge_type = (_flat(edges.values.field(at)) for at in range(3))

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    @cached_property
    def ids(self) -> list[str]:
        """Id of each record."""
        ids: list[str] = self._batch["id"].to_pylist()
        return ids

    @cached_property
    def groups(self) -> list[str]:
        """What each record must not be separated from: its commit, or its own id."""
        groups: list[str] = self._batch["group"].to_pylist()
        return groups

    def code(self, i: int) -> str:
        """Raw text of a record."""
        return str(self._batch["code"][i].as_py())

    def tokens(self, i: int) -> Array:
        """``(T,)`` int32, special tokens included."""
        return self.token_ids[self.token_ptr[i] : self.token_ptr[i + 1]]


def _flat(column: pa.Array) -> Array:
    array: Array = column.to_numpy(zero_copy_only=True)
    return array


def arrow_path(jsonl_path: Path) -> Path:
    """Where the columnar copy of a record file lies."""
    return jsonl_path.with_suffix(".arrow")


def open_records(path: Path) -> RecordTable:
    """Records of a .jsonl file, by way of its columnar copy, which is made once where it is missing or of another file.

    Args:
        path: The .jsonl file.

    Raises:
        DataInvalid: there is no such file, or a line of it is no record. Not retried.
    """
    if not path.is_file():
        raise DataInvalid(path, "no such file; expected records written by the preprocess job (train.jsonl …)")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    copy = arrow_path(path)
    if not _is_copy_of(copy, sha256):
        make_copy(path, sha256)
    return RecordTable(copy)


def _is_copy_of(copy: Path, jsonl_sha256: str) -> bool:
    if not copy.is_file():
        return False
    try:
        with pa.memory_map(str(copy)) as source:
            metadata = pa.ipc.open_file(source).schema.metadata or {}
            if (metadata.get(b"format"), metadata.get(b"jsonl_sha256")) != (FORMAT.encode(), jsonl_sha256.encode()):
                return False
            batch = pa.ipc.open_file(source).get_batch(0)
            batch.validate(full=True)
    except (pa.ArrowInvalid, OSError):  # cut off or damaged while it was copied here; made anew
        return False
    return metadata.get(b"columns_sha256") == _columns_sha256(batch).encode()


def _columns_sha256(batch: pa.RecordBatch) -> str:
    """The digest that the writer put beside the columns, computed again from what is there."""
    tokens, nodes, edges = (batch[name] for name in ("tokens", "nodes", "edges"))
    flat = {"tokens": _flat(tokens.values), "nodes": _flat(nodes.values), "label": _flat(batch["label"])}
    flat |= {name: _flat(edges.values.field(at)) for at, name in enumerate(("edge_src", "edge_dst", "edge_type"))}
    pointers = {name: _flat(column.offsets) for name, column in zip(LENGTHS[3:], (tokens, nodes, edges), strict=True)}
    for name in LENGTHS[:3]:
        _, offsets, content = batch[name].buffers()
        pointers[name] = np.frombuffer(offsets, np.int64)[: batch.num_rows + 1]
        flat[name] = np.frombuffer(content or b"", np.uint8)[: pointers[name][-1]]
    return columns_sha256({name: hashlib.sha256(array.data).hexdigest() for name, array in flat.items()}, pointers)


def make_copy(path: Path, jsonl_sha256: str) -> None:
    """Write the columnar copy of a record file beside it, under its name only when complete.

    Raises:
        DataInvalid: a line is no record. Not retried.
    """
    with ColumnWriter(path.parent) as writer:
        rows: list[ColumnRow] = []
        for row in _rows_of(path):
            rows.append(row)
            if len(rows) == RECORDS_PER_CHUNK:
                writer.add(column_chunk(rows))
                rows = []
        writer.add(column_chunk(rows))
        target = arrow_path(path)
        temp = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        writer.write(temp, jsonl_sha256=jsonl_sha256, jsonl_bytes=path.stat().st_size)
        temp.replace(target)


def _rows_of(path: Path) -> Iterator[ColumnRow]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                record = orjson.loads(line)
                edges = np.array(record["edge_index"], np.int32).reshape(-1, 2)
                yield ColumnRow(
                    record["id"],
                    record["metadata"]["group"],
                    record["label"],
                    record["code"],
                    np.array(record["tokens"], np.int32),
                    np.array(record["ast_nodes"], np.int16),
                    np.stack([edges[:, 0], edges[:, 1], np.array(record["edge_type"], np.int32)]),
                )
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, OverflowError) as error:
                problem = f"not a record of the preprocess job ({type(error).__name__}: {error})"
                raise DataInvalid(path, problem, line=number) from error
