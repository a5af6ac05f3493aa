"""How the columnar copy of a record file is written: spool files that grow, then one Arrow file with one batch.

Memory does not grow with the records: the spools are mapped and let go piece by piece while they are copied. Reading
is in ``columnar.py``.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

FORMAT = "codewarden-records-2"
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


def columns_sha256(flat_sha256: dict[str, str], pointers: dict[str, Array]) -> str:
    """Digest of all columns, from those of the flat arrays and from where each record begins in them."""
    whole = hashlib.sha256()
    for name in FLAT_TYPES:
        whole.update(bytes.fromhex(flat_sha256[name]))
    for name in LENGTHS:
        whole.update(np.ascontiguousarray(pointers[name]).data)
    return whole.hexdigest()


class ColumnWriter:
    """Collects columns in spool files and writes them as one Arrow file; a context manager that removes the spools.

    Args:
        folder: Where the spools are kept meanwhile; on the disk of the result.
    """

    def __init__(self, folder: Path) -> None:
        self._path = Path(tempfile.mkdtemp(prefix=".columns-", dir=folder))
        self._spools: dict[str, IO[bytes]] = {name: (self._path / name).open("wb") for name in FLAT_TYPES}
        self._digests = {name: hashlib.sha256() for name in FLAT_TYPES}
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
            self._digests[name].update(content)
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
        columns = {name: digest.hexdigest() for name, digest in self._digests.items()}
        metadata = {
            "format": FORMAT,
            "jsonl_sha256": jsonl_sha256,
            "jsonl_bytes": str(jsonl_bytes),
            "columns_sha256": columns_sha256(columns, self._pointers()),
        }
        schema = SCHEMA.with_metadata(metadata)
        with path.open("wb") as file:
            sink = _BoundedSink(file, [content for content in mapped.values() if content is not None])
            with pa.ipc.new_file(pa.PythonFile(sink, mode="w"), schema) as writer:
                writer.write_batch(self._batch(schema, mapped))
            file.flush()
            os.fsync(file.fileno())

    def _pointers(self) -> dict[str, Array]:
        return dict(zip(LENGTHS, map(_pointer_of, np.concatenate(self._lengths, axis=1)), strict=True))

    def _batch(self, schema: pa.Schema, mapped: dict[str, mmap.mmap | None]) -> pa.RecordBatch:
        pointers = self._pointers()
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
