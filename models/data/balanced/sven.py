"""Fixes of vulnerabilities (SVEN): a function before, vulnerable, and after, safe; nothing does the same as another."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from models.data.balanced.json_rows import JsonRow, data_file, read_rows
from models.data.balanced.samples import CodeSample, LeftOut, fault_of_text, text_digest
from models.data.languages.grammars import language_of_file
from models.settings.languages import LanguageName

BEFORE, AFTER = "func_src_before", "func_src_after"
FIELDS = ("func_name", BEFORE, AFTER, "commit_link", "file_name")
STEM = "train"
NAME = "sven"
_REPOSITORY = re.compile(r"(?:https?://)?[^/\s]+/(?P<repo>[^\s]+?)(?:\.git)?(?:/-)?/commits?/")


def read_sven(path: Path, languages: Collection[LanguageName], max_chars: int) -> Iterator[CodeSample | LeftOut]:
    """Both sides of each fix, the vulnerable one first.

    Args:
        path: The file, or the folder with ``train.jsonl`` or ``train.jsonl.gz``.
        languages: Those that are taken, by the name of the file that was mended.
        max_chars: Longest function that is taken; a fix is taken whole or not at all [characters].

    Raises:
        DataInvalid: there is no such file, or a line is no fix. Not retried.
    """
    for row in read_rows(data_file(path, STEM), FIELDS, max_chars):
        if isinstance(row, LeftOut):
            yield row
            continue
        language = language_of_file(row.text("file_name"))
        sides = row.text(BEFORE), row.text(AFTER)
        faults = [fault for side in sides if (fault := fault_of_text(side, max_chars))]
        if language is None or language not in languages:
            yield LeftOut(row.place, "other_language")
        elif faults:
            yield LeftOut(row.place, faults[0])
        elif text_digest(sides[0]) == text_digest(sides[1]):
            yield LeftOut(row.place, "same_before_and_after")
        else:
            yield _side(row, language, "before", sides[0], 1)
            yield _side(row, language, "after", sides[1], 0)


def _side(row: JsonRow, language: LanguageName, side: str, code: str, label: int) -> CodeSample:
    link = _REPOSITORY.match(row.text("commit_link"))
    repo = link["repo"] if link else f"{NAME}-{row.line}"
    file, function = row.text("file_name"), row.text("func_name")
    return CodeSample(
        name=f"{repo}/{file}:{function}@{side}",
        code=code,
        language=language,
        label=label,
        label_source=NAME,
        repo=repo,
        file=file,
        function=function,
        line=row.line,
        group_hint=f"{NAME}:{row.line}",
    )
