"""Functions of a file that a fix changed: matched by name, before and after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from models.data.collectors.fields import Commit, Fault
from models.data.collectors.rows import CollectedFunction, RejectedRow, Row
from models.data.collectors.source_files import code_of_cut
from models.data.function_cutting import CutFunction, FunctionCutter


class FixedFile(NamedTuple):
    """A source file before and after a fix.

    Args:
        name: Of the fix and the file in it; unique in the source.
        before: Content before.
        after: Content after.
        commit: What belongs together.
        cwe: Kind of flaw; empty where unknown.
        files: Where the contents are told to come from, before and after.
        line: Of the list that names the fix; ``None`` to tell the functions' own lines.
    """

    name: str
    before: bytes
    after: bytes
    commit: Commit
    cwe: str
    files: tuple[str, str]
    line: int | None = None


class ChangedFunction(NamedTuple):
    """A function that differs before and after.

    Args:
        name: Unique in its file.
        before: As it was.
        after: As it is.
    """

    name: str
    before: CutFunction
    after: CutFunction


def read_changed(file: FixedFile, cutter: FunctionCutter, max_code_bytes: int) -> Iterator[Row]:
    """Pairs of the functions that a fix changed in a file: the vulnerable one, then the fixed one.

    Args:
        file: Before and after.
        cutter: Of this process.
        max_code_bytes: Longest function accepted.
    """
    for changed in match_changed(cutter.cut(file.before), cutter.cut(file.after)):
        codes = [code_of_cut(function, max_code_bytes) for function in (changed.before, changed.after)]
        if fault := next((code for code in codes if isinstance(code, Fault)), None):
            yield RejectedRow(file.files[0], file.line or changed.before.line, *fault)
        else:
            yield _row_of(file, changed.name, "before", str(codes[0]), changed.before.line)
            yield _row_of(file, changed.name, "after", str(codes[1]), changed.after.line)


def match_changed(before: list[CutFunction], after: list[CutFunction]) -> Iterator[ChangedFunction]:
    """Functions of one name whose words differ.

    Those that are new or gone are passed over, and of a name that is defined several times those that stayed; where
    what is left of it differs in number, which became which is not known, and it is passed over, too.
    """
    old_by_name, new_by_name = _by_name(before), _by_name(after)
    for name, old in old_by_name.items():
        new = new_by_name.get(name, {})
        gone = [function for words, function in old.items() if words not in new]
        come = [function for words, function in new.items() if words not in old]
        if len(gone) == len(come):
            for number, (one, other) in enumerate(zip(gone, come, strict=True), 1):
                yield ChangedFunction(name if number == 1 else f"{name}#{number}", one, other)


def _by_name(functions: list[CutFunction]) -> dict[str, dict[tuple[bytes, ...], CutFunction]]:
    """Per name its functions by their words, in the order of the file."""
    found: dict[str, dict[tuple[bytes, ...], CutFunction]] = {}
    for function in functions:
        found.setdefault(function.name, {})[tuple(function.content.split())] = function
    return found


def _row_of(file: FixedFile, name: str, side: str, code: str, line: int) -> CollectedFunction:
    is_before = side == "before"
    return CollectedFunction(
        code=code,
        label=int(is_before),
        idx=f"{file.name}:{name}-{side}",
        project=file.commit.project,
        commit_id=file.commit.commit_id,
        origin="",
        cwe=file.cwe,
        pair=f"{file.name}:{name}",
        file=file.files[0 if is_before else 1],
        line=file.line or line,
    )
