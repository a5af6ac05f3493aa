"""What every reader gives: functions that can be used, and rows that cannot, with the reason."""

from __future__ import annotations

from typing import NamedTuple

SOUND_REASONS = frozenset({"wrong_language", "identical_pair", "no_changed_function", "no_function"})
"""Reasons of rows that are sound and only of no use here; all others say that the collection is broken."""


class CollectedFunction(NamedTuple):
    """A function of a collection.

    Args:
        code: Raw text.
        label: 1 is vulnerable.
        idx: Unique within the source: as the row names itself, else ``line-N`` or like a path.
        project: Empty where unknown.
        commit_id: What belongs together besides near copies: the commit, or the file. Empty where unknown.
        origin: The collection's own sub-source, such as ``primevul-unlisted``; empty if none.
        cwe: Such as ``CWE-787``, several with commas; empty where unknown.
        pair: Name that a function before a fix shares with the one after it, unique in the source; empty if no pair.
        file: File it came from, relative to the data.
        line: Its line there, counted from 1; of a csv file the first line of its row.
    """

    code: str
    label: int
    idx: str
    project: str
    commit_id: str
    origin: str
    cwe: str
    pair: str
    file: str
    line: int


class RejectedRow(NamedTuple):
    """A row, or a file, that cannot be used.

    Args:
        file: Relative to the data.
        line: Counted from 1; 0 where the whole file is meant.
        reason: One word from a fixed set, such as ``broken_json``.
        detail: For a person.
    """

    file: str
    line: int
    reason: str
    detail: str


Row = CollectedFunction | RejectedRow
