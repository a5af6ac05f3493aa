"""Functions found by their braces alone, for source files that the grammar of C cannot parse.

Text is read at the top of the file and within ``namespace``, ``class`` and ``extern "C"``: a block whose head ends like
a list of parameters is a function. Braces of ``#if`` branches that do not balance are made up for where a closing brace
stands in the first column, as it does at the end of functions in nearly all C.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from models.data.syntax_trees import without_directives

NO_NAMES = frozenset(
    {"if", "for", "while", "switch", "return", "else", "do", "sizeof", "catch", "defined", "namespace"}
)
_NO_CODE = re.compile(rb'/\*.*?(?:\*/|\Z)|//[^\n]*|"(?:[^"\\\n]|\\.)*"' rb"|'(?:[^'\\\n]|\\.){1,10}'", re.DOTALL)
_NOT_NEWLINE = re.compile(rb"[^\n]")
_MARK = re.compile(rb"[{};]")
_LABEL = re.compile(rb"\A\s*(?:(?:public|private|protected)\s*:\s*)+")
_CONTAINER = re.compile(rb"\b(?:namespace|class|struct|union|extern)\b")
_INITIALISERS = re.compile(rb"(?<!:):(?!:)")
_PARAMETERS = re.compile(rb"\)\s*(?:\w+\b\s*|throw\s*\([^()]*\)\s*)*(?:->[\w:<>&*,\s]+)?\Z")
"""A list of parameters at the end, and what may follow it: ``const``, macros, the type of the result."""
_NAME = re.compile(rb"(?<![\w:~])([A-Za-z_~][\w:~]*)\s*\(")
_MACRO = re.compile(rb"([A-Z][A-Z0-9_]*)\s*\([^()]*\)\s*\Z")
_NOT_THE_NAME = frozenset({b"__attribute__", b"__declspec", b"throw", b"decltype", b"alignas"})


class Block(NamedTuple):
    """A function's place in a file.

    Args:
        name: As it is declared; of a macro with what it is called with.
        start: First byte of its head.
        end: Behind its last brace.
    """

    name: str
    start: int
    end: int


def find_blocks(content: bytes) -> Iterator[Block]:
    """Functions with a body, in the order of the file.

    Args:
        content: A source file; any bytes.
    """
    bare = without_directives(_blanked(content))
    start = depth = 0
    name = ""
    for mark in _MARK.finditer(bare):
        sign, place = mark.group(), mark.start()
        if depth == 0:
            head = _LABEL.sub(b"", bare[start:place], count=1).lstrip()
            if sign == b"{" and not _CONTAINER.search(re.split(rb"[()=]", head)[-1]):
                name, depth, start = name_of_head(head), 1, place - len(head)
            else:
                start = mark.end()
            continue
        depth += {b"{": 1, b"}": -1}.get(sign, 0)
        in_first_column = sign == b"}" and bare[place - 1 : place] == b"\n"
        if depth == 0 or (in_first_column and name):
            if name:
                yield Block(name, start, mark.end())
            start, depth = mark.end(), 0


def name_of_head(head: bytes) -> str:
    """Name of the function whose head this is; empty where it is the head of something else.

    Args:
        head: What stands before a block, without comments.
    """
    head, *members = _INITIALISERS.split(head.strip(), maxsplit=1)
    if members and not members[0].endswith(b")"):
        return ""  # the block is the value of a member: ``: member{1} {``
    if not _PARAMETERS.search(head) or b"=" in head.split(b"(", 1)[0].replace(b"operator", b""):
        return ""
    if macro := _MACRO.match(head):
        return " ".join(macro.group().decode().split())
    names = (match[1] for match in _NAME.finditer(head) if match[1] not in _NOT_THE_NAME)
    name = next(names, b"").decode()
    return "" if name in NO_NAMES else name


def _blanked(content: bytes) -> bytes:
    """The same text with comments and strings as blanks; every other byte stays where it is."""
    return _NO_CODE.sub(lambda match: _NOT_NEWLINE.sub(b" ", match.group()), content)
