"""Fixes as folders: ``NAME/before`` and ``NAME/after`` hold the files of a fix under the same names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from models.data.collectors.changed_functions import FixedFile, read_changed
from models.data.collectors.fields import Commit, Fault, cwe_of
from models.data.collectors.line_files import is_hidden
from models.data.collectors.rows import RejectedRow, Row
from models.data.collectors.source_files import name_in, read_source, walk_sources
from models.data.function_cutting import FunctionCutter

BEFORE, AFTER = "before", "after"


def find_fixes(data: Path, told: Callable[[OSError], object] | None = None) -> Iterator[Path]:
    """Folders that hold both ``before`` and ``after``, in the order of their names.

    Links are not followed, and what is hidden is passed over.

    Args:
        data: Where to look.
        told: Called for each folder that cannot be read.
    """
    for folder, inner, _ in os.walk(data, onerror=told):
        if BEFORE in inner and AFTER in inner:
            inner.clear()
            yield Path(folder)
        inner[:] = sorted(name for name in inner if not is_hidden(name))


def read_fix_trees(data: Path, max_code_bytes: int) -> Iterator[Row]:
    """Pairs of all fixes below a folder; a fix in which no function changed is told.

    Args:
        data: Folder.
        max_code_bytes: Longest function accepted.
    """
    cutter = FunctionCutter()
    unreadable: list[OSError] = []
    for fix in find_fixes(data, unreadable.append):
        num_rows = 0
        for row in _rows_of(fix, data, cutter, max_code_bytes):
            num_rows += 1
            yield row
        if num_rows == 0:
            yield RejectedRow(name_in(fix, data), 0, "no_changed_function", "no function differs before and after")
    for error in unreadable:
        yield RejectedRow(name_in(Path(error.filename), data), 0, "unreadable_folder", str(error.strerror))


def _rows_of(fix: Path, data: Path, cutter: FunctionCutter, max_code_bytes: int) -> Iterator[Row]:
    name = name_in(fix, data)
    commit = Commit(data.name, name if name != "." else data.name)
    for before in walk_sources(fix / BEFORE, data):
        if isinstance(before, RejectedRow):
            yield before
            continue
        inside = before.path.relative_to(fix / BEFORE)
        after = fix / AFTER / inside
        if not os.path.lexists(after):
            continue  # the fix took the file away: nothing in it was mended
        contents = [read_source(path, max_code_bytes) for path in (before.path, after)]
        if fault := next((content for content in contents if isinstance(content, Fault)), None):
            yield RejectedRow(before.name, 0, *fault)
            continue
        assert isinstance(contents[0], bytes) and isinstance(contents[1], bytes)
        file = FixedFile(
            name=f"{name}/{name_in(before.path, fix / BEFORE)}",
            before=contents[0],
            after=contents[1],
            commit=commit,
            cwe=cwe_of(name),
            files=(before.name, name_in(after, data)),
        )
        yield from read_changed(file, cutter, max_code_bytes)
