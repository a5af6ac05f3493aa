"""What every source of code gives, whatever its shape: samples, and what was passed over."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from models.settings.languages import LanguageName

NO_LABEL = "none"
"""The ``label_source`` of a function that nothing labels."""


class CodeSample(NamedTuple):
    """A function, or a whole program where the data are programs.

    Args:
        name: What it is called among all; one that was used before is told apart later.
        code: Its text.
        language: Its language.
        label: 1 is vulnerable, 0 safe; ``None`` where nobody says.
        label_source: Who says: labels, before_after, rules, the name of a data set, or ``NO_LABEL``.
        repo: Its repository, or what stands for one.
        file: Its file, relative to the data.
        function: Its name; empty for a whole program.
        line: Where it begins in its file, counted from 1.
        match: What it does the same as; ``None``: as nothing else.
        group_hint: Samples that share one stay in one split: the two sides of a fix; ``None``: nothing of the kind.
    """

    name: str
    code: str
    language: LanguageName
    label: int | None
    label_source: str
    repo: str
    file: str
    function: str
    line: int
    match: str | None = None
    group_hint: str | None = None


class LeftOut(NamedTuple):
    """Something that gives no sample.

    Args:
        place: File, or file and line.
        reason: A few words from a fixed set, such as ``function_too_long``.
    """

    place: str
    reason: str


def fault_of_text(code: str, max_chars: int) -> str | None:
    """Why a text cannot be used, in a few words; ``None`` where it can.

    Args:
        code: A function or program.
        max_chars: Longest that is taken [characters].
    """
    if not code.strip():
        return "empty"
    if "\0" in code:
        return "nul_character"
    if len(code) > max_chars:
        return "function_too_long"
    return None


def text_digest(code: str) -> bytes:
    """16 bytes that are equal where two texts differ in nothing but white space."""
    return hashlib.sha256(" ".join(code.split()).encode("utf-8", "replace")).digest()[:16]
