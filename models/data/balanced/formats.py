"""Which shape data have: folders of repositories, or one of the collections, by their files and fields."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from models.data.balanced import juliet, plagiarism, rosetta, sven
from models.data.balanced.json_rows import JsonRow, read_rows
from models.errors import DataInvalid
from models.settings.balance import CodeFormat

KnownFormat = Literal["repositories", "rosetta", "plagiarism", "sven", "juliet"]

_COLLECTIONS: tuple[tuple[KnownFormat, str, tuple[str, ...]], ...] = (
    ("rosetta", rosetta.STEM, rosetta.FIELDS),
    ("plagiarism", plagiarism.STEM, plagiarism.FIELDS),
    ("sven", sven.STEM, sven.FIELDS),
    ("juliet", juliet.STEM, juliet.FIELDS),
)
_SUFFIXES = (".jsonl", ".jsonl.gz")
_LOOK_CHARS = 1_000_000


def known_format(path: Path, asked: CodeFormat) -> KnownFormat:
    """The shape of the data; where ``asked`` is auto, the first collection whose file and fields are there.

    Args:
        path: Folder, or the file of a collection.
        asked: As in the settings.

    Raises:
        DataInvalid: there is nothing, or a file of no known shape. Not retried.
    """
    if not path.exists():
        raise DataInvalid(path, "no such file or folder; expected a folder of repositories, or a known collection")
    if asked == "repositories" and not path.is_dir():
        raise DataInvalid(path, "is a file; expected a folder whose sub-folders are repositories")
    if asked != "auto":
        return asked
    for name, stem, fields in _COLLECTIONS:
        files = [path / f"{stem}{suffix}" for suffix in _SUFFIXES] if path.is_dir() else [path]
        if any(file.is_file() and set(fields) <= _fields_of(file) for file in files):
            return name
    if path.is_dir():
        return "repositories"
    known = "; ".join(f"{name} ({', '.join(fields)})" for name, _, fields in _COLLECTIONS)
    raise DataInvalid(path, f"a file of no known shape; expected a folder of repositories, or JSON lines of {known}")


def _fields_of(file: Path) -> frozenset[str]:
    if not file.name.endswith(_SUFFIXES):
        return frozenset()
    first = next((row for row in read_rows(file, (), _LOOK_CHARS) if isinstance(row, JsonRow)), None)
    return frozenset(first.fields) if first else frozenset()
