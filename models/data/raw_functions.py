"""Raw functions as they come: split files found, lines streamed, each row accepted or rejected with a reason.

Memory is bounded by the longest line allowed. What an accepted function becomes is in ``records.py``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from models.errors import DataInvalid

SPLITS = ("train", "valid", "test")
SUFFIXES = (".jsonl", ".jsonl.gz")
FIELDS = "func (text) and target (0 or 1); project, commit_id, idx, source and origin are used where present"
ESCAPED_BYTES_PER_BYTE = 6
"""A byte of text is at most ``\\u0000`` in JSON."""
OTHER_FIELDS_BYTES = 1 << 16
MAX_DETAIL_CHARS = 200
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_READ_BYTES = 1 << 20
_LIKE_A_LINE = re.compile(r"(idx-)*line-\d+")
_SOURCE_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


class RawLine(NamedTuple):
    """One line of a file.

    Args:
        number: Counted from 1.
        content: Without its end; ``None`` where it was too long to be kept.
        num_bytes: Its length, end included.
    """

    number: int
    content: bytes | None
    num_bytes: int


class RawFunction(NamedTuple):
    """A row that can be used.

    Args:
        line: Line number in its file.
        orig_id: ``idx`` of the row, or ``line-N`` where it has none.
        code: Raw text.
        label: 1 is vulnerable.
        project: Empty where unknown.
        commit_id: Empty where unknown.
        has_idx: ``orig_id`` is the row's own.
        source: Name of the data it comes from, as the row says; empty where it does not.
        origin: Where that data had it from, such as a collector; empty where unknown.
    """

    line: int
    orig_id: str
    code: str
    label: int
    project: str
    commit_id: str
    has_idx: bool
    source: str = ""
    origin: str = ""

    @property
    def unique_name(self) -> str:
        """``orig_id``, told apart where an ``idx`` reads like the number of a line."""
        return f"idx-{self.orig_id}" if self.has_idx and _LIKE_A_LINE.fullmatch(self.orig_id) else self.orig_id


class Rejection(NamedTuple):
    """A row that cannot be used.

    Args:
        line: Line number in its file.
        reason: One word from a fixed set, such as ``broken_json``.
        detail: For a person.
    """

    line: int
    reason: str
    detail: str


class Survey(NamedTuple):
    """What is known of a split file before it is read.

    Args:
        path: The file.
        sha256: Digest of its bytes.
        num_lines: Lines, blank ones included.
    """

    path: Path
    sha256: str
    num_lines: int


def find_split(folder: Path, split: str, expected: str = f"one function each, with {FIELDS}") -> Path:
    """The file of a split.

    Args:
        folder: Where it lies.
        split: Its name without suffix.
        expected: What its lines hold, for the message.

    Raises:
        DataInvalid: there is none, or both a plain and a compressed one. Not retried.
    """
    found = [folder / f"{split}{suffix}" for suffix in SUFFIXES if (folder / f"{split}{suffix}").is_file()]
    if not found:
        raise DataInvalid(
            folder / f"{split}.jsonl",
            f"no such file, and no {split}.jsonl.gz; expected JSON lines, {expected}",
        )
    if len(found) > 1:
        raise DataInvalid(found[0], f"{found[1].name} is there too; remove one, or which is meant is anyone's guess")
    return found[0]


def survey_split(path: Path) -> Survey:
    """Digest and number of lines of a file.

    Raises:
        DataInvalid: it cannot be read to its end. Not retried.
    """
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    num_lines = sum(1 for _ in read_lines(path, max_line_bytes=_READ_BYTES))
    return Survey(path, sha256, num_lines)


def max_line_bytes(max_code_bytes: int) -> int:
    """How long a line can be whose function is short enough."""
    return ESCAPED_BYTES_PER_BYTE * max_code_bytes + OTHER_FIELDS_BYTES


def read_lines(path: Path, *, max_line_bytes: int) -> Iterator[RawLine]:
    """Lines of a plain or gzip file.

    Args:
        path: A .jsonl or .jsonl.gz.
        max_line_bytes: Longer lines are skipped over and given without content.

    Raises:
        DataInvalid: the compressed file is damaged or cut off. Not retried.
    """
    number = 0
    try:
        with _opened(path) as file:
            while piece := file.readline(max_line_bytes):
                number += 1
                if piece.endswith(b"\n") or len(piece) < max_line_bytes:
                    content = piece.removeprefix(_BYTE_ORDER_MARK) if number == 1 else piece
                    yield RawLine(number, content.strip(), len(piece))
                else:
                    yield RawLine(number, None, len(piece) + _skip_line(file))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        problem = f"the gzip file is damaged or cut off after line {number} ({error}); fetch it again"
        raise DataInvalid(path, problem) from error


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _skip_line(file: IO[bytes]) -> int:
    num_bytes = 0
    while piece := file.readline(_READ_BYTES):
        num_bytes += len(piece)
        if piece.endswith(b"\n"):
            break
    return num_bytes


def read_function(line: RawLine, max_code_bytes: int) -> RawFunction | Rejection:
    """What a line holds: a function, or why it is none.

    Args:
        line: A line that is not blank.
        max_code_bytes: Longest function accepted.
    """
    row = read_object(line)
    if isinstance(row, Rejection):
        return row
    reason = fault_of_code(row.get("func"), max_code_bytes) or _fault_of_label(row) or _fault_of_source(row)
    if reason is not None:
        return Rejection(line.number, *reason)
    index = row.get("idx")
    return RawFunction(
        line=line.number,
        orig_id=f"line-{line.number}" if index is None else str(index),
        code=row["func"],
        label=int(row["target"]),
        project=_text_of(row.get("project")),
        commit_id=_text_of(row.get("commit_id")),
        has_idx=index is not None,
        source=_text_of(row.get("source")),
        origin=_text_of(row.get("origin")),
    )


def read_object(line: RawLine, expected: str = FIELDS) -> dict[str, Any] | Rejection:
    """The JSON object on a line, or why there is none.

    Args:
        line: A line that is not blank.
        expected: Fields of the object, for the message.
    """
    if line.content is None:
        return Rejection(line.number, "line_too_long", f"{line.num_bytes} bytes")
    try:
        row = orjson.loads(line.content)
    except orjson.JSONDecodeError as error:
        return Rejection(line.number, *_fault_of_line(line.content, error))
    if not isinstance(row, dict):
        return Rejection(
            line.number, "not_an_object", f"expected an object with {expected}; found {type(row).__name__}"
        )
    return row


def _fault_of_line(content: bytes, error: orjson.JSONDecodeError) -> tuple[str, str]:
    if b"\0" in content:
        return "nul_byte", f"a NUL byte at byte {content.index(0)} of the line"
    try:
        json.loads(content.decode())
    except UnicodeDecodeError as undecodable:
        return "invalid_utf8", f"byte {undecodable.start} of the line: {undecodable.reason}"
    except (ValueError, RecursionError):
        return "broken_json", str(error)[:MAX_DETAIL_CHARS]
    # JSON to Python but not to orjson: an escape that is half of a character, NaN, or a number beyond 64 bits.
    reason = "invalid_utf8" if "surrogate" in str(error) else "broken_json"
    return reason, str(error)[:MAX_DETAIL_CHARS]


def fault_of_code(code: object, max_code_bytes: int, field: str = "func") -> tuple[str, str] | None:
    """Reason and detail why a value is no function that can be used; ``None`` where it is one.

    Args:
        code: What the row holds.
        max_code_bytes: Longest function accepted.
        field: Where the row holds it, for the message.
    """
    if code is None:
        return "missing_func", f"the row has no {field}"
    if not isinstance(code, str):
        return "missing_func", f"{field} is no text but {type(code).__name__}"
    if not code.strip():
        return "empty_func", f"{field} holds nothing but white space"
    if "\0" in code:
        return "nul_byte", f"a NUL character at character {code.index(chr(0))} of {field}"
    num_bytes = len(code) if code.isascii() else len(code.encode())
    if num_bytes > max_code_bytes:
        return "func_too_long", f"{num_bytes} bytes; max_code_bytes is {max_code_bytes}"
    return None


def _fault_of_label(row: dict[str, Any]) -> tuple[str, str] | None:
    label = row.get("target")
    if label is None:
        return "missing_label", "the row has no target"
    if not isinstance(label, int) or label not in (0, 1):  # a bool, as the hub's copy has it, is an int
        return "foreign_label", f"target must be 0 or 1, found {json.dumps(label)[:MAX_DETAIL_CHARS]}"
    return None


def _fault_of_source(row: dict[str, Any]) -> tuple[str, str] | None:
    source = row.get("source")
    if source in (None, "") or (isinstance(source, str) and _SOURCE_NAME.fullmatch(source)):
        return None
    shown = json.dumps(source)[:MAX_DETAIL_CHARS]
    return "foreign_source", f"source names the data in ids: letters, digits and ._- only, found {shown}"


def _text_of(value: object) -> str:
    return "" if value is None else str(value)
