"""What a patch changes, line by line, and the text that a model reads of it."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

HUNK_MARK = "@@"
"""Stands where unchanged lines between two changes are left out; line numbers would tell nothing of the edit."""


class Block(NamedTuple):
    """Lines that were replaced by others, or stayed.

    Args:
        is_equal: Whether they stayed.
        before: The lines before.
        after: The lines after.
    """

    is_equal: bool
    before: Sequence[str]
    after: Sequence[str]


def blocks_of(before: str, after: str) -> list[Block]:
    """Both texts cut into lines that stayed and lines that changed, in turn."""
    old, new = before.split("\n"), after.split("\n")
    head = _num_common(old, new)
    tail = _num_common(old[head:][::-1], new[head:][::-1])
    inner_old, inner_new = old[head : len(old) - tail], new[head : len(new) - tail]
    matcher = SequenceMatcher(None, inner_old, inner_new)
    inner = [Block(tag == "equal", inner_old[a:b], inner_new[c:d]) for tag, a, b, c, d in matcher.get_opcodes()]
    blocks = [Block(True, old[:head], new[:head]), *inner, Block(True, old[len(old) - tail :], new[len(new) - tail :])]
    return [block for block in blocks if block.before or block.after]


def _num_common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines both begin with."""
    for at, (line, twin) in enumerate(zip(one, other, strict=False)):
        if line != twin:
            return at
    return min(len(one), len(other))


def edit_text(blocks: Sequence[Block], context_lines: int) -> str:
    """The body of a unified diff: changed lines behind ``-`` and ``+``, unchanged ones near them behind a blank."""
    lines: list[str] = []
    for at, block in enumerate(blocks):
        if block.is_equal:
            is_first, is_last = at == 0, at == len(blocks) - 1
            lines += _context(block.before, context_lines, is_first=is_first, is_last=is_last)
        else:
            lines += [f"-{line}" for line in block.before]
            lines += [f"+{line}" for line in block.after]
    return "\n".join(lines) + "\n"


def _context(lines: Sequence[str], num_lines: int, *, is_first: bool, is_last: bool) -> list[str]:
    """What is shown of lines that stayed: those next to a change."""
    behind_change = 0 if is_first else num_lines
    before_change = 0 if is_last else num_lines
    marked = [f" {line}" for line in lines]
    if len(lines) <= behind_change + before_change:
        return marked
    gap = [] if is_first or is_last else [HUNK_MARK]
    return [*marked[:behind_change], *gap, *marked[len(lines) - before_change :]]
