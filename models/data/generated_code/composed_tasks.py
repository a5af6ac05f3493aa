"""Tasks put together from parts, as ``tasks`` reads them: a few shapes of loops, each with many conditions and steps.

Tasks of one shape differ in a condition or a step alone: which two functions do the same is then not to be seen by
their outline.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from itertools import product

_FOLD = """
def fold_{name}(xs: list, limit: int) -> int:
    if limit < 1:
        return -1
    total = {start}
    for i in range(0, upto(len(xs))):
        if {condition}:
            total = {step}
    return total
"""
_CONDITIONS = {
    "above": "xs[i] > limit",
    "below": "xs[i] < limit",
    "divisible": "xs[i] % limit == 0",
    "odd": "xs[i] % 2 == 1",
    "at_even_places": "i % 2 == 0",
}
_STEPS = {
    "sum": ("0", "total + xs[i]"),
    "squares": ("0", "total + xs[i] * xs[i]"),
    "count": ("0", "total + 1"),
    "places": ("0", "total + i"),
    "hash": ("17", "(total * 31 + xs[i]) % 65521"),
    "xor": ("0", "total ^ xs[i]"),
}
_PAIR = """
def pair_{name}(xs: list, ys: list, bound: int) -> int:
    with guard:
        if len(xs) != len(ys):
            return -1
    found = 0
    for i in range(0, len(xs)):
        if {condition}:
            found = {step}
    return found
"""
_PAIR_CONDITIONS = {
    "first_larger": "xs[i] > ys[i]",
    "equal": "xs[i] == ys[i]",
    "sum_within": "xs[i] + ys[i] <= bound",
    "far_apart": "xs[i] - ys[i] > bound or ys[i] - xs[i] > bound",
}
_PAIR_STEPS = {
    "products": "found + xs[i] * ys[i]",
    "differences": "found + xs[i] - ys[i]",
    "count": "found + 1",
    "last": "i",
}
_DIGITS = """
def digits_{name}(n: int, base: int) -> int:
    with guard:
        if n < 0 or base < 2:
            return 0
    result = {start}
    while n > 0:
        digit = n % base
        if {condition}:
            result = {step}
        n = n // base
    return result
"""
_DIGIT_CONDITIONS = {"even": "digit % 2 == 0", "nonzero": "digit != 0", "small": "digit * 2 < base"}
_DIGIT_STEPS = {
    "sum": ("0", "result + digit"),
    "product": ("1", "result * digit % 65521"),
    "count": ("0", "result + 1"),
    "reversed": ("0", "result * base + digit"),
    "xor": ("0", "result ^ digit"),
}
_CHANGE = """
def change_{name}(xs: list, by: int) -> None:
    if by == 0:
        return
    for i in range(0, upto(len(xs))):
        if {condition}:
            xs[i] = {step}
"""
_CHANGE_CONDITIONS = {"negative": "xs[i] < 0", "over": "xs[i] > by", "not_divisible": "xs[i] % by != 0"}
_CHANGE_STEPS = {"add": "xs[i] + by", "scale": "xs[i] * by", "clear": "0", "cap": "by"}


def _composed(shape: str, conditions: Mapping[str, str], steps: Mapping[str, str | tuple[str, str]]) -> str:
    texts = []
    for (condition, test), (what, step) in product(conditions.items(), steps.items()):
        start, change = step if isinstance(step, tuple) else ("0", step)
        texts.append(shape.format(name=f"{what}_{condition}", condition=test, start=start, step=change))
    return "".join(texts)


SOURCE = (
    _composed(_FOLD, _CONDITIONS, _STEPS)
    + _composed(_PAIR, _PAIR_CONDITIONS, _PAIR_STEPS)
    + _composed(_DIGITS, _DIGIT_CONDITIONS, _DIGIT_STEPS)
    + _composed(_CHANGE, _CHANGE_CONDITIONS, _CHANGE_STEPS)
)
COMPOSED_TASKS: dict[str, ast.FunctionDef] = {
    node.name: node for node in ast.parse(SOURCE).body if isinstance(node, ast.FunctionDef)
}
"""The tasks by name."""
