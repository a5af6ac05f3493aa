"""Rows of large csv files with newlines inside quotes: never more of a row is held than a row may be long.

Rows are cut before they are parsed. A quote opens at the start of a cell only, so one inside a bare cell costs nothing;
one too many at the start of a cell would swallow all rows up to the next quote. Where what comes of it cannot be a row
(text after the closing quote, too many columns, lines that are rows themselves), its first line alone is
rejected, and reading goes on with its second line. Lines that are then no rows, such as the rest of a broken function,
are rejected one by one: what is lost is counted in lines.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import sys
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal, NamedTuple

from models.data.collectors.line_files import FieldRow, NamedFile
from models.data.collectors.rows import RejectedRow
from models.data.raw_functions import MAX_DETAIL_CHARS, max_line_bytes
from models.errors import DataInvalid

_READ_BYTES = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_QUOTE, _AFTER_QUOTES = ord('"'), b",\r\n"

_TO_CLOSING = re.compile(rb'[^"]*+(?:""[^"]*+)*+"')

_State = Literal["start", "bare", "quoted", "closed", "broken"]
"""At the start of a cell, in one without quotes, inside quotes, behind a quote inside quotes, or past all sense."""


class _RawRow(NamedTuple):
    line: int
    content: bytes | None
    """``None`` where it was too long to be kept."""
    num_bytes: int
    num_lines: int
    num_columns: int
    is_broken: bool
    is_open: bool
    """The file ends inside its quotes."""


def read_header(path: Path) -> list[str]:
    """Names of the columns.

    Raises:
        DataInvalid: there is no line of names. Not retried.
    """
    for row in _raw_rows(path, max_line_bytes(0), sys.maxsize):
        try:
            return _cells_of((row.content or b"").decode())
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataInvalid(path, f"the names of the columns cannot be read ({error})", line=1) from error
    raise DataInvalid(path, "is empty; expected a line with the names of the columns")


def read_csv_rows(file: NamedFile, max_code_bytes: int) -> Iterator[FieldRow | RejectedRow]:
    """Rows of a csv file by the names of its columns; the first line has the names.

    Args:
        file: Plain or gzip, UTF-8, quotes doubled inside quotes.
        max_code_bytes: Longest function accepted.

    Raises:
        DataInvalid: no names of columns, a damaged gzip file, or one that ends inside quotes. Not retried.
    """
    names = read_header(file.path)
    max_row_bytes = max_line_bytes(max_code_bytes)
    csv.field_size_limit(max(csv.field_size_limit(), max_row_bytes))
    rows = _raw_rows(file.path, max_row_bytes, len(names))
    next(rows)
    for row in rows:
        if row.content is None and row.is_broken:
            for line in range(row.line, row.line + max(1, row.num_lines)):
                yield RejectedRow(file.name, line, "broken_csv", f"of {row.num_bytes} bytes that are no row")
        elif row.content is None:
            yield RejectedRow(file.name, row.line, "line_too_long", f"{row.num_bytes} bytes")
        elif row.content.strip():
            yield _row_of(file.name, row, row.content, names)


def _row_of(file: str, row: _RawRow, content: bytes, names: list[str]) -> FieldRow | RejectedRow:
    try:
        cells = _cells_of(content.decode())
    except UnicodeDecodeError as error:
        return RejectedRow(file, row.line, "invalid_utf8", f"byte {error.start} of the row: {error.reason}")
    except csv.Error as error:
        return RejectedRow(file, row.line, "broken_csv", str(error)[:MAX_DETAIL_CHARS])
    if len(cells) != len(names):
        problem = f"{len(cells)} columns where there are {len(names)} names"
        return RejectedRow(file, row.line, "missing_columns", problem)
    if row.is_broken:
        problem = f"a quote opens that is not closed here, and each of {row.num_lines - 1} lines after is like a row"
        return RejectedRow(file, row.line, "broken_csv", problem)
    return FieldRow(file, row.line, dict(zip(names, cells, strict=True)))


def _cells_of(text: str) -> list[str]:
    return next(csv.reader([text], strict=True), [])


def _raw_rows(path: Path, max_row_bytes: int, num_columns: int) -> Iterator[_RawRow]:
    """Rows as they are cut; after one that is broken, rows from its second line on."""
    line = 0
    is_lost = False
    try:
        with _opened(path) as file:
            if file.read(len(_BYTE_ORDER_MARK)) != _BYTE_ORDER_MARK:
                file.seek(0)
            cutter = _Cutter(file, max_row_bytes, num_columns)
            while row := cutter.next_row():
                holds_rows = _holds_rows(row, num_columns)
                if row.is_open and not is_lost and not holds_rows:
                    problem = (
                        "the file ends inside quotes that open in this row: it is cut off (fetch it again), or that "
                        "quote is one too many"
                    )
                    raise DataInvalid(path, problem, line=row.line)
                if row.is_open or holds_rows:
                    row = row._replace(is_broken=True)
                if row.is_broken:
                    cutter.go_back(row)
                is_lost = row.is_broken or (is_lost and row.num_columns != num_columns)
                line = cutter.line
                yield row
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataInvalid(path, f"the gzip file is damaged or cut off after line {line} ({error})") from error


def _holds_rows(row: _RawRow, num_columns: int) -> bool:
    """Whether a row is made of whole ones: each of its lines has the commas of a row.

    Where no quotes follow one that is too many, or one that closes by chance, nothing else tells. The lines of a
    function do not look like that; with fewer than three columns or lines they may.
    """
    if row.content is None or row.num_lines < 3 or num_columns < 3:
        return False
    return all(line.count(b",") == num_columns - 1 for line in io.BytesIO(row.content))


class _Cutter:
    """Cuts a file into rows, and can go back to the second line of the last one.

    A line is cut again at most as often as there are columns: what goes on through a line that would itself begin a
    row with newlines has one column more behind it.

    Args:
        file: To be read from here on.
        max_row_bytes: Longer rows are not kept.
        num_columns: A row with more of them is broken.
    """

    def __init__(self, file: IO[bytes], max_row_bytes: int, num_columns: int) -> None:
        self.line = 0
        """Lines that were read and not given back."""
        self._file = file
        self._max_row_bytes = max_row_bytes
        self._num_columns = num_columns
        self._again: deque[bytes] = deque()

    def next_row(self) -> _RawRow | None:
        """The next row; ``None`` at the end."""
        first_line = self.line + 1
        state: _State = "start"
        pieces: list[bytes] = []
        num_bytes = num_lines = 0
        num_columns = 1
        while piece := self._next_piece():
            num_bytes += len(piece)
            if state != "quoted" or b'"' in piece:
                state, num_new = _state_after(piece, state)
                num_columns += num_new
                state = "broken" if num_columns > self._num_columns else state
            if num_bytes <= self._max_row_bytes:
                pieces.append(piece)
            else:
                pieces.clear()
            if piece.endswith(b"\n"):
                num_lines += 1
                if state != "quoted":
                    break
        if num_bytes == 0:
            return None
        self.line += num_lines
        content = b"".join(pieces) if num_bytes <= self._max_row_bytes else None
        is_broken, is_open = state == "broken", state == "quoted"
        return _RawRow(first_line, content, num_bytes, num_lines, num_columns, is_broken, is_open)

    def go_back(self, row: _RawRow) -> None:
        """Have all but the first line of the last row read again; of one that was too long nothing is left."""
        if row.content is not None:
            lines = io.BytesIO(row.content).readlines()[1:]
            self._again.extendleft(reversed(lines))
            self.line -= sum(line.endswith(b"\n") for line in lines)

    def _next_piece(self) -> bytes:
        return self._again.popleft() if self._again else self._file.readline(_READ_BYTES)


def _state_after(piece: bytes, state: _State) -> tuple[_State, int]:
    """Where a piece of a row leaves off, and the commas between cells in it."""
    at = num_commas = 0
    while at < len(piece) and state != "broken":
        if state == "quoted":
            closing = _TO_CLOSING.match(piece, at)
            if closing is None:
                return "quoted", num_commas
            state, at = "closed", closing.end()
        elif piece[at] == _QUOTE and state in ("start", "closed"):
            state, at = "quoted", at + 1
        elif state == "closed" and piece[at] not in _AFTER_QUOTES:
            state = "broken"
        else:  # what is bare goes on to the next quote that opens
            opening = piece.find(b',"', at)
            num_commas += piece.count(b",", at, opening + 1 if opening >= 0 else len(piece))
            if opening < 0:
                return ("start" if piece.endswith(b",") else "bare"), num_commas
            state, at = "quoted", opening + 2
    return state, num_commas


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]
