"""Functions of the Juliet suite (``cwe``, ``file``, ``name``, ``label``, ``func_neutral``); those of one CWE match.

Never ``func`` and never ``name``: both say which function is bad. The number of a function in its file stands for its
name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from models.data.balanced.json_rows import data_file, read_rows
from models.data.balanced.samples import CodeSample, LeftOut, fault_of_text
from models.data.languages.grammars import language_of_file
from models.settings.languages import LanguageName

FIELDS = ("cwe", "file", "label", "func_neutral")
STEM = "functions"
NAME = "juliet"


def read_juliet(path: Path, languages: Collection[LanguageName], max_chars: int) -> Iterator[CodeSample | LeftOut]:
    """Functions in the order of the file.

    Args:
        path: The file, or the folder with ``functions.jsonl`` or ``functions.jsonl.gz``.
        languages: Those that are taken, by the name of the function's file.
        max_chars: Longest function that is taken [characters].

    Raises:
        DataInvalid: there is no such file, or a line is no labelled function. Not retried.
    """
    seen: Counter[str] = Counter()
    for row in read_rows(data_file(path, STEM), FIELDS, max_chars):
        if isinstance(row, LeftOut):
            yield row
            continue
        file, code = row.text("file"), row.text("func_neutral")
        language = language_of_file(file)
        seen[file] += 1
        if language is None or language not in languages:
            yield LeftOut(row.place, "other_language")
        elif fault := fault_of_text(code, max_chars):
            yield LeftOut(row.place, fault)
        else:
            yield CodeSample(
                name=f"{file}:{seen[file]}",
                code=code,
                language=language,
                label=row.label("label"),
                label_source=NAME,
                repo=NAME,
                file=file,
                function=f"function_{seen[file]}",
                line=row.line,
                match=row.text("cwe"),
            )
