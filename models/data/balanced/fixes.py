"""Fixes as pairs of files, before and after: a function that differs is vulnerable before and safe after.

Functions are told by name and, where several share one, by their order. One that is on one side only says nothing: it
may have been renamed. What is the same on both sides is left unlabelled, and its copy is left out later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from models.data.balanced.given_labels import MAX_NAME_CHARS, clean_name
from models.data.balanced.json_rows import read_rows
from models.data.balanced.samples import LeftOut
from models.errors import DataInvalid

FIELDS = ("before", "after")


class NamedText(NamedTuple):
    """A function of a file.

    Args:
        name: Its name.
        digest: Equal where the text is, white space apart.
    """

    name: str
    digest: bytes


class FixSide(NamedTuple):
    """A function that a fix changed.

    Args:
        label: 1 before, 0 after.
        hint: Shared by both sides.
    """

    label: int
    hint: str


class FilePair(NamedTuple):
    """Two files of a fix.

    Args:
        before: Relative to the root.
        after: Relative to the root.
        line: Which names them.
    """

    before: str
    after: str
    line: int


class Fixes(NamedTuple):
    """What all fixes say.

    Args:
        sides: By file, then by the number of the function in it (from 0).
        num_given: Pairs of files.
        num_changed: Functions that differ.
        missing: Files that are not there or not read, with the line that names them.
        unchanged: Pairs in which no function differs.
    """

    sides: Mapping[str, Mapping[int, FixSide]]
    num_given: int
    num_changed: int
    missing: list[str]
    unchanged: list[str]


def read_file_pairs(path: Path) -> list[FilePair]:
    """The pairs that a file names.

    Raises:
        DataInvalid: there is no such file, or a line is no pair. Not retried.
    """
    pairs = []
    for row in read_rows(path, FIELDS, MAX_NAME_CHARS):
        if isinstance(row, LeftOut):
            raise DataInvalid(path, f"{row.place} is longer than two names of files can be")
        before, after = (clean_name(row.text(field)) for field in FIELDS)
        pairs.append(FilePair(before, after, row.line))
    return pairs


def compare(path: Path, pairs: Sequence[FilePair], functions: Mapping[str, Sequence[NamedText]]) -> Fixes:
    """What the pairs say.

    Args:
        path: The file that names them, for messages.
        pairs: Pairs of files.
        functions: Of each file that is there, in its order.

    Raises:
        DataInvalid: no pair names two files that are there and differ in a function. Not retried.
    """
    sides: dict[str, dict[int, FixSide]] = {}
    missing, unchanged, num_changed = [], [], 0
    for pair in pairs:
        if absent := [file for file in (pair.before, pair.after) if file not in functions]:
            missing += [f"{file} (line {pair.line})" for file in absent]
            continue
        changed = _changed(functions[pair.before], functions[pair.after])
        if not changed:
            unchanged.append(f"{pair.before} and {pair.after} (line {pair.line})")
        for number, (before, after) in enumerate(changed):
            hint = f"fix:{pair.line}:{number}"
            sides.setdefault(pair.before, {})[before] = FixSide(1, hint)
            sides.setdefault(pair.after, {})[after] = FixSide(0, hint)
        num_changed += len(changed)
    if not num_changed:
        shown = ", ".join([*missing, *unchanged][:3]) or "the file is empty"
        problem = f"none of its {len(pairs)} pairs names two files that are there and differ in a function: {shown}"
        raise DataInvalid(path, f"{problem}; files are relative to repos_root")
    return Fixes(sides, len(pairs), num_changed, missing, unchanged)


def _changed(before: Sequence[NamedText], after: Sequence[NamedText]) -> list[tuple[int, int]]:
    """Numbers of the functions that differ, before and after."""
    pairs = []
    for name in dict.fromkeys(function.name for function in before):
        old, new = _only_in(before, after, name), _only_in(after, before, name)
        if len(old) == len(new):
            pairs += list(zip(old, new, strict=True))
    return pairs


def _only_in(here: Sequence[NamedText], there: Sequence[NamedText], name: str) -> list[int]:
    """Numbers of the functions of a name whose text the other side does not have."""
    other = {function.digest for function in there if function.name == name}
    return [number for number, function in enumerate(here) if function.name == name and function.digest not in other]
