"""Functions of vulnerability collectors: ``func``, ``label`` ("1" or "0"), ``src`` (which collector), ``key``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.data.collectors.fields import code_and_label_of, cwe_of, text_of
from models.data.collectors.line_files import JSON_SUFFIXES, FieldRow, find_files, read_json_rows
from models.data.collectors.rows import CollectedFunction, RejectedRow, Row

FIELDS = 'func (text) and label ("0" or "1"); src, key and cwe are used where present'


def read_collected(path: Path, max_code_bytes: int) -> Iterator[Row]:
    """Rows of a file, or of all JSON lines of a folder.

    Args:
        path: File or folder.
        max_code_bytes: Longest function accepted.

    Raises:
        DataInvalid: there is nothing to read, or a file is damaged. Not retried.
    """
    for row in read_json_rows(find_files(path, JSON_SUFFIXES), max_code_bytes, FIELDS):
        yield row if isinstance(row, RejectedRow) else _function_of(row, max_code_bytes)


def _function_of(row: FieldRow, max_code_bytes: int) -> Row:
    sound = code_and_label_of(row, "func", "label", max_code_bytes)
    if isinstance(sound, RejectedRow):
        return sound
    return CollectedFunction(
        code=sound[0],
        label=sound[1],
        idx=text_of(row.fields.get("key")) or f"line-{row.line}",
        project="",
        commit_id="",
        origin=text_of(row.fields.get("src")),
        cwe=cwe_of(row.fields.get("cwe")),
        pair="",
        file=row.file,
        line=row.line,
    )
