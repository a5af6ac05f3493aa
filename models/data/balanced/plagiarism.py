"""Plagiarised programs in Java (``case``, ``kind``, ``path``, ``code``): copies do the same as their original.

What was written independently for the same exercise is no copy: it does the same as nothing else here, but stays in one
split with its case.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from models.data.balanced.json_rows import JsonRow, data_file, read_rows
from models.data.balanced.samples import NO_LABEL, CodeSample, LeftOut, fault_of_text
from models.settings.languages import LanguageName

FIELDS = ("case", "kind", "path", "code")
STEM = "ir_plag"
COPIES = ("original", "plagiarized")
INDEPENDENT = "non-plagiarized"


def read_plagiarism(path: Path, languages: Collection[LanguageName], max_chars: int) -> Iterator[CodeSample | LeftOut]:
    """Programs in the order of the file; nothing is labelled, and the case stands for the repository.

    Args:
        path: The file, or the folder with ``ir_plag.jsonl`` or ``ir_plag.jsonl.gz``.
        languages: Those that are taken; without java nothing is.
        max_chars: Longest program that is taken [characters].

    Raises:
        DataInvalid: there is no such file, or a line is no program. Not retried.
    """
    for row in read_rows(data_file(path, STEM), FIELDS, max_chars):
        if isinstance(row, LeftOut):
            yield row
        elif "java" not in languages:
            yield LeftOut(row.place, "other_language")
        elif fault := fault_of_text(row.text("code"), max_chars):
            yield LeftOut(row.place, fault)
        else:
            yield _sample_of(row)


def _sample_of(row: JsonRow) -> CodeSample:
    case, kind, file = row.text("case"), row.text("kind"), row.text("path")
    if kind not in (*COPIES, INDEPENDENT):
        raise row.fault(f"kind must be one of {', '.join((*COPIES, INDEPENDENT))}, found {kind!r:.40}")
    return CodeSample(
        name=file,
        code=row.text("code"),
        language="java",
        label=None,
        label_source=NO_LABEL,
        repo=case,
        file=file,
        function="",
        line=1,
        match=case if kind in COPIES else None,
    )
