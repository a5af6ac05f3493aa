"""``perturb_whitespace``: white space that means nothing varies.

Blanks at line ends, blank lines, blanks behind commas and around operators, and in languages whose blocks have braces
the indent. No line is joined with another or broken; strings, comments and preprocessor lines stay as they are, and so
does the indent of Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from models.data.transforms.edits import Changes, Edit
from models.data.transforms.places import MASK, Places

NAME = "perturb_whitespace"
_PLACE = re.compile(rb"[\n,=!<>&|:+\-*/%^?]+")
_OPERATORS = frozenset(b"== != === !== <= >= && || += -= *= /= %= := =".split())
"""Between two words or numbers these are always this operator, with or without blanks around."""
_VALUE_BEFORE = re.compile(rb"[\w)\]]")
_VALUE_BEHIND = re.compile(rb"[\w(]")
_INDENT = re.compile(rb"^[ \t]+(?=[^ \t\r\n\0])", re.MULTILINE)
_TWO_BLANKS = re.compile(rb"^  (?=[^ \t\r\n])", re.MULTILINE)
_TAB_WIDTH = 4
_BLANKS = (b" ", b"\t")
_BLANK_LINE = re.compile(rb"[ \t]*\r?\n")
_NO_VALUE = frozenset([b"\n", b"\r", b"", b"\0", b")", b"]", b"}", b">"])
_RETURN, _BACKSLASH = b"\r\\"


def perturbed_white_space(places: Places, seed: int, probability: float) -> Changes:
    """Vary white space; see the module.

    Args:
        places: What stands where in the text.
        seed: Of the choices.
        probability: Of each place to be varied; the indent is one place.
    """
    if places.has_odd_lines:
        return Changes()
    choices = places.choices(NAME, seed)
    masked = places.masked
    found = choices.some(_PLACE.finditer(masked), probability)
    edits: list[Edit | None] = []
    for match in found:
        text = match[0]
        if b"\n" in text:
            edits.append(_line_end(places, masked.index(b"\n", match.start()), for_blanks=choices.chance(0.5)))
        elif text == b",":
            edits.append(_behind_comma(masked, match.end()))
        elif text in _OPERATORS:
            edits.append(_around_operator(masked, match.start(), text))
    if places.language != "python" and choices.chance(probability):
        edits += _indented_anew(places)
    return Changes([edit for edit in edits if edit is not None])


def _behind_comma(masked: bytes, first: int) -> Edit | None:
    last = _skip_blanks(masked, first)
    if masked[last : last + 1] in _NO_VALUE:
        return None
    return first, last, b" " if first == last else b"", 0


def _around_operator(masked: bytes, at: int, operator: bytes) -> Edit | None:
    first, last = _back_over_blanks(masked, at), _skip_blanks(masked, at + len(operator))
    if not _VALUE_BEFORE.match(masked, max(0, first - 1)) or not _VALUE_BEHIND.match(masked, last):
        return None
    is_tight = last - first == len(operator)
    return first, last, b" " + operator + b" " if is_tight else operator, 0


def _line_end(places: Places, newline: int, *, for_blanks: bool) -> Edit | None:
    """Blanks at the end of a line put in or taken away, or a blank line; nothing behind a comment or the like.

    What a comment says to a tool may be for the line below, or have to stand apart from it.
    """
    masked = places.masked
    last = newline - 1 if newline and masked[newline - 1] == _RETURN else newline
    first = _back_over_blanks(masked, last)
    before = masked[first - 1] if first else MASK
    if before in (_BACKSLASH, MASK):
        return None
    if for_blanks:
        return first, last, b"  " if first == last else b"", 0
    blank = _BLANK_LINE.match(masked, newline + 1)
    if blank is not None:
        return *blank.span(), b"", 0
    return newline + 1, newline + 1, places.newline, 0


def _skip_blanks(masked: bytes, place: int) -> int:
    while masked[place : place + 1] in _BLANKS:
        place += 1
    return place


def _back_over_blanks(masked: bytes, place: int) -> int:
    while place and masked[place - 1 : place] in _BLANKS:
        place -= 1
    return place


def _indented_anew(places: Places) -> Iterator[Edit]:
    """Tabs become blanks, or blanks tabs, where a line begins; lines that go on with one above are left alone."""
    content = places.masked
    width = 2 if _TWO_BLANKS.search(content) else _TAB_WIDTH
    to_tabs = content.count(b"\n\t") <= content.count(b"\n ")
    for match in _INDENT.finditer(content):
        indent = match[0].expandtabs(width)
        if to_tabs:
            indent = b"\t" * (len(indent) // width) + b" " * (len(indent) % width)
        if indent != match[0] and not places.continues(match.start()):
            yield *match.span(), indent, 0
