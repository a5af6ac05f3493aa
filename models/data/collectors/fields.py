"""Fields that several shapes share: labels, kinds of flaw, commits, and whether code is code in C."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from models.data.c_language import C_NAMES, is_c_file, other_language
from models.data.collectors.line_files import FieldRow
from models.data.collectors.rows import RejectedRow
from models.data.raw_functions import MAX_DETAIL_CHARS, fault_of_code

_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
_CWE = re.compile(r"CWE[-_ ]?0*(\d+)", re.IGNORECASE)
_COMMIT_LINK = re.compile(
    r"(?:https?://)?[^/\s]+/(?:.+/)?(?P<project>[^/]+?)(?:\.git)?(?:/-)?/commits?/(?P<commit>[0-9a-fA-F]{6,64})(?![0-9a-zA-Z])"
)


class Fault(NamedTuple):
    """Why a row cannot be used.

    Args:
        reason: One word from a fixed set.
        detail: For a person.
    """

    reason: str
    detail: str


class Commit(NamedTuple):
    """What a link to a commit says; both empty where it is none.

    Args:
        project: Name of the repository, without its owner.
        commit_id: Its hash.
    """

    project: str
    commit_id: str


def text_of(value: object) -> str:
    """A value as text; nothing becomes empty text."""
    return "" if value is None else str(value).strip()


def label_of(value: object, field: str) -> int | Fault:
    """A label given as 0 or 1, as 0.0 or 1.0 (pandas writes them so), as a truth value, or as the text of a number.

    Args:
        value: What the row holds.
        field: Where the row holds it, for the message.
    """
    if value is None or value == "":
        return Fault("missing_label", f"the row has no {field}")
    label: int | None = None
    if isinstance(value, str):
        label = _LABELS.get(value)
    elif isinstance(value, int | float) and value in (0, 1):
        label = int(value)
    if label is None:
        return Fault("foreign_label", f"{field} must be 0 or 1, found {json.dumps(value)[:MAX_DETAIL_CHARS]}")
    return label


def code_of(value: object, field: str, max_code_bytes: int) -> str | Fault:
    """A function's text, or why it is none.

    Args:
        value: What the row holds.
        field: Where the row holds it, for the message.
        max_code_bytes: Longest function accepted.
    """
    fault = fault_of_code(value, max_code_bytes, field)
    if fault is not None:
        return Fault(*fault)
    assert isinstance(value, str)
    return value


def code_and_label_of(
    row: FieldRow, func: str, label: str, max_code_bytes: int, *, language: str = "", file_name: str = ""
) -> tuple[str, int] | RejectedRow:
    """A row's function and label, or why it cannot be used.

    Args:
        row: A row.
        func: Field of the function.
        label: Field of the label.
        max_code_bytes: Longest function accepted.
        language: As the row names it; empty where it does not.
        file_name: Name of the source file; empty where unknown.
    """
    code = code_of(row.fields.get(func), func, max_code_bytes)
    if isinstance(code, Fault):
        return RejectedRow(row.file, row.line, *code)
    number = label_of(row.fields.get(label), label)
    if isinstance(number, Fault):
        return RejectedRow(row.file, row.line, *number)
    if fault := fault_of_language(code, language=language, file_name=file_name):
        return RejectedRow(row.file, row.line, *fault)
    return code, number


def same_words(before: str, after: str) -> bool:
    """Whether two texts differ in nothing but white space: no fix is in that."""
    return before == after or before.split() == after.split()


def fault_of_language(code: str, *, language: str = "", file_name: str = "") -> Fault | None:
    """That code is in another language than C or C++: as the row says, as its file is called, or as it looks.

    Args:
        code: A function.
        language: As the row names it; empty where it does not.
        file_name: Name of the source file; empty where unknown.
    """
    if language:
        return None if language.lower() in C_NAMES else Fault("wrong_language", f"the row says {language[:40]}")
    if "." in file_name.rsplit("/", 1)[-1]:
        return None if is_c_file(file_name) else Fault("wrong_language", f"its file is {file_name[-80:]}")
    if found := other_language(code):
        return Fault("wrong_language", f"looks like {found}")
    return None


def cwe_of(value: object) -> str:
    """Kinds of flaw as ``CWE-787``, several with commas; empty where none is named.

    Args:
        value: Such as ``cwe-022``, ``CWE123`` or ``["CWE-119", "CWE-787"]``.
    """
    values = value if isinstance(value, list) else [value]
    numbers = [number for item in values if isinstance(item, str) for number in _CWE.findall(item)]
    return ",".join(f"CWE-{number}" for number in dict.fromkeys(numbers))


def commit_of(link: object) -> Commit:
    """Project and commit of a link such as ``github.com/OWNER/PROJECT/commit/HASH``."""
    match = _COMMIT_LINK.match(link) if isinstance(link, str) else None
    return Commit(match["project"], match["commit"].lower()) if match else Commit("", "")
