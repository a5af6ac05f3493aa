"""``manipulate_comments``: comments go, and comments that say nothing come before statements.

Comments that a tool reads (pragmas, directives of a linter or a build, encodings) and licences stay. A comment with
lines of its own goes with them, and one behind code with the blanks before it; one that holds the end of a line stays
where that ends a statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from models.data.languages.syntax import COMMENT_FORMS
from models.data.transforms.choices import Choices
from models.data.transforms.edits import Changes, Edit
from models.data.transforms.places import MASK, Places

NAME = "manipulate_comments"
PHRASES: tuple[bytes, ...] = (
    b"see above",
    b"see below",
    b"next step",
    b"note",
    b"step",
    b"go on",
    b"continue here",
    b"next part",
    b"main part",
    b"as before",
    b"details follow",
    b"to be continued",
    b"local part",
    b"section",
)
"""They hint at nothing a model should learn."""
_READ_BY_TOOLS = re.compile(
    rb"^#!|coding[:=]|^#\s*(?:isort|yapf|flake8|distutils|cython|%%)\b|\bno(?:qa|sec|semgrep|lint\w*|pep8|pmd|sonar)\b"
    rb"|\b(?:type|fmt|go|mypy|pyre|pytype|pyright|ty|black|autopep8|doctest|vim?|ex|c|ruff):|pylint|pragma|pyflakes"
    rb"|lgtm|semgrep|codeql|sonar|coverity|\bcov-|bandit|gosec|snyk|deepcode|skipcq|checkov|gitleaks|secret|findbugs"
    rb"|spotbugs|cppcheck|\bpvs|-v\d{3}|parasoft|polyspace|misra|_excl|\$non-nls|suppress|@\w*formatter|indent-o"
    rb"|^//go:|^//\s*\+|\+build|^//(?:export|extern|line)\b|^//\s*(?:Unordered o|O)utput:|DO NOT EDIT|^(?://|/\*)[#!@]"
    rb"|[@#]__|@(?:ts-|flow|jsx|preserve|cc_on|license|type|param|return|vite|jest)|\$Flow|\b(?:es|js|ts|jsc)(?:lint|s)\b"
    rb"|eslint|jshint|prettier|biome|deno-|istanbul|\b[cv]8\b|webpack|sourceMapping|\bglobals?\b|clang-|lint\b|uncrustify"
    rb"|fall.?s?.?thr|not.?reached|argsused|\bIWYU\b|CHECKSTYLE|noinspection|spotless|-\*-|\w[:-](?:ignore|disable|skip|off)"
    rb"|licen[sc]e|copyright|\(c\)|SPDX|^<!--|^-->|\\\s*$",
    re.IGNORECASE,
)
_BLANKS = b" \t"


class _Around(NamedTuple):
    """What a comment has around it.

    Args:
        first: The first of the blanks before it.
        begins_line: Whether its line has nothing before it.
        ends_line: Whether its last line has nothing behind it.
    """

    first: int
    begins_line: bool
    ends_line: bool


def changed_comments(places: Places, seed: int, probability: float) -> Changes:
    """Remove comments and put in others; see the module.

    Args:
        places: What stands where in the text.
        seed: Of the choices.
        probability: Of each comment to go, and of each statement that begins a line to get one.
    """
    if places.has_odd_lines:
        return Changes()
    choices = places.choices(NAME, seed)
    return Changes([*_removed(places, choices, probability), *_inserted(places, choices, probability)])


def _removed(places: Places, choices: Choices, probability: float) -> Iterator[Edit]:
    content = places.content
    if places.language == "go" and b'"C"' in content:
        return  # a comment may be a program in C
    for first, last in choices.some(places.comments, probability):
        comment = content[first:last].rstrip(b"\r\n")
        last = first + len(comment)
        if _READ_BY_TOOLS.search(comment):
            continue
        around = _around(content, first, last)
        if around.begins_line and around.ends_line:
            yield _line_before(content, around.first), last, b"", -1
        elif around.ends_line and b"\n" not in comment:
            yield around.first, last, b"", -1
        elif b"\n" not in comment:
            yield first, last, b" ", -1


def _around(content: bytes, first: int, last: int) -> _Around:
    line_first = content.rfind(b"\n", 0, first) + 1
    before = content[line_first:first].rstrip(_BLANKS)
    line_last = content.find(b"\n", last)
    behind = content[last : line_last if line_last >= 0 else len(content)]
    return _Around(line_first + len(before), not before, not behind.strip(b" \t\r"))


def _line_before(content: bytes, line_first: int) -> int:
    """Where the newline before a line begins; the line's first byte, if it is the first line."""
    if content[line_first - 2 : line_first] == b"\r\n":
        return line_first - 2
    return max(0, line_first - 1)


def _inserted(places: Places, choices: Choices, probability: float) -> Iterator[Edit]:
    content = places.content
    before, behind = COMMENT_FORMS[places.language]
    for first in choices.some(sorted(places.firsts("statement")), probability):
        if places.masked[first] == MASK:
            continue
        line_first = content.rfind(b"\n", 0, first) + 1
        indent = content[line_first:first]
        if not line_first or indent.strip(_BLANKS) or places.continues(line_first):
            continue
        if not places.is_fixed_above(line_first):  # what is there may be for the line below
            comment = before + choices.pick(PHRASES) + behind
            yield first, first, comment + places.newline + indent, 1
