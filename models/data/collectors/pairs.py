"""Functions before and after a fix (SVEN): ``func_src_before``, ``func_src_after``, ``commit_link``, ``file_name``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.data.collectors.fields import Fault, code_of, commit_of, cwe_of, fault_of_language, same_words, text_of
from models.data.collectors.line_files import JSON_SUFFIXES, FieldRow, find_files, read_json_rows
from models.data.collectors.rows import CollectedFunction, RejectedRow, Row

BEFORE, AFTER = "func_src_before", "func_src_after"
FIELDS = f"{BEFORE} and {AFTER} (text); commit_link, file_name and vul_type are used where present"


def read_pairs(path: Path, max_code_bytes: int) -> Iterator[Row]:
    """Pairs of a file, or of all JSON lines of a folder: the vulnerable function, then the fixed one.

    Args:
        path: File or folder.
        max_code_bytes: Longest function accepted.

    Raises:
        DataInvalid: there is nothing to read, or a file is damaged. Not retried.
    """
    for row in read_json_rows(find_files(path, JSON_SUFFIXES), max_code_bytes, FIELDS):
        if isinstance(row, RejectedRow):
            yield row
        else:
            yield from _pair_of(row, max_code_bytes)


def _pair_of(row: FieldRow, max_code_bytes: int) -> Iterator[Row]:
    before = code_of(row.fields.get(BEFORE), BEFORE, max_code_bytes)
    after = code_of(row.fields.get(AFTER), AFTER, max_code_bytes)
    fault = next((code for code in (before, after) if isinstance(code, Fault)), None)
    if fault is None:
        fault = _fault_of_pair(str(before), str(after), text_of(row.fields.get("file_name")))
    if fault is not None:
        yield RejectedRow(row.file, row.line, *fault)
        return
    commit = commit_of(row.fields.get("commit_link"))
    for side, label, code in (("before", 1, before), ("after", 0, after)):
        yield CollectedFunction(
            code=str(code),
            label=label,
            idx=f"line-{row.line}-{side}",
            project=commit.project,
            commit_id=commit.commit_id,
            origin="",
            cwe=cwe_of(row.fields.get("vul_type")),
            pair=f"{row.file}:{row.line}",
            file=row.file,
            line=row.line,
        )


def _fault_of_pair(before: str, after: str, file_name: str) -> Fault | None:
    if same_words(before, after):
        return Fault("identical_pair", "nothing but white space differs before and after")
    return fault_of_language(before, file_name=file_name) or fault_of_language(after, file_name=file_name)
