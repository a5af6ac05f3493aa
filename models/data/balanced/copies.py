"""Which samples are kept where one text is there more than once.

Of copies (white space apart) the first that is labelled is kept, else the first; where it has no task or no fix of its
own, it takes over that of the first copy that has one. A text of several tasks has the match of the first of them in
this order; the others are kept beside it (``tasks``), so that what does any of them is never taken for something else.
All ties of all copies join groups (``grouping``), also of those that are left out here. A text that is labelled both
ways has no label that a model could learn: all its copies are left out, and counted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.data.balanced.spool import UNKNOWN, Facts

Rows = npt.NDArray[np.int64]
MAX_SHOWN = 20


class KeptRows(NamedTuple):
    """What is left of the rows.

    Args:
        rows: Row numbers that are kept, growing.
        num_copies: Rows left out as copies of one that is kept.
        num_conflicting_rows: Rows left out as their text is labelled both ways.
        conflicts: The first of such texts, the ids of each.
        num_conflicts: Such texts.
        tasks: All matches of each row that is kept and whose copies name several.
    """

    rows: Rows
    num_copies: int
    num_conflicting_rows: int
    conflicts: list[list[str]]
    num_conflicts: int
    tasks: dict[int, frozenset[int]]


def without_copies(facts: Facts) -> KeptRows:
    """One row for each text that is not labelled both ways."""
    rows_of: dict[bytes, list[int]] = {}
    for row, digest in enumerate(facts.digests):
        rows_of.setdefault(digest, []).append(row)
    kept, conflicts, num_conflicts, num_conflicting_rows = [], [], 0, 0
    tasks: dict[int, frozenset[int]] = {}
    for rows in rows_of.values():
        if len({facts.labels[row] for row in rows} - {UNKNOWN}) > 1:
            num_conflicts += 1
            num_conflicting_rows += len(rows)
            conflicts.append([facts.ids[row] for row in rows[:MAX_SHOWN]])
            del conflicts[MAX_SHOWN:]
            continue
        kept.append(_chosen(facts, rows))
        named = frozenset(facts.matches[row] for row in rows) - {UNKNOWN}
        if len(named) > 1:
            tasks[kept[-1]] = named
    return KeptRows(
        rows=np.array(sorted(kept), dtype=np.int64),
        num_copies=len(facts) - len(kept) - num_conflicting_rows,
        num_conflicting_rows=num_conflicting_rows,
        conflicts=conflicts,
        num_conflicts=num_conflicts,
        tasks=tasks,
    )


def _chosen(facts: Facts, rows: list[int]) -> int:
    chosen = next((row for row in rows if facts.labels[row] != UNKNOWN), rows[0])
    for ties in (facts.matches, facts.hints):
        if ties[chosen] == UNKNOWN:
            ties[chosen] = next((ties[row] for row in rows if ties[row] != UNKNOWN), UNKNOWN)
    return chosen
