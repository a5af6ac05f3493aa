"""Files of collections that are read line by line, and their JSON rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from models.data.collectors.rows import RejectedRow
from models.data.raw_functions import SPLITS, Rejection, max_line_bytes, read_lines, read_object
from models.errors import DataInvalid

JSON_SUFFIXES = (".jsonl", ".jsonl.gz")
CSV_SUFFIXES = (".csv", ".csv.gz")
_NUM_SHOWN = 8


class NamedFile(NamedTuple):
    """A file of a collection.

    Args:
        name: Relative to the data.
        path: Where it lies.
    """

    name: str
    path: Path


class FieldRow(NamedTuple):
    """A row with named fields.

    Args:
        file: Name of its file.
        line: The number of its (first) line, counted from 1.
        fields: What it holds.
    """

    file: str
    line: int
    fields: dict[str, Any]


def stem_of(name: str) -> str:
    """The name of a file without its folder and without ``.jsonl.gz`` and the like."""
    bare = name.rsplit("/", 1)[-1].removesuffix(".gz")
    return bare.rsplit(".", 1)[0]


def find_files(path: Path, suffixes: Sequence[str]) -> list[NamedFile]:
    """Files right in a folder that end so, those of train, valid and test first; or the one file that is given.

    Args:
        path: File or folder.
        suffixes: Endings that are read.

    Raises:
        DataInvalid: there is none, it cannot be read, or one is there both plain and compressed. Not retried.
    """
    if not path.is_dir():
        return [NamedFile(path.name, _readable(path))]
    names = [name for name in names_in(path) if name.endswith(tuple(suffixes))]
    found = [NamedFile(name, _readable(path / name)) for name in sorted(names, key=_order)]
    if not found:
        raise DataInvalid(path, f"no file ends in {' or '.join(suffixes)}; found {shown_names(path)}")
    for earlier, later in itertools.pairwise(found):
        if later.name == earlier.name + ".gz":
            raise DataInvalid(earlier.path, f"{later.name} is there too; remove one, or its rows are read twice")
    return found


def names_in(folder: Path) -> list[str]:
    """What lies in a folder, in order; hidden files are left out, as they are in its digest.

    Raises:
        DataInvalid: it cannot be read. Not retried.
    """
    try:
        return sorted(inner.name for inner in folder.iterdir() if not is_hidden(inner.name))
    except OSError as error:
        raise DataInvalid(folder, f"cannot be read: {error.strerror}") from error


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden: no digest counts it, so no row may come from it."""
    return name.startswith(".")


def shown_names(folder: Path) -> str:
    """What lies in a folder, for a message."""
    names = names_in(folder)
    more = f" and {len(names) - _NUM_SHOWN} more" if len(names) > _NUM_SHOWN else ""
    return (", ".join(names[:_NUM_SHOWN]) + more) or "nothing"


def read_json_rows(files: Sequence[NamedFile], max_code_bytes: int, expected: str) -> Iterator[FieldRow | RejectedRow]:
    """Objects on the lines of files; blank lines are passed over.

    A line is never held whole where it is longer than a row with the longest function can be.

    Args:
        files: Read one after the other.
        max_code_bytes: Longest function accepted.
        expected: Fields of the objects, for messages.

    Raises:
        DataInvalid: a compressed file is damaged. Not retried.
    """
    for file in files:
        for line in read_lines(file.path, max_line_bytes=max_line_bytes(max_code_bytes)):
            if line.content == b"":
                continue
            fields = read_object(line, expected)
            if isinstance(fields, Rejection):
                yield RejectedRow(file.name, *fields)
            else:
                yield FieldRow(file.name, line.number, fields)


def _order(name: str) -> tuple[int, str, str]:
    stem = stem_of(name)
    return (SPLITS.index(stem) if stem in SPLITS else len(SPLITS)), stem, name


def _readable(path: Path) -> Path:
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise DataInvalid(path, f"cannot be read: {error.strerror}; expected a file or folder of rows") from error
