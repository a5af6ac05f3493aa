"""Which shape a collection has, by the names of its files and fields."""

from __future__ import annotations

from pathlib import Path

from models.data.collectors import fixes, folder, pairs
from models.data.collectors.csv_rows import read_header
from models.data.collectors.fix_commits import LISTS, find_list
from models.data.collectors.fix_trees import find_fixes
from models.data.collectors.line_files import (
    CSV_SUFFIXES,
    JSON_SUFFIXES,
    FieldRow,
    find_files,
    names_in,
    read_json_rows,
    shown_names,
)
from models.errors import DataInvalid
from models.settings.collect import CollectionFormat

_NUM_LOOKED_AT = 100
_LOOK_CODE_BYTES = 1_000_000
_FIELDS: tuple[tuple[CollectionFormat, frozenset[str], frozenset[str]], ...] = (
    ("pairs", frozenset({pairs.BEFORE, pairs.AFTER}), frozenset()),
    ("bigvul", frozenset({"func_before", "vul"}), frozenset()),
    ("bigvul", frozenset({"func_before", "target"}), frozenset()),
    ("juliet", frozenset({"func_neutral", "label"}), frozenset()),
    ("primevul", frozenset({"func", "target"}), frozenset({"hash", "func_hash", "cwe", "cve"})),
    ("codexglue", frozenset({"func", "target"}), frozenset()),
    ("collected", frozenset({"func", "label"}), frozenset()),
)
"""Per shape the fields it needs all of, and those it needs one of; the first that fits is taken."""


def detect_format(path: Path) -> CollectionFormat:
    """The shape of a collection.

    Args:
        path: File or folder.

    Raises:
        DataInvalid: it is none that is known, or cannot be read; says what was found. Not retried.
    """
    if not path.exists():
        raise DataInvalid(path, "no such file or folder")
    if path.is_dir():
        return _format_of_folder(path)
    if path.name in LISTS:
        return "fixes"
    return _format_of_file(path)


def _format_of_folder(path: Path) -> CollectionFormat:
    if find_list(path) is not None:
        return "fixes"
    if (path / folder.LABELS_FILE).is_file() or folder.label_folders(path):
        return "folder"
    names = names_in(path)
    for suffixes in (JSON_SUFFIXES, CSV_SUFFIXES):
        if any(name.endswith(suffixes) for name in names):
            return _format_of_file(find_files(path, suffixes)[0].path)
    if next(find_fixes(path), None) is not None:
        return "fixes"
    raise DataInvalid(path, f"the shape is not known: found {shown_names(path)}; known are {_known()}")


def _format_of_file(path: Path) -> CollectionFormat:
    fields = _fields_of(path)
    for name, needed, one_of in _FIELDS:
        if needed <= fields and (not one_of or one_of & fields):
            return name
    shown = ", ".join(sorted(fields)) or "no JSON object on its first lines"
    raise DataInvalid(path, f"the shape is not known: found {shown[:500]}; known are {_known()}")


def _known() -> str:
    told = []
    for name, needed, one_of in _FIELDS:
        extra = f" and {' or '.join(sorted(one_of))}" if one_of else ""
        told.append(f"{name} ({', '.join(sorted(needed))}{extra})")
    return "; ".join([*told, f"fixes ({fixes.EXPECTED})", f"folder ({folder.EXPECTED})"])


def _fields_of(path: Path) -> frozenset[str]:
    """Names of the columns, or the fields of the first JSON object."""
    if path.name.endswith(CSV_SUFFIXES):
        return frozenset(read_header(path))
    rows = read_json_rows(find_files(path, JSON_SUFFIXES), _LOOK_CODE_BYTES, "the fields of a function")
    for _, row in zip(range(_NUM_LOOKED_AT), rows, strict=False):
        if isinstance(row, FieldRow):
            return frozenset(row.fields)
    return frozenset()
