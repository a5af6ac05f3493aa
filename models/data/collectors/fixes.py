"""Repositories of CVE fixes as pairs: folders with ``before`` and ``after``, or commits of git repositories."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.data.collectors.fix_commits import LISTS, find_list, read_fix_commits
from models.data.collectors.fix_trees import find_fixes, read_fix_trees
from models.data.collectors.line_files import shown_names
from models.data.collectors.rows import Row
from models.errors import DataInvalid

EXPECTED = f"folders NAME/before and NAME/after, or {' or '.join(LISTS)} with lines: repository path,commit[,cwe]"


def read_fixes(path: Path, max_code_bytes: int) -> Iterator[Row]:
    """Pairs of the functions that fixes changed: the vulnerable one, then the fixed one.

    Args:
        path: Folder, or the list of commits itself.
        max_code_bytes: Longest function accepted.

    Raises:
        DataInvalid: it holds no fix. Not retried.
    """
    listed = find_list(path) if path.is_dir() else path
    if listed is not None:
        yield from read_fix_commits(listed, max_code_bytes)
    elif next(find_fixes(path), None) is not None:
        yield from read_fix_trees(path, max_code_bytes)
    else:
        raise DataInvalid(path, f"holds no fixes: expected {EXPECTED}; found {shown_names(path)}")
