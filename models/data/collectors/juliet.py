"""Functions of the Juliet suite: ``cwe``, ``file``, ``name``, ``label``, ``func_neutral``.

Not ``func``: its names and comments say which one is bad. Variants of one test case stand in one file, so the file is
what belongs together.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.data.collectors.fields import code_and_label_of, cwe_of, text_of
from models.data.collectors.line_files import JSON_SUFFIXES, FieldRow, find_files, read_json_rows
from models.data.collectors.rows import CollectedFunction, RejectedRow, Row

FIELDS = "func_neutral (text) and label (0 or 1); file, name and cwe are used where present"


def read_juliet(path: Path, max_code_bytes: int) -> Iterator[Row]:
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
    sound = code_and_label_of(row, "func_neutral", "label", max_code_bytes)
    if isinstance(sound, RejectedRow):
        return sound
    file, name = text_of(row.fields.get("file")), text_of(row.fields.get("name"))
    return CollectedFunction(
        code=sound[0],
        label=sound[1],
        idx=f"{file}:{name}" if file and name else f"line-{row.line}",
        project="juliet",
        commit_id=file,
        origin="",
        cwe=cwe_of(row.fields.get("cwe")),
        pair="",
        file=row.file,
        line=row.line,
    )
