"""The columnar copy of a record file: one Arrow file beside the .jsonl, memory-mapped by training.

All records are one Arrow batch, so each column is one flat array and is read without a copy. It is written from spool
files that grow record by record, so neither size nor number of records shows in memory. The preprocess job writes it
with the records; ``open_records`` makes it for a .jsonl that has none. How a record looks is in ``records.py``.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from models.errors import DataInvalid

FORMAT = "codewarden-records-1"
RECORDS_PER_CHUNK = 256
COPY_BYTES = 4 << 20

_EDGE = pa.struct([("src", pa.int32()), ("dst", pa.int32()), ("type", pa.int8())])
SCHEMA = pa.schema(
    [
        ("id", pa.large_string()),
        ("group", pa.large_string()),
        ("label", pa.int8()),
        ("code", pa.large_string()),
        ("tokens", pa.large_list(pa.int32())),
        ("nodes", pa.large_list(pa.int16())),
        ("edges", pa.large_list(_EDGE)),
    ]
)
FLAT_TYPES = {
    "id": np.uint8,
    "group": np.uint8,
    "label": np.int8,
    "code": np.uint8,
    "tokens": np.int32,
    "nodes": np.int16,
    "edge_src": np.int32,
    "edge_dst": np.int32,
    "edge_type": np.int8,
}
"""Element type of each spool file."""
LENGTHS = ("id", "group", "code", "tokens", "nodes", "edge_src")
"""Spools whose lengths per record are kept; the edges share one."""

Array = npt.NDArray[Any]


class ColumnRow(NamedTuple):
    """What the columnar copy takes of one record.

    Args:
        record_id: Its id.
        group: What must not be split, such as its commit.
        label: 0 or 1.
        code: Raw text.
        tokens: ``(T,)`` int32.
        nodes: ``(N,)`` int16.
        edges: ``(3, E)`` int32: source, destination, type.
    """

    record_id: str
    group: str
    label: int
    code: str
    tokens: Array
    nodes: Array
    edges: Array


class ColumnChunk(NamedTuple):
    """Columns of a few records, as a worker hands them over.

    Args:
        flat: Bytes to append to each spool.
        lengths: Elements per record of each spool in ``LENGTHS``, ``(len(LENGTHS), records)`` int64.
    """

    flat: dict[str, bytes]
    lengths: Array


def column_chunk(rows: Iterable[ColumnRow]) -> ColumnChunk:
    """Rows as columns."""
    kept = list(rows)
    texts = {
        "id": [row.record_id.encode() for row in kept],
        "group": [row.group.encode() for row in kept],
        "code": [row.code.encode() for row in kept],
    }
    flat = {name: b"".join(parts) for name, parts in texts.items()}
    flat["label"] = np.array([row.label for row in kept], np.int8).tobytes()
    flat["tokens"] = _joined([row.tokens for row in kept], "tokens")
    flat["nodes"] = _joined([row.nodes for row in kept], "nodes")
    for at, name in enumerate(("edge_src", "edge_dst", "edge_type")):
        flat[name] = _joined([row.edges[at] for row in kept], name)
    lengths = [[len(part) for part in texts[name]] for name in ("id", "group", "code")]
    lengths += [[len(row.tokens) for row in kept], [len(row.nodes) for row in kept]]
    lengths += [[row.edges.shape[1] for row in kept]]
    return ColumnChunk(flat, np.array(lengths, np.int64).reshape(len(LENGTHS), len(kept)))


def _joined(parts: list[Array], name: str) -> bytes:
    dtype = FLAT_TYPES[name]
    return np.concatenate(parts).astype(dtype, copy=False).tobytes() if parts else b""


class ColumnWriter:
    """Collects columns in spool files and writes them as one Arrow file; a context manager that removes the spools.

    Args:
        folder: Where the spools are kept meanwhile; on the disk of the result.
    """

    def __init__(self, folder: Path) -> None:
        self._path = Path(tempfile.mkdtemp(prefix=".columns-", dir=folder))
        self._spools: dict[str, IO[bytes]] = {name: (self._path / name).open("wb") for name in FLAT_TYPES}
        self._lengths: list[Array] = [np.zeros((len(LENGTHS), 0), np.int64)]

    def __enter__(self) -> ColumnWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the spools."""
        for spool in self._spools.values():
            spool.close()
        shutil.rmtree(self._path)

    def add(self, chunk: ColumnChunk) -> None:
        """Append the records of a chunk."""
        for name, content in chunk.flat.items():
            self._spools[name].write(content)
        self._lengths.append(chunk.lengths)

    def write(self, path: Path, *, jsonl_sha256: str, jsonl_bytes: int) -> None:
        """Write the Arrow file; equal records give equal bytes.

        Args:
            path: Where to; replaced when it exists.
            jsonl_sha256: Digest of the record file this is a copy of.
            jsonl_bytes: Its size.
        """
        for spool in self._spools.values():
            spool.close()
        mapped = {name: _map_file(self._path / name) for name in FLAT_TYPES}
        schema = SCHEMA.with_metadata({"format": FORMAT, "jsonl_sha256": jsonl_sha256, "jsonl_bytes": str(jsonl_bytes)})
        with path.open("wb") as file:
            sink = _BoundedSink(file, [content for content in mapped.values() if content is not None])
            with pa.ipc.new_file(pa.PythonFile(sink, mode="w"), schema) as writer:
                writer.write_batch(self._batch(schema, mapped))
            file.flush()
            os.fsync(file.fileno())

    def _batch(self, schema: pa.Schema, mapped: dict[str, mmap.mmap | None]) -> pa.RecordBatch:
        pointers = dict(zip(LENGTHS, map(_pointer_of, np.concatenate(self._lengths, axis=1)), strict=True))
        num_rows = len(pointers["id"]) - 1
        buffers = {name: pa.py_buffer(content if content is not None else b"") for name, content in mapped.items()}

        def flat(name: str, kind: pa.DataType) -> pa.Array:
            size = len(buffers[name]) // np.dtype(FLAT_TYPES[name]).itemsize
            return pa.Array.from_buffers(kind, size, [None, buffers[name]])

        def text(name: str) -> pa.Array:
            offsets = pa.py_buffer(pointers[name])
            return pa.Array.from_buffers(pa.large_string(), num_rows, [None, offsets, buffers[name]])

        def lists(name: str, values: pa.Array) -> pa.Array:
            return pa.LargeListArray.from_arrays(pa.array(pointers[name]), values)

        edge_parts = [flat("edge_src", pa.int32()), flat("edge_dst", pa.int32()), flat("edge_type", pa.int8())]
        columns = [
            text("id"),
            text("group"),
            flat("label", pa.int8()),
            text("code"),
            lists("tokens", flat("tokens", pa.int32())),
            lists("nodes", flat("nodes", pa.int16())),
            lists("edge_src", pa.StructArray.from_arrays(edge_parts, fields=list(_EDGE))),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=schema)


class _BoundedSink:
    """Writes large buffers piece by piece and lets their pages go, so that copying maps no whole spool into memory."""

    def __init__(self, file: IO[bytes], mapped: list[mmap.mmap]) -> None:
        self._file = file
        self._mapped = sorted((pa.py_buffer(content).address, content) for content in mapped)
        self._addresses = [address for address, _ in self._mapped]
        self.closed = False

    def write(self, content: Any) -> int:
        address = content.address if isinstance(content, pa.Buffer) else None
        view = memoryview(content)
        for first in range(0, len(view), COPY_BYTES):
            piece = view[first : first + COPY_BYTES]
            self._file.write(piece)
            if address is not None:
                self._let_go(address + first, len(piece))
        return len(view)

    def _let_go(self, address: int, num_bytes: int) -> None:
        at = bisect_right(self._addresses, address) - 1
        if at < 0:
            return
        begin, content = self._mapped[at]
        first = (address - begin) // mmap.PAGESIZE * mmap.PAGESIZE
        last = min(address - begin + num_bytes, len(content))
        if first < last and hasattr(mmap, "MADV_DONTNEED"):
            content.madvise(mmap.MADV_DONTNEED, first, last - first)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.closed = True


def _map_file(path: Path) -> mmap.mmap | None:
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return None
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _pointer_of(lengths: Array) -> Array:
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)


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
    except pa.ArrowInvalid:  # cut off while it was copied here; made anew
        return False
    return metadata.get(b"format") == FORMAT.encode() and metadata.get(b"jsonl_sha256") == jsonl_sha256.encode()


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
