"""Rosetta Code: programs of many languages, those of one task do the same (``task``, ``lang``, ``file``, ``code``)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from models.data.balanced.json_rows import data_file, read_rows
from models.data.balanced.samples import NO_LABEL, CodeSample, LeftOut, fault_of_text
from models.data.languages.grammars import NAMES
from models.settings.languages import LanguageName

FIELDS = ("task", "lang", "file", "code")
STEM = "solutions"
NAME = "rosetta"


def read_rosetta(path: Path, languages: Collection[LanguageName], max_chars: int) -> Iterator[CodeSample | LeftOut]:
    """Programs in one of the languages, in the order of the file; nothing is labelled.

    Args:
        path: The file, or the folder with ``solutions.jsonl`` or ``solutions.jsonl.gz``.
        languages: Those that are taken.
        max_chars: Longest program that is taken [characters].

    Raises:
        DataInvalid: there is no such file, or a line is no solution. Not retried.
    """
    for row in read_rows(data_file(path, STEM), FIELDS, max_chars):
        if isinstance(row, LeftOut):
            yield row
            continue
        task, language = row.text("task"), NAMES.get(row.text("lang").lower())
        if language is None or language not in languages:
            yield LeftOut(row.place, "other_language")
        elif fault := fault_of_text(row.text("code"), max_chars):
            yield LeftOut(row.place, fault)
        else:
            file = f"{task}/{row.text('file')}"
            yield CodeSample(
                name=file,
                code=row.text("code"),
                language=language,
                label=None,
                label_source=NO_LABEL,
                repo=NAME,
                file=file,
                function="",
                line=1,
                match=task,
            )
