"""The same tokens laid out anew: indents, braces, blank lines, and blanks around operators.

Only white space between tokens changes. Comments, strings and preprocessor lines stay as they are, on lines of their
own or behind what they stood behind; where something other than white space lies between two tokens (a line that goes
on behind a backslash, text that could not be parsed) nothing is touched. Lines are neither wrapped nor joined, except
for braces and ``else``. Each text gets a layout of its own.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from models.data.c_drawing import Draw
from models.data.transforms.checked import Source, Transformed, same_tokens
from models.data.transforms.layout import Part, Token, tokens_of

MAX_DRAWS = 4
"""So often a layout is drawn, until it differs from the one that the text has."""
_BLANKS = b" \t\r\n"
_CONTINUATION_DEPTH = 2


class Style(NamedTuple):
    """A layout.

    Args:
        indent: One level.
        brace_alone: Whether the brace of a block has a line of its own.
        else_alone: Whether ``else`` begins a line.
        tight_operators: Whether operators stand without blanks, where they can.
        after_comma: Blank or nothing.
        after_keyword: Between ``if`` and its parenthesis.
        blank_lines: Most blank lines in a row; -1: as they are.
        newline: As the text has it.
    """

    indent: bytes
    brace_alone: bool
    else_alone: bool
    tight_operators: bool
    after_comma: bytes
    after_keyword: bytes
    blank_lines: int
    newline: bytes


def reformat(code: str, *, seed: int) -> Transformed:
    """Lay a C function out anew; see the module.

    Args:
        code: Text that UTF-8 can encode.
        seed: Of the layout.
    """
    source = Source(code)
    tokens = tokens_of(source)
    draw = source.draw("reformat", seed)
    newline = b"\r\n" if b"\r\n" in source.content else b"\n"
    proposed = source.content
    for _ in range(MAX_DRAWS):
        proposed = _laid_out(source.content, tokens, _draw_style(draw, newline))
        if proposed != source.content:
            break
    return source.checked(proposed, same_tokens)


def _draw_style(draw: Draw, newline: bytes) -> Style:
    return Style(
        indent=draw.pick((b"\t", b"  ", b"   ", b"    ", b"        ")),
        brace_alone=draw.chance(0.5),
        else_alone=draw.chance(0.5),
        tight_operators=draw.chance(0.5),
        after_comma=draw.pick((b" ", b"")),
        after_keyword=draw.pick((b" ", b"")),
        blank_lines=draw.pick((0, 1, -1)),
        newline=newline,
    )


def _laid_out(content: bytes, tokens: list[Token], style: Style) -> bytes:
    if not tokens:
        return content
    tight = _tight_operators(content, tokens) if style.tight_operators else set()
    pieces, depth = [content[: tokens[0].last]], max(tokens[0].depth, 0)
    for left, right in pairwise(tokens):
        depth = right.depth if right.depth >= 0 else depth
        line_depth = depth if right.depth >= 0 else depth + _CONTINUATION_DEPTH
        gap = content[left.last : right.first]
        if not gap.strip(_BLANKS):
            gap = _gap(gap, left, right, style, line_depth, bool({left.first, right.first} & tight))
        pieces += [gap, content[right.first : right.last]]
    return b"".join([*pieces, content[tokens[-1].last :]])


def _gap(gap: bytes, left: Token, right: Token, style: Style, depth: int, is_tight: bool) -> bytes:
    """The white space between two tokens."""
    has_newline, parts = b"\n" in gap, (left.part, right.part)
    if Part.FIXED in parts:
        return _lines(gap, right, style, depth) if has_newline else gap
    if right.part is Part.BLOCK:
        return style.newline + style.indent * depth if style.brace_alone else b" "
    if parts == (Part.BLOCK_END, Part.ELSE):
        return style.newline + style.indent * depth if style.else_alone else b" "
    if has_newline:
        return _lines(gap, right, style, depth)
    if Part.OPERATOR in parts:
        return b"" if is_tight else b" "
    if left.part is Part.COMMA:
        return style.after_comma
    if parts == (Part.KEYWORD, Part.OPEN):
        return style.after_keyword
    return b" " if gap else gap


def _lines(gap: bytes, right: Token, style: Style, depth: int) -> bytes:
    """A line's end, blank lines, and the indent of what follows; a preprocessor line has its indent in itself."""
    num_newlines = gap.count(b"\n")
    if style.blank_lines >= 0:
        num_newlines = min(num_newlines, style.blank_lines + 1)
    return style.newline * num_newlines + (b"" if right.holds_indent else style.indent * depth)


def _tight_operators(content: bytes, tokens: list[Token]) -> set[int]:
    """First bytes of the operators that can stand without blanks: none that would become another token with these."""
    tight = set()
    for left, operator, right in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if operator.part is not Part.OPERATOR:
            continue
        before, after = content[left.last - 1 : left.last], content[right.first : right.first + 1]
        is_sign = content[operator.first : operator.last] in (b"+", b"-")
        ends = before.isalnum() or before in (b"_", b")", b"]")
        begins = after.isalnum() or after in (b"_", b"(")
        if ends and begins and not (is_sign and Part.NUMBER in (left.part, right.part)):
            tight.add(operator.first)
    return tight
