"""Whole groups dealt to train, val and test so that each gets its share of every label: counts in, splits out.

How far a deal is from the shares is a chi-squared: of each label (and of all functions) in each split the squared
difference from what its share would be, divided by that. Every split gets a group, and a function of each label,
before anything else counts. Few groups are dealt by trying all ways; many are dealt the largest first, each to the
split that it leaves nearest, and then moved or exchanged one by one as long as that helps.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SPLITS = ("train", "val", "test")
MAX_TRIED = 9
"""Groups up to which all ways are tried: 3 ** 9 of them."""
MAX_EXCHANGED = 120
"""Groups up to which exchanges of two are tried beside moves."""
MAX_STEPS = 400
EMPTY_COST = 1e12
"""Of a split without a group; without functions of one label: a thousandth."""

Counts = npt.NDArray[np.float64]
Deal = npt.NDArray[np.int64]


def deal_groups(counts: npt.NDArray[np.int64], shares: Sequence[float], order: npt.NDArray[np.int64]) -> Deal:
    """``(G,)`` the split of each group.

    Args:
        counts: ``(G, L)`` functions of each group by label, those without a label being one of them.
        shares: Of train, val and test; they add up to 1.
        order: ``(G,)`` the groups in the order that decides between equals.
    """
    table = _with_totals(counts[order])
    expected = np.outer(np.asarray(shares, dtype=np.float64), table.sum(axis=0))
    dealt = (
        _try_all(table, expected) if len(table) <= MAX_TRIED else _improved(table, expected, _dealt(table, expected))
    )
    split = np.empty(len(order), dtype=np.int64)
    split[order] = dealt
    return split


def deal_cost(counts: npt.NDArray[np.int64], shares: Sequence[float], split: Deal) -> float:
    """How far a deal is from the shares; 0 is exact."""
    table = _with_totals(counts)
    expected = np.outer(np.asarray(shares, dtype=np.float64), table.sum(axis=0))
    return float(_cost(_held(table, split)[None], expected)[0])


def _with_totals(counts: npt.NDArray[np.int64]) -> Counts:
    """``(G, L' + 2)``: labels that are there, all functions, and 1 for the group."""
    present = counts[:, counts.sum(axis=0) > 0]
    return np.column_stack([present, counts.sum(axis=1), np.ones(len(counts), np.int64)]).astype(np.float64)


def _held(table: Counts, split: Deal) -> Counts:
    """``(3, K)`` what each split has."""
    return np.stack([table[split == number].sum(axis=0) for number in range(len(SPLITS))])


def _cost(held: Counts, expected: Counts) -> Counts:
    """``(...,)`` costs of ``(..., 3, K)``; groups themselves need only be there."""
    squared = ((held - expected) ** 2 / expected)[..., :-1].sum(axis=(-1, -2))
    empty = (held[..., -1] == 0).sum(axis=-1)
    lacking = (held[..., :-2] == 0).sum(axis=(-1, -2))
    return np.asarray(squared + EMPTY_COST * empty + EMPTY_COST / 1000 * lacking)


def _try_all(table: Counts, expected: Counts) -> Deal:
    ways = np.array(list(itertools.product(range(len(SPLITS)), repeat=len(table))), dtype=np.int64)
    held = np.stack([(ways == number) @ table for number in range(len(SPLITS))], axis=1)
    best: Deal = ways[int(np.argmin(_cost(held, expected).round(9)))]
    return best


def _dealt(table: Counts, expected: Counts) -> Deal:
    """The largest first, each to the split that it leaves nearest to the shares."""
    split = np.zeros(len(table), dtype=np.int64)
    held = np.zeros_like(expected)
    for group in np.argsort(-table[:, -2], kind="stable").tolist():
        change = (2 * (held - expected) + table[group]) * table[group] / expected
        split[group] = number = int(np.argmin(change[:, :-1].sum(axis=1)))
        held[number] += table[group]
    return split


def _improved(table: Counts, expected: Counts, split: Deal) -> Deal:
    split = split.copy()
    cost = float(_cost(_held(table, split)[None], expected)[0])
    for _ in range(MAX_STEPS):
        found = [_best_move(table, expected, split)]
        if len(table) <= MAX_EXCHANGED:
            found.append(_best_exchange(table, expected, split))
        best, changed = min(found, key=lambda item: item[0])
        if best >= cost - 1e-9:
            break
        split, cost = changed, best
    return split


def _best_move(table: Counts, expected: Counts, split: Deal) -> tuple[float, Deal]:
    """The cheapest deal in which one group is in another split."""
    held, groups = _held(table, split), np.arange(len(table))
    best = (np.inf, split)
    for target in range(len(SPLITS)):
        after = np.repeat(held[None], len(table), axis=0)
        after[groups, split] -= table
        after[:, target] += table
        costs = _cost(after, expected)
        group = int(np.argmin(costs))
        if costs[group] < best[0]:
            changed = split.copy()
            changed[group] = target
            best = (float(costs[group]), changed)
    return best


def _best_exchange(table: Counts, expected: Counts, split: Deal) -> tuple[float, Deal]:
    """The cheapest deal in which two groups have changed places."""
    held = _held(table, split)
    left, right = np.triu_indices(len(table), 1)
    apart = split[left] != split[right]
    left, right = left[apart], right[apart]
    if not len(left):
        return np.inf, split
    rows = np.arange(len(left))
    after = np.repeat(held[None], len(left), axis=0)
    after[rows, split[left]] += table[right] - table[left]
    after[rows, split[right]] += table[left] - table[right]
    costs = _cost(after, expected)
    best = int(np.argmin(costs))
    changed = split.copy()
    changed[left[best]], changed[right[best]] = split[right[best]], split[left[best]]
    return float(costs[best]), changed
