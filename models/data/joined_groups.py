"""Rows that belong together, through others too: the connected components of links between rows."""

from __future__ import annotations

from collections.abc import Iterable


def joined_groups(num_rows: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """For each row the smallest row number of its component (union-find with path halving).

    Args:
        num_rows: Rows; a row without a link is alone.
        links: Pairs of row numbers in [0, num_rows), in any order and as often as one likes.
    """
    first = list(range(num_rows))

    def find(row: int) -> int:
        while first[row] != row:
            first[row] = row = first[first[row]]
        return row

    for left, right in links:
        a, b = find(left), find(right)
        first[max(a, b)] = min(a, b)
    return [find(row) for row in range(num_rows)]
