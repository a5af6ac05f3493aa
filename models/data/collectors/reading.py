"""Collections of every known shape behind one interface: its shape found out, its rows streamed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from models.data.collectors.bigvul import read_bigvul
from models.data.collectors.codexglue import read_codexglue
from models.data.collectors.collected import read_collected
from models.data.collectors.detection import detect_format
from models.data.collectors.fixes import read_fixes
from models.data.collectors.folder import read_folder
from models.data.collectors.juliet import read_juliet
from models.data.collectors.pairs import read_pairs
from models.data.collectors.primevul import read_primevul
from models.data.collectors.rows import CollectedFunction, Row
from models.errors import DataInvalid
from models.settings.collect import CollectionFormat

__all__ = ["detect_format", "read_collection"]

_Reader = Callable[[Path, int], Iterator[Row]]
_READERS: dict[CollectionFormat, _Reader] = {
    "codexglue": read_codexglue,
    "bigvul": read_bigvul,
    "primevul": read_primevul,
    "collected": read_collected,
    "juliet": read_juliet,
    "pairs": read_pairs,
    "fixes": read_fixes,
    "folder": read_folder,
}


def read_collection(path: Path, format: CollectionFormat, *, max_code_bytes: int) -> Iterator[Row]:  # noqa: A002
    """Rows of a collection in its own order, streamed.

    Memory is bounded by the longest line (or source file) that is allowed, and the names of the functions.

    Args:
        path: File or folder.
        format: Its shape; ``auto`` looks at the fields.
        max_code_bytes: Longest function accepted.

    Yields:
        Functions, each under a name of its own (a name that was used before gets its file and line), and every row
        that cannot be used with its reason.

    Raises:
        DataInvalid: there is nothing to read, the shape is not known, or a file is damaged. Not retried.
    """
    reader = _READERS[detect_format(path) if format == "auto" else format]
    seen: set[str] = set()
    files: Counter[str] = Counter()
    has_rows = False
    for row in reader(path, max_code_bytes):
        if isinstance(row, CollectedFunction):
            row = _told_apart(row, seen)
            seen.add(row.idx)
        elif row.line == 0:
            files[row.reason] += 1
        has_rows = has_rows or row.line > 0
        yield row
    if not has_rows:
        told = ", ".join(f"{reason}: {count}" for reason, count in sorted(files.items())) or "nothing in it"
        raise DataInvalid(path, f"holds no function to read ({told}); give a collection in one of the known shapes")


def _told_apart(row: CollectedFunction, seen: set[str]) -> CollectedFunction:
    """The row under a name that is new: hashes of functions repeat where the function does."""
    name, number = row.idx, 1
    while name in seen:
        name = f"{row.idx}-{row.file}-{row.line}" + (f"-{number}" if number > 1 else "")
        number += 1
    return row._replace(idx=name)
