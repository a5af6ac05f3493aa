"""Candidate patches as they come: project, bug, code before and after, and whether it is correct.

Nothing else of a row is read. Who made a patch all but tells whether it is correct, and its name stands in fields that
look harmless (ids, names of bugs).
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from models.data.raw_functions import Rejection, max_line_bytes, read_lines, read_object
from models.errors import DataInvalid

MAX_CHARS = 100_000
"""Longest code before or after a patch that is compared [characters]."""
EXPECTED = "project and bug_id (names), before and after (code), label (1: correct, else 0)"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)


class Patch(NamedTuple):
    """A row that can be used.

    Args:
        project: Where the bug is.
        bug: Project and bug, joined by a slash.
        before: The code with the bug.
        after: The code as patched.
        label: 1: correct.
    """

    project: str
    bug: str
    before: str
    after: str
    label: int


class PatchFile(NamedTuple):
    """What a file holds.

    Args:
        patches: In its order.
        rejected: Rows passed over, by reason: ``changes_nothing`` or ``too_long``.
    """

    patches: list[Patch]
    rejected: Counter[str]


def read_patches(path: Path) -> PatchFile:
    """The patches of a .jsonl or .jsonl.gz; all are in memory, there are thousands of them.

    Raises:
        DataInvalid: There is no such file, it is damaged, a row lacks a field or has a wrong one, or none can be used.
            Not retried.
    """
    if not path.is_file():
        raise DataInvalid(path, f"no such file; expected .jsonl or .jsonl.gz, a patch a line: {EXPECTED}")
    found = PatchFile([], Counter())
    for line in read_lines(path, max_line_bytes=max_line_bytes(2 * MAX_CHARS)):
        if line.content == b"":
            continue
        if line.content is None:
            found.rejected["too_long"] += 1
            continue
        row = read_object(line, EXPECTED)
        if isinstance(row, Rejection):
            raise DataInvalid(path, f"no patch ({row.reason}: {row.detail}); expected {EXPECTED}", line=line.number)
        patch = _patch_of(path, line.number, row)
        if patch.before == patch.after:
            found.rejected["changes_nothing"] += 1
        elif max(len(patch.before), len(patch.after)) > MAX_CHARS:
            found.rejected["too_long"] += 1
        else:
            found.patches.append(patch)
    if not found.patches:
        raise DataInvalid(path, f"holds no patch that can be used ({found.rejected.total()} rejected); give others")
    return found


def _patch_of(path: Path, line: int, row: dict[str, Any]) -> Patch:
    project, bug_id = (_name_of(row.get(field)) for field in ("project", "bug_id"))
    if not project or not bug_id:
        problem = "project or bug_id is missing or no name of letters, digits and ._-"
    elif not isinstance(row.get("before"), str) or not isinstance(row.get("after"), str):
        problem = "before or after is missing or no text"
    elif row.get("label") not in (0, 1):
        problem = f"label must be 0 or 1, found {row.get('label')!r}"
    else:
        return Patch(project, f"{project}/{bug_id}", row["before"], row["after"], int(row["label"]))
    raise DataInvalid(path, f"{problem}; expected {EXPECTED}", line=line)


def _name_of(value: object) -> str:
    """The value where it can name a folder or a part of an id; else nothing."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if _NAME.fullmatch(text) else ""
