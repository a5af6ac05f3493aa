"""Labels of jobs that differ by seed or fold alone, said as one: ``gnn_s1`` to ``gnn_s5`` are "gnn, seeds 1–5".

The numbers are those that ``models.jobs.layout.label_of`` writes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

NUMBER = re.compile(r"_(s|without_fold)(\d+)(?=_|$)")
DATE = re.compile(r"_\d{8}$")
SPOKEN = {"s": "seeds {}", "without_fold": "folds {} left out"}


def shape_of(label: str) -> str:
    """The label without date, seed and fold: equal for jobs of one step."""
    return NUMBER.sub(r"_\1#", undated(label))


def undated(label: str) -> str:
    """The label as it was before a run directory was named after it."""
    return DATE.sub("", label)


def varying(labels: Collection[str]) -> dict[str, list[int]]:
    """Seeds and folds by what they are called in labels, where they are not the same in all."""
    found: dict[str, set[int]] = {}
    for label in labels:
        for name, number in NUMBER.findall(undated(label)):
            found.setdefault(name, set()).add(int(number))
    return {name: sorted(numbers) for name, numbers in found.items() if len(numbers) > 1}


def without(label: str, names: Collection[str]) -> str:
    """The label without its date and the numbers that are called so."""
    return NUMBER.sub(lambda found: "" if found[1] in names else found[0], undated(label))


def joined(labels: Sequence[str]) -> str:
    """One label for jobs of one step."""
    differing = varying(labels)
    return ", ".join([without(labels[0], differing), *spoken(differing)])


def spoken(differing: dict[str, list[int]]) -> list[str]:
    """``seeds 1–5`` and the like."""
    return [SPOKEN[name].format(_range(numbers)) for name, numbers in differing.items()]


def _range(numbers: Sequence[int]) -> str:
    first, last = numbers[0], numbers[-1]
    if last - first == len(numbers) - 1:
        return f"{first}–{last}"
    return ", ".join(map(str, numbers))
