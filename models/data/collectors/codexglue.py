"""CodeXGLUE's shape (Devign): ``func``, ``target``, and where present ``project``, ``commit_id``, ``idx``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.data.collectors.fields import fault_of_language
from models.data.collectors.line_files import JSON_SUFFIXES, NamedFile, find_files, stem_of
from models.data.collectors.rows import CollectedFunction, RejectedRow, Row
from models.data.raw_functions import SPLITS, RawLine, Rejection, max_line_bytes, read_function, read_lines


def read_codexglue(path: Path, max_code_bytes: int) -> Iterator[Row]:
    """Rows of a file, of all splits of a folder, or of all its JSON lines where it has no splits.

    Args:
        path: File or folder.
        max_code_bytes: Longest function accepted.

    Raises:
        DataInvalid: there is nothing to read, or a file is damaged. Not retried.
    """
    files = find_files(path, JSON_SUFFIXES)
    splits = [file for file in files if stem_of(file.name) in SPLITS]
    for file in splits or files:
        for line in read_lines(file.path, max_line_bytes=max_line_bytes(max_code_bytes)):
            if line.content != b"":
                yield _row_of(file, line, max_code_bytes)


def _row_of(file: NamedFile, line: RawLine, max_code_bytes: int) -> Row:
    row = read_function(line, max_code_bytes)
    if isinstance(row, Rejection):
        return RejectedRow(file.name, *row)
    if fault := fault_of_language(row.code):
        return RejectedRow(file.name, row.line, *fault)
    return CollectedFunction(
        code=row.code,
        label=row.label,
        idx=row.unique_name,
        project=row.project,
        commit_id=row.commit_id,
        origin=row.origin,
        cwe="",
        pair="",
        file=file.name,
        line=row.line,
    )
