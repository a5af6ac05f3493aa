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
_NAME = re.compile(rb"[A-Za-z_$\x80-\xff][\w$\x80-\xff]*")
_NAME_OF_CONSTANT = re.compile(rb"([A-Za-z_$\x80-\xff][\w$\x80-\xff]*)\s*:?=")


def shuffled_locally(places: Places, seed: int, probability: float) -> Changes:
    """Exchange neighbours; see the module.

    Args:
        places: What stands where in the text.
        seed: Of the choices.
        probability: Of each pair that could change places.
    """
    if not places.has("operation") and not places.has("constant"):
        return Changes()
    draw = places.draw(NAME, seed)
    operators = COMMUTATIVE[places.language]
    swaps = []
    for operation in places.nodes("operation"):
        if draw.chance(probability):
            left, right = operation.children[0], operation.children[-1]
            swap = Swap(left.start_byte, left.end_byte, right.start_byte, right.end_byte)
            if _commutes(places, operators, swap):
                swaps.append(swap)
    at = 0
    for first, second in pairwise(places.ranges("constant")):
        if first[0] >= at and draw.chance(probability) and _exchangeable(places, first, second):
            swaps.append(Swap(*first, *second))
            at = second[1]
    return Changes(swaps=swaps)


def _commutes(places: Places, operators: Operators, swap: Swap) -> bool:
    """Whether the operator between does not ask which operand comes first, and both are plain."""
    operator = places.content[swap.first_end : swap.second].strip()
    operands = [places.content[swap.first : swap.first_end], places.content[swap.second : swap.second_end]]
    names = [text for text in operands if not _WHOLE_NUMBER.fullmatch(text)]
    if operator not in operators.free and not (operator in operators.with_number and len(names) < len(operands)):
        return False
    if operands[0] == operands[1] or places.masked[swap.first] == MASK:
        return False
    return all(map(_NAME.fullmatch, names)) and _are_values(places, operators, names)


def _are_values(places: Places, operators: Operators, names: list[bytes]) -> bool:
    """Whether names are no macros, and in C++ of no class."""
    if not operators.only_local:
        return True
    if any(name not in places.declared or name == name.upper() for name in names):
        return False
    return not operators.only_primitive or _primitive_names(places).issuperset(names)


def _primitive_names(places: Places) -> set[bytes]:
    """Names that are declared with types of the language only."""
    primitive = set(places.texts("primitive"))
    return {name for name, _ in primitive} - {
        name for place, name in places.declarations if (name, place) not in primitive
    }


def _exchangeable(places: Places, first: Range, second: Range) -> bool:
    """Whether two declarations of constants stand in a row, name different things and end alike.

    They must end alike because what follows a missing semicolon matters.
    """
    between = places.content[first[1] : second[0]]
    if between.strip(b" \t\r\n") or places.masked[first[0]] == MASK:
        return False
    a, b = (places.content[begin:end] for begin, end in (first, second))
    names = [_NAME_OF_CONSTANT.search(text) for text in (a, b)]
    if names[0] is None or names[1] is None or names[0][1] == names[1][1]:
        return False
    return a.endswith(b";") == b.endswith(b";") and (a.endswith(b";") or b"\n" in between)
