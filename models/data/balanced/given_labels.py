"""Labels of functions as files give them: a labels file, and what fixes say about both of their sides.

Labels are small beside the code and held in memory by file; which of them named something that is there is kept, so
that a person is told of the others.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from models.data.balanced.json_rows import JsonRow, read_rows
from models.data.balanced.samples import LeftOut
from models.errors import DataInvalid

LABEL_FIELDS = ("file", "function", "label")
MAX_NAME_CHARS = 10_000
LABELS, BEFORE_AFTER = "labels", "before_after"
_LAST_PART = re.compile(r"\.|::")


class GivenLabel(NamedTuple):
    """What is said of a function.

    Args:
        label: 1, 0, or ``None`` where only its task is said.
        task: What it does the same as; ``None`` where that is not said.
        line: Line on which, or around which, it stands; ``None``: any function of that name.
        place: Line of the labels file.
    """

    label: int | None
    task: str | None
    line: int | None
    place: int


class LabelBook:
    """Labels of a labels file.

    Args:
        path: The file; ``None``: there is none.

    Raises:
        DataInvalid: there is no such file, or a line is no label. Not retried.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.num_given = 0
        self.left_out: list[LeftOut] = []
        self._given: dict[str, dict[str, list[GivenLabel]]] = {}
        self._found: set[int] = set()
        for row in read_rows(path, LABEL_FIELDS, MAX_NAME_CHARS) if path is not None else ():
            if isinstance(row, LeftOut):
                self.left_out.append(row._replace(place=f"{LABELS}, {row.place}"))
                continue
            self.num_given += 1
            functions = self._given.setdefault(clean_name(row.text("file")), {})
            functions.setdefault(row.text("function"), []).append(_given_label(row))

    def of(self, file: str, function: str, begin: int, end: int) -> list[GivenLabel]:
        """All that is said of a function.

        Args:
            file: Its file, relative to the root.
            function: Its name, after its class; labels may leave the class out.
            begin: Its first line.
            end: Its last.
        """
        in_file = self._given.get(file)
        if in_file is None:
            return []
        said = in_file.get(function) or in_file.get(_LAST_PART.split(function)[-1], [])
        meant = [given for given in said if given.line is None or begin <= given.line <= end]
        self._found.update(given.place for given in meant)
        return meant

    def missing(self) -> list[str]:
        """Labels that named nothing which is there, in the order of their lines."""
        found = [
            (given.place, f"{file}:{function} (line {given.place})")
            for file, functions in self._given.items()
            for function, said in functions.items()
            for given in said
            if given.place not in self._found
        ]
        return [shown for _, shown in sorted(found)]

    def refuse_if_none_found(self) -> None:
        """Raises ``DataInvalid`` where labels are given and none named a function that is there. Not retried."""
        if self.path is not None and not self._found:
            raise DataInvalid(
                self.path,
                f"none of its {self.num_given} labels names a function that is there (files are relative to "
                f"repos_root, functions as they are declared); first: {', '.join(self.missing()[:3]) or 'none'}",
            )


def _given_label(row: JsonRow) -> GivenLabel:
    line, task = row.fields.get("line"), row.fields.get("task")
    if line is not None and (not isinstance(line, int) or isinstance(line, bool) or line < 1):
        raise row.fault(f"line must be a number from 1, found {line!r:.40}")
    if task is not None and not isinstance(task, str):
        raise row.fault(f"task must be text, found {type(task).__name__}")
    label = None if row.fields["label"] is None else row.label("label")
    return GivenLabel(label, task or None, line, row.line)


def clean_name(name: str) -> str:
    """A path as walking spells it: slashes, and nothing before it."""
    return name.replace("\\", "/").removeprefix("./")
