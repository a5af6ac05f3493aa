"""Numbers that say how large an edit is and what kind of thing it changes.

They are raw counts and shares, not scaled: trees need no scaling, networks take it from their training lists. None
says who made the patch. Tokens are read by one pattern for all languages, from code without comments.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import cached_property
from itertools import pairwise
from typing import Any

from models.data.retrieval.line_edits import Block

FEATURES = {
    "characters_changed": "characters of the tokens removed and added: the size of the edit",
    "share_changed": "the same, of the characters of all tokens before and after",
    "token_similarity": "2 M / (T before + T after), M tokens that stay of T",
    "tokens_removed": "tokens",
    "tokens_added": "tokens",
    "lines_removed": "lines behind - in the edit",
    "lines_added": "lines behind + in the edit",
    "lines_changed": "of these, lines that replace others",
    "num_places": "places apart from each other that change",
    "only_removes": "1: no token is added",
    "only_adds": "1: no token is removed",
    "branches_added": "if, while, switch, case and ? after, less those before",
    "returns_added": "return, throw, break, continue, raise and goto after, less those before",
    "null_checks_added": "comparisons with null after, less those before",
    "literals_changed": "numbers, strings, truth values and nulls that are others",
    "operators_changed": "operators that are others",
    "calls_changed": "names called that are others",
    "stops_parsing": "1: the code parsed before and no longer does; 0 also where no grammar reads it",
    "function_lines": "lines before, without comments and blank ones",
    "size_rank": "share of the bug's other candidates whose edit has fewer characters, ties by half; alone: 0.5",
}
"""Their names in order, and what they are. The first is what a judge of sizes orders by; the last alone is relative to
the bug's other candidates."""
SIZE_FEATURE = 0
MAX_COMPARED = 4000
"""Tokens of lines that are replaced by others at once, up to which it is looked which of them stay: beyond, comparing
takes the square of their number, and none is taken to stay [tokens]."""
_TOKEN = re.compile(
    r"""
    "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'      # strings and characters that end on their line
    | [^\W\d][\w$]* | \d[\w.]*                     # names and numbers
    | [=!]==? | [-+*/%&|^<>]= | && | \|\| | << | >> | -> | ::
    | \S
    """,
    re.VERBOSE,
)
_BRANCHES = frozenset({"if", "elif", "while", "switch", "case", "?"})
_EXITS = frozenset({"return", "throw", "break", "continue", "raise", "goto"})
_NULLS = frozenset({"null", "NULL", "nullptr", "None", "nil"})
_COMPARISONS = frozenset({"==", "!=", "===", "!==", "is", "not"})
_WORD_LITERALS = _NULLS | {"true", "false", "True", "False"}
_OPERATORS = re.compile(r"[-+*/%&|^<>=!~]+")
_NOT_CALLED = _BRANCHES | _EXITS | {"for", "catch", "synchronized", "sizeof", "and", "or", "not", "in", "else"}


class EditedTokens:
    """The tokens of an edit.

    Args:
        blocks: Of its lines.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = blocks
        changed = [block for block in blocks if not block.is_equal]
        self.before = [_tokens_of(block.before) for block in changed]
        self.after = [_tokens_of(block.after) for block in changed]
        stayed = [token for block in blocks if block.is_equal for token in _tokens_of(block.before)]
        self.num_stayed, self.chars_stayed = len(stayed), sum(map(len, stayed))
        self.removed, self.added = _removed_and_added(self.before, self.after)

    @cached_property
    def num_tokens(self) -> int:
        """Before and after together."""
        return 2 * self.num_stayed + sum(map(len, self.before)) + sum(map(len, self.after))

    @cached_property
    def num_chars(self) -> int:
        """Of all tokens before and after together."""
        return 2 * self.chars_stayed + sum(len(token) for part in (*self.before, *self.after) for token in part)

    @cached_property
    def chars_changed(self) -> int:
        """Of the tokens removed and added."""
        return sum(map(len, self.removed)) + sum(map(len, self.added))


def _tokens_of(lines: Sequence[str]) -> list[str]:
    return [token for line in lines for token in _TOKEN.findall(line)]


def _removed_and_added(before: Sequence[list[str]], after: Sequence[list[str]]) -> tuple[list[str], list[str]]:
    removed: list[str] = []
    added: list[str] = []
    for old, new in zip(before, after, strict=True):
        if max(len(old), len(new)) > MAX_COMPARED:
            removed += old
            added += new
            continue
        for tag, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
            if tag != "equal":
                removed += old[a:b]
                added += new[c:d]
    return removed, added


def edit_features(blocks: Sequence[Block], *, stops_parsing: bool) -> tuple[float, ...]:
    """All features of an edit but the last.

    Args:
        blocks: Of its lines.
        stops_parsing: Whether the code parsed before and no longer does.
    """
    edit = EditedTokens(blocks)
    num_lines = sum(len(block.before) for block in blocks)
    return tuple(map(float, (*_sizes(edit), *_kinds(edit), stops_parsing, num_lines)))


def _sizes(edit: EditedTokens) -> tuple[float, ...]:
    changed = [block for block in edit.blocks if not block.is_equal]
    num_changed = len(edit.removed) + len(edit.added)
    return (
        edit.chars_changed,
        edit.chars_changed / max(edit.num_chars, 1),
        1.0 - num_changed / max(edit.num_tokens, 1),
        len(edit.removed),
        len(edit.added),
        sum(len(block.before) for block in changed),
        sum(len(block.after) for block in changed),
        sum(min(len(block.before), len(block.after)) for block in changed),
        len(changed),
        not edit.added,
        not edit.removed,
    )


def _kinds(edit: EditedTokens) -> tuple[float, ...]:
    before, after = (Counter(token for part in parts for token in part) for parts in (edit.before, edit.after))
    calls = [Counter(name for part in parts for name in _calls_of(part)) for parts in (edit.before, edit.after)]
    checks = [sum(map(_num_null_checks, parts)) for parts in (edit.before, edit.after)]
    return (
        sum(after[word] - before[word] for word in sorted(_BRANCHES)),
        sum(after[word] - before[word] for word in sorted(_EXITS)),
        checks[1] - checks[0],
        _num_others(_only(before, _is_literal), _only(after, _is_literal)),
        _num_others(_only(before, _OPERATORS.fullmatch), _only(after, _OPERATORS.fullmatch)),
        _num_others(*calls),
    )


def _only(tokens: Counter[str], is_wanted: Any) -> Counter[str]:
    return Counter({token: count for token, count in tokens.items() if is_wanted(token)})


def _is_literal(token: str) -> bool:
    return token[0].isdigit() or (token[0] in "\"'" and len(token) > 1) or token in _WORD_LITERALS


def _num_others(before: Counter[str], after: Counter[str]) -> int:
    """How many were replaced, removed or added; one that only moved is none of these."""
    return max((before - after).total(), (after - before).total())


def _calls_of(tokens: Sequence[str]) -> list[str]:
    pairs = pairwise(tokens)
    return [name for name, then in pairs if then == "(" and name.isidentifier() and name not in _NOT_CALLED]


def _num_null_checks(tokens: Sequence[str]) -> int:
    pairs = pairwise(tokens)
    return sum({one, two} & _NULLS != set() and {one, two} & _COMPARISONS != set() for one, two in pairs)


def size_ranks(sizes: Sequence[float]) -> list[float]:
    """Of each candidate of a bug, the share of the others whose edit is smaller, ties counted by half; alone 0.5."""
    if len(sizes) == 1:
        return [0.5]
    ordered = sorted(sizes)
    smaller = [bisect_left(ordered, size) for size in sizes]
    as_large = [bisect_right(ordered, size) - below - 1 for size, below in zip(sizes, smaller, strict=True)]
    return [(below + ties / 2) / (len(sizes) - 1) for below, ties in zip(smaller, as_large, strict=True)]
