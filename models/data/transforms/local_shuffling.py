"""``shuffle_tokens_local``: neighbours that do not depend on each other change places.

The window is two: the operands of an operator that does not ask which comes first, where both are plain names or whole
numbers, and two declarations in a row that each give one name a constant. Nothing that could have an effect moves.
"""

from __future__ import annotations

import re
from itertools import pairwise

from models.data.languages.syntax import COMMUTATIVE, Operators
from models.data.transforms.edits import Changes, Swap
from models.data.transforms.places import MASK, Places, Range

NAME = "shuffle_tokens_local"
_WHOLE_NUMBER = re.compile(rb"(?:0[xX][0-9a-fA-F]+|[0-9]+)[uUlL]*")
_OPERATION = re.compile(rb"([\w$\x80-\xff]+)\s*([*&|^=!+]+)\s*([\w$\x80-\xff]+)")
"""Two plain operands; a number with a fraction has a dot."""
_CONSTANT = re.compile(
    rb"""[^=,()]*?([A-Za-z_$\x80-\xff][\w$\x80-\xff]*)\s*:?=\s*"""
    rb"""(?:[0-9.][\w.]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|true|false|null|True|False|None)\s*;?"""
)
"""The query may give more: it tells what a declaration begins like before it has seen all of it."""


def shuffled_locally(places: Places, seed: int, probability: float) -> Changes:
    """Exchange neighbours; see the module.

    Args:
        places: What stands where in the text.
        seed: Of the choices.
        probability: Of each pair that could change places.
    """
    if not places.has("operation") and not places.has("constant"):
        return Changes()
    choices = places.choices(NAME, seed)
    operators = COMMUTATIVE[places.language]
    swaps = []
    for begin, end in choices.some(places.ranges("operation"), probability):
        match = _OPERATION.fullmatch(places.content, begin, end)
        if match is not None and places.masked[begin] != MASK and _commutes(places, operators, match):
            swaps.append(Swap(*match.span(1), *match.span(3)))
    at = 0
    for first, second in pairwise(places.ranges("constant")):
        if first[0] >= at and choices.chance(probability) and _exchangeable(places, first, second):
            swaps.append(Swap(*first, *second))
            at = second[1]
    return Changes(swaps=swaps)


def _commutes(places: Places, operators: Operators, operation: re.Match[bytes]) -> bool:
    """Whether the operator does not ask which operand comes first."""
    left, operator, right = operation.groups()
    names = [text for text in (left, right) if not text[:1].isdigit()]
    numbers = [text for text in (left, right) if text[:1].isdigit()]
    if operator not in operators.free and not (operator in operators.with_number and numbers):
        return False
    return left != right and all(map(_WHOLE_NUMBER.fullmatch, numbers)) and _are_values(places, operators, names)


def _are_values(places: Places, operators: Operators, names: list[bytes]) -> bool:
    """Whether names are no macros, and in C++ of no class."""
    if not operators.only_local:
        return True
    if any(name not in places.declared or name == name.upper() for name in names):
        return False
    return not operators.only_primitive or places.primitive.issuperset(names)


def _exchangeable(places: Places, first: Range, second: Range) -> bool:
    """Whether two declarations of constants stand in a row, name different things and end alike.

    They must end alike because what follows a missing semicolon matters.
    """
    between = places.content[first[1] : second[0]]
    if between.strip(b" \t\r\n") or places.masked[first[0]] == MASK:
        return False
    a, b = (places.content[begin:end] for begin, end in (first, second))
    names = [_CONSTANT.fullmatch(text) for text in (a, b)]
    if names[0] is None or names[1] is None or names[0][1] == names[1][1]:
        return False
    return a.endswith(b";") == b.endswith(b";") and (a.endswith(b";") or b"\n" in between)
