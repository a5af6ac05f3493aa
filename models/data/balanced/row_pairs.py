"""Pairs of rows that do the same, and triples with a row that does something else: row numbers in, ids out.

A row begins at most ``pairs_per_sample`` pairs with others of the same match and split, in other files where there are
any; each of its variants is one more pair with it. A triple is made of each pair: the row that does something else is
the other side of the same fix where there is one (the hardest to tell), else one in the language of the positive that
is no near copy of either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from models.data.balanced.likeness import Likeness
from models.data.balanced.spool import UNKNOWN, Facts

MAX_LOOKED_AT = 64
"""Other rows of a match that are looked at for each anchor: matches of thousands stay linear."""
MAX_DRAWN = 16
SAME, AUGMENTED = "match", "augmented"


class RowPair(NamedTuple):
    """Two rows that do the same.

    Args:
        anchor: Row number.
        positive: Row number; equal to ``anchor`` for a variant of it.
        variant: Id of the variant that is the positive; ``None`` for a pair of originals.
    """

    anchor: int
    positive: int
    variant: str | None = None

    @property
    def kind(self) -> str:
        """Where the pair comes from."""
        return SAME if self.variant is None else AUGMENTED


class Negatives:
    """Finds a row of a split that does something else.

    Args:
        facts: Of all samples.
        rows: Row numbers of the split.
        seed: Decides which of many.
        likeness: Which rows are too much alike, whatever their matches.
    """

    def __init__(self, facts: Facts, rows: Sequence[int], seed: int, likeness: Likeness) -> None:
        self._likeness = likeness
        self._facts, self._rows, self._seed = facts, rows, seed
        self._of_language: dict[int, list[int]] = {}
        sides: dict[int, list[int]] = {}
        for row in rows:
            self._of_language.setdefault(facts.languages[row], []).append(row)
            if facts.hints[row] != UNKNOWN:
                sides.setdefault(facts.hints[row], []).append(row)
        self._sides = {hint: members for hint, members in sides.items() if len(members) > 1}

    def other_side(self, row: int) -> int | None:
        """The other side of the same fix, unless it does the same."""
        sides = self._sides.get(self._facts.hints[row], ())
        same = self._likeness.do_the_same
        return next((other for other in sides if other != row and not same(row, other)), None)

    def find(self, pair: RowPair) -> int | None:
        """A row that does something else than the pair; ``None`` where there is none."""
        side = self.other_side(pair.anchor)
        if side is not None:
            return side
        same_language = self._of_language[self._facts.languages[pair.positive]]
        found = self._drawn(pair, same_language)
        return found if found is not None else self._drawn(pair, self._rows)

    def _drawn(self, pair: RowPair, rows: Sequence[int]) -> int | None:
        name = f"{self._seed}:negative:{self._facts.ids[pair.anchor]}:{self._facts.ids[pair.positive]}:{pair.variant}"
        for number in range(MAX_DRAWN):
            digest = hashlib.sha256(f"{name}:{number}".encode()).digest()
            row = rows[int.from_bytes(digest[:8], "big") % len(rows)]
            if self._differ(pair, row):
                return row
        return next((row for row in rows if self._differ(pair, row)), None)

    def _differ(self, pair: RowPair, row: int) -> bool:
        """Whether a row is none of the pair, and neither does the same as one nor is a near copy of it."""
        alike = self._likeness
        return not any(
            row == other or alike.do_the_same(other, row) or alike.near_copies(other, row)
            for other in {pair.anchor, pair.positive}
        )


def pairs_of(
    facts: Facts, rows: Sequence[int], variants: Mapping[int, Sequence[str]], *, per_sample: int, seed: int
) -> Iterator[RowPair]:
    """The pairs of a split: those of originals by match, then those with variants.

    Args:
        facts: Of all samples.
        rows: Row numbers of the split.
        variants: Ids of the variants of a row.
        per_sample: Pairs of originals that a row begins at most.
        seed: Decides which of many.
    """
    members: dict[int, list[int]] = {}
    for row in rows:
        if facts.matches[row] != UNKNOWN:
            members.setdefault(facts.matches[row], []).append(row)
    for same in members.values():
        yield from _pairs_of_match(facts, same, per_sample, seed)
    for row in rows:
        yield from (RowPair(row, row, variant) for variant in variants.get(row, ()))


def _pairs_of_match(facts: Facts, rows: list[int], per_sample: int, seed: int) -> Iterator[RowPair]:
    """Rows stand in a ring in random order, and each begins pairs with the next ones: all are positives alike often."""
    ring = sorted(rows, key=lambda row: hashlib.sha256(f"{seed}:pairs:{facts.ids[row]}".encode()).digest())
    done: set[tuple[int, int]] = set()
    for place, anchor in enumerate(ring):
        others = [ring[(place + step) % len(ring)] for step in range(1, min(len(ring), MAX_LOOKED_AT + 1))]
        others.sort(key=lambda row: facts.files[row] == facts.files[anchor])  # stable: other files first
        for positive in others[:per_sample]:
            key = (min(anchor, positive), max(anchor, positive))
            if key not in done:
                done.add(key)
                yield RowPair(anchor, positive)
