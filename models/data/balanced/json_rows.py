"""Rows of JSON lines, plain or gzip: a line that is no row is an error, one that is too long is passed over."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from models.data.balanced.samples import LeftOut
from models.data.raw_functions import Rejection, max_line_bytes, read_lines, read_object
from models.errors import DataInvalid


class JsonRow(NamedTuple):
    """An object on a line.

    Args:
        path: The file.
        line: Counted from 1.
        fields: What it holds.
    """

    path: Path
    line: int
    fields: dict[str, Any]

    @property
    def place(self) -> str:
        """The line, for people; what the file is called on this machine is no part of the data."""
        return _place(self.line)

    def fault(self, problem: str) -> DataInvalid:
        """An error that names this line."""
        return DataInvalid(self.path, problem, line=self.line)

    def text(self, field: str) -> str:
        """A field that holds text.

        Raises:
            DataInvalid: it holds none. Not retried.
        """
        value = self.fields[field]
        if not isinstance(value, str):
            raise self.fault(f"{field} must be text, found {type(value).__name__}")
        return value

    def label(self, field: str) -> int:
        """A field that holds 0 or 1.

        Raises:
            DataInvalid: it holds something else. Not retried.
        """
        value = self.fields[field]
        if isinstance(value, bool) or value not in (0, 1):
            raise self.fault(f"{field} must be 0 or 1, found {value!r:.40}")
        return int(value)


def read_rows(path: Path, needed: Collection[str], max_chars: int) -> Iterator[JsonRow | LeftOut]:
    """Rows of a file in its order; blank lines are passed over.

    A line is never held whole where it is longer than a row whose longest text has ``max_chars``.

    Args:
        path: .jsonl or .jsonl.gz.
        needed: Fields that each row must have.
        max_chars: Longest text that is taken [characters].

    Raises:
        DataInvalid: there is no such file, it is damaged, or a line is no object with these fields. Not retried.
    """
    expected = "{" + ", ".join(f'"{field}"' for field in needed) + "}"
    if not path.is_file():
        raise DataInvalid(path, f"no such file; expected JSON lines, each {expected}")
    for line in read_lines(path, max_line_bytes=2 * max_line_bytes(max_chars)):  # a row of a fix holds two texts
        if line.content == b"":
            continue
        if line.content is None:
            yield LeftOut(_place(line.number), "line_too_long")
            continue
        fields = read_object(line, expected)
        if isinstance(fields, Rejection):
            raise DataInvalid(path, f"{fields.reason} ({fields.detail}); expected {expected}", line=line.number)
        if missing := [field for field in needed if field not in fields]:
            raise DataInvalid(path, f"the row has no {', '.join(missing)}; expected {expected}", line=line.number)
        yield JsonRow(path, line.number, fields)


def _place(line: int) -> str:
    return f"line {line}"


def data_file(path: Path, stem: str) -> Path:
    """The file of a collection: ``path`` itself, or ``stem``.jsonl or .jsonl.gz in the folder that it is.

    Raises:
        DataInvalid: there is none, or both. Not retried.
    """
    if not path.is_dir():
        return path
    found = [path / f"{stem}{suffix}" for suffix in (".jsonl", ".jsonl.gz") if (path / f"{stem}{suffix}").is_file()]
    if len(found) != 1:
        problem = "both are there; remove one" if found else "no such file"
        raise DataInvalid(path / f"{stem}.jsonl[.gz]", f"{problem}; expected one JSON object a line")
    return found[0]
