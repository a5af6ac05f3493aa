"""Rows that are too much alike for one to be the wrong answer to the other, though their matches differ.

Two kinds: texts of which copies name several tasks, and near copies. Near copies that do the same as nothing else are
given one match; those across different given tasks keep what was given, are counted, and are never each other's
negatives.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.data.balanced.grouping import NearCopies
from models.data.balanced.spool import UNKNOWN, Facts


class Likeness:
    """Tells rows that are alike.

    Args:
        facts: Of all samples.
        tasks: All matches of a row whose copies name several; other rows are not in it.
        near: Near copies among the rows.
    """

    def __init__(self, facts: Facts, tasks: Mapping[int, frozenset[int]], near: NearCopies) -> None:
        self._matches, self._tasks, self._num_rows = facts.matches, tasks, len(facts)
        self._first_of = {later: first for first, later in near.exact}
        self._near = np.unique([self._number(left, right) for left, right in near.near])  # 8 bytes a pair

    def do_the_same(self, left: int, right: int) -> bool:
        """Whether they match, through any task of their copies."""
        matches = self._matches[left], self._matches[right]
        if matches[0] != UNKNOWN and matches[0] == matches[1]:
            return True
        return matches[1] in self._tasks.get(left, ()) or matches[0] in self._tasks.get(right, ())

    def near_copies(self, left: int, right: int) -> bool:
        """Whether their tokens are the same or nearly so."""
        first, second = (self._first_of.get(row, row) for row in (left, right))
        number = self._number(first, second)
        place = int(np.searchsorted(self._near, number))
        return first == second or (place < len(self._near) and int(self._near[place]) == number)

    def _number(self, left: int, right: int) -> int:
        return min(left, right) * self._num_rows + max(left, right)


def num_across_tasks(facts: Facts, near: NearCopies) -> int:
    """Pairs of near copies that are given different tasks; to be asked before ``share_matches``."""
    matches = facts.matches
    return sum(UNKNOWN not in (matches[a], matches[b]) and matches[a] != matches[b] for a, b in near.links)


def share_matches(facts: Facts, near: NearCopies) -> int:
    """Give near copies that have no match one of their own: the id of the first of them.

    A vulnerable and a safe one stay apart: such are the two sides of a fix, of which one is the hardest negative of the
    other.

    Returns:
        Rows that share one now.
    """
    first_of: dict[int, int] = {}
    labels: dict[int, int] = {}

    def find(row: int) -> int:
        while (above := first_of.setdefault(row, row)) != row:
            first_of[row] = row = first_of.setdefault(above, above)
        return row

    for left, right in sorted(near.links):
        if facts.matches[left] != UNKNOWN or facts.matches[right] != UNKNOWN:
            continue
        a, b = find(left), find(right)
        label, other = labels.get(a, facts.labels[a]), labels.get(b, facts.labels[b])
        if a != b and (label == other or UNKNOWN in (label, other)):
            first_of[max(a, b)] = min(a, b)
            labels[min(a, b)] = max(label, other)
    shared: dict[int, list[int]] = {}
    for row in sorted(first_of):
        shared.setdefault(find(row), []).append(row)
    several = {first: rows for first, rows in shared.items() if len(rows) > 1}
    for first, rows in several.items():
        number = facts.match_names.number(facts.ids[first])
        for row in rows:
            facts.matches[row] = number
    return sum(map(len, several.values()))
