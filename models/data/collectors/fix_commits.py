"""Fixes as commits: ``fixes.txt`` or ``fixes.csv`` lists ``repository path,commit[,cwe]`` beside git repositories.

The digest of such a collection counts the list only: a commit's hash names its content. So what is found depends on the
list alone, as long as all of it is found; where a repository or a commit is not there, the job ends rather than to
leave an answer under a key that would stand for another one once it is fetched.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from models.data.c_language import is_c_file
from models.data.collectors.changed_functions import FixedFile, read_changed
from models.data.collectors.fields import Commit, cwe_of
from models.data.collectors.git_objects import ChangedFile, GitRefused, changed_files, full_hash, read_object
from models.data.collectors.rows import RejectedRow, Row
from models.data.collectors.source_files import max_file_bytes
from models.data.function_cutting import FunctionCutter
from models.data.raw_functions import read_lines
from models.errors import DataInvalid

LISTS = ("fixes.txt", "fixes.csv")
_MAX_LISTED_BYTES = 1 << 16
_SAID_BY_THE_LIST = frozenset({"broken_commit", "no_parent", "file_too_long"})
"""Refusals that say something of a commit; the others are of this machine or its copy of the repository."""


class _Fix(NamedTuple):
    line: int
    listed_path: str
    repository: Path
    project: str
    commit: str
    cwe: str


def find_list(folder: Path) -> Path | None:
    """The list of fixes in a folder.

    Raises:
        DataInvalid: there are two. Not retried.
    """
    found = [folder / name for name in LISTS if (folder / name).is_file()]
    if len(found) > 1:
        raise DataInvalid(found[0], f"{found[1].name} is there too; remove one, or which is meant is anyone's guess")
    return found[0] if found else None


def read_fix_commits(listed: Path, max_code_bytes: int) -> Iterator[Row]:
    """Pairs of all commits of a list, each against its first parent.

    Args:
        listed: The list; repositories are looked for beside it. Lines that begin with ``#`` are comments.
        max_code_bytes: Longest function accepted.

    Raises:
        DataInvalid: a repository or commit is not there or cannot be read, or git is missing. Not retried.
    """
    cutter = FunctionCutter()
    for line in read_lines(listed, max_line_bytes=_MAX_LISTED_BYTES):
        if line.content == b"" or (line.content or b"").startswith(b"#"):
            continue
        fix = _fix_of(line.number, line.content, listed)
        if fix is None:
            continue
        if isinstance(fix, RejectedRow):
            yield fix
            continue
        try:
            yield from _rows_of(fix, listed, cutter, max_code_bytes)
        except GitRefused as refused:
            yield _refused(refused, fix, listed, refused.detail)


def _refused(refused: GitRefused, fix: _Fix, listed: Path, detail: str) -> RejectedRow:
    if refused.reason in _SAID_BY_THE_LIST:
        return RejectedRow(listed.name, fix.line, refused.reason, detail)
    raise DataInvalid(
        listed,
        f"commit {fix.commit[:64]} of {fix.listed_path[:200]} cannot be read ({refused.reason}: {detail}); fetch it, "
        "or put # before the line",
        line=fix.line,
    ) from refused


def _fix_of(number: int, content: bytes | None, listed: Path) -> _Fix | RejectedRow | None:
    """What a line names; ``None`` for the names of the columns."""
    if content is None:
        return RejectedRow(listed.name, number, "line_too_long", f"more than {_MAX_LISTED_BYTES} bytes")
    try:
        cells = [cell.strip() for cell in next(csv.reader([content.decode()], strict=True), [])]
    except (UnicodeDecodeError, csv.Error) as error:
        return RejectedRow(listed.name, number, "broken_csv", str(error)[:200])
    if number == 1 and [cell.lower() for cell in cells[1:2]] == ["commit"]:
        return None
    if len(cells) not in (2, 3) or not all(cells[:2]):
        detail = f"expected repository path,commit[,cwe]; found {len(cells)} columns"
        return RejectedRow(listed.name, number, "missing_columns", detail)
    if "\0" in cells[0]:
        return RejectedRow(listed.name, number, "nul_byte", "a NUL character in the path of the repository")
    repository = listed.parent / cells[0]
    project = repository.resolve().name.removesuffix(".git")
    return _Fix(number, cells[0], repository, project, cells[1], cwe_of(cells[2]) if len(cells) == 3 else "")


def _rows_of(fix: _Fix, listed: Path, cutter: FunctionCutter, max_code_bytes: int) -> Iterator[Row]:
    commit = full_hash(fix.repository, fix.commit)
    changed = list(changed_files(fix.repository, commit))
    sources = [file for file in changed if is_c_file(file.name)]
    num_rows = 0
    for file in sources:
        for row in _rows_of_file(fix, commit, file, listed, cutter, max_code_bytes):
            num_rows += 1
            yield row
    if changed and not sources:
        yield RejectedRow(
            listed.name, fix.line, "wrong_language", f"no file of C or C++ changed, but {changed[0].name[:80]}"
        )
    elif num_rows == 0:
        yield RejectedRow(listed.name, fix.line, "no_changed_function", "no function differs before and after")


def _rows_of_file(
    fix: _Fix, commit: str, file: ChangedFile, listed: Path, cutter: FunctionCutter, max_code_bytes: int
) -> Iterator[Row]:
    max_bytes = max_file_bytes(max_code_bytes)
    try:
        before, after = (read_object(fix.repository, name, max_bytes) for name in (file.before, file.after))
    except GitRefused as refused:
        yield _refused(refused, fix, listed, f"{file.name[:80]}: {refused.detail}")
        return
    fixed = FixedFile(
        name=f"{fix.project}@{commit[:12]}:{file.name}",
        before=before,
        after=after,
        commit=Commit(fix.project, commit),
        cwe=fix.cwe,
        files=(listed.name, listed.name),
        line=fix.line,
    )
    yield from read_changed(fixed, cutter, max_code_bytes)
