"""DiverseVul and PrimeVul: ``func``, ``target``, ``project``, ``commit_id``, ``cwe`` (a list), a hash or ``idx``.

In PrimeVul's paired files (``primevul_*_paired.jsonl``) a vulnerable function and its fixed one stand together (Ding
et al., "Vulnerability Detection with Code Language Models: How Far Are We?", 2024, section 3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from models.data.collectors.fields import code_and_label_of, cwe_of, same_words, text_of
from models.data.collectors.line_files import JSON_SUFFIXES, FieldRow, NamedFile, find_files, read_json_rows
from models.data.collectors.rows import CollectedFunction, RejectedRow, Row

FIELDS = "func (text) and target (0 or 1); project, commit_id, cwe, idx, hash and file_name are used where present"
_PAIRED_FILE = re.compile(r"primevul_\w*paired\.jsonl(?:\.gz)?")
_NAMES = ("idx", "hash", "func_hash")
_NO_FILE = frozenset({"", "none", "null", "nan"})


def read_primevul(path: Path, max_code_bytes: int) -> Iterator[Row]:
    """Rows of a file, or of all JSON lines of a folder; those of paired files with their pairs.

    Args:
        path: File or folder.
        max_code_bytes: Longest function accepted.

    Raises:
        DataInvalid: there is nothing to read, or a file is damaged. Not retried.
    """
    for file in find_files(path, JSON_SUFFIXES):
        rows = _functions_of(file, max_code_bytes)
        yield from _paired(rows) if _PAIRED_FILE.fullmatch(file.name) else rows


def _functions_of(file: NamedFile, max_code_bytes: int) -> Iterator[Row]:
    for row in read_json_rows([file], max_code_bytes, FIELDS):
        yield row if isinstance(row, RejectedRow) else _function_of(row, max_code_bytes)


def _paired(rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows in order; two after another of one commit, one vulnerable and one fixed, made a pair.

    Beside a row that cannot be used its neighbour in the pair stays alone, rather than to be paired with the next one.
    """
    held: Row | None = None
    for row in rows:
        if held is None:
            held = row
        elif isinstance(held, RejectedRow) or isinstance(row, RejectedRow):
            yield from (held, row)
            held = None
        elif _are_pair(held, row):
            pair = f"{held.file}:{held.line}"
            yield from (held._replace(pair=pair), row._replace(pair=pair))
            held = None
        else:
            yield held
            held = row
    if held is not None:
        yield held


def _are_pair(one: CollectedFunction, other: CollectedFunction) -> bool:
    same_commit = one.commit_id != "" and (one.project, one.commit_id) == (other.project, other.commit_id)
    return same_commit and one.label != other.label and not same_words(one.code, other.code)


def _name_of(fields: dict[str, Any]) -> str:
    """Its number or hash; empty where a hash is a number so large that JSON readers round it (DiverseVul)."""
    names = (fields.get(name) for name in _NAMES)
    return next((text_of(name) for name in names if isinstance(name, int | str) and text_of(name)), "")


def _function_of(row: FieldRow, max_code_bytes: int) -> Row:
    fields = row.fields
    source_file = text_of(fields.get("file_name"))
    known_file = "" if source_file.lower() in _NO_FILE else source_file
    sound = code_and_label_of(row, "func", "target", max_code_bytes, file_name=known_file)
    if isinstance(sound, RejectedRow):
        return sound
    return CollectedFunction(
        code=sound[0],
        label=sound[1],
        idx=_name_of(fields) or f"line-{row.line}",
        project=text_of(fields.get("project")),
        commit_id=text_of(fields.get("commit_id")),
        origin="",
        cwe=cwe_of(fields.get("cwe")),
        pair="",
        file=row.file,
        line=row.line,
    )
