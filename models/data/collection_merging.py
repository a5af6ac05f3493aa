"""Which rows may train and why the others may not, over everything that was collected.

Rows hang together by commit and by exact and near copies, through each other too. A training row that hangs together
with a row of validation, test or pairs would let a model see what it is measured on, so it goes; nothing of those
three ever goes. What is left of the collections loses its copies, and what contradicts the clean data or itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Literal, NamedTuple

from models.data.duplicates import Links
from models.data.joined_groups import joined_groups

Place = Literal["clean", "collected", "valid", "test", "pairs"]
TRAINING: tuple[Place, ...] = ("clean", "collected")
HELD_OUT: tuple[Place, ...] = ("test", "valid", "pairs")
"""What no training row may hang together with; the first that applies is named as the reason."""


class MergeRow(NamedTuple):
    """What decides about a row.

    Args:
        place: Clean or collected training data, or what is held out.
        label: 0 or 1.
        commit: ``commit_keys.commit_key``.
    """

    place: Place
    label: int
    commit: str


class Drop(NamedTuple):
    """Why a row may not train.

    Args:
        reason: One word from a fixed set, such as ``near_copy_of_test``.
        twin: Number of the row that speaks against it.
    """

    reason: str
    twin: int


class Overlap(NamedTuple):
    """What two held-out sets share.

    Args:
        exact_copies: Rows of the first with an exact copy in the second.
        near_copies: Other rows of the first with a near copy there.
        commits: Commits that both have rows of.
    """

    exact_copies: int
    near_copies: int
    commits: int


@dataclass(frozen=True)
class Merged:
    """What comes of all rows.

    Args:
        drops: By row number; all other rows stay.
        near_conflicts: Collected rows that stay although a near copy with the other label stays too, as before and
            after a fix.
        clean_through_collected: Clean rows that go only because collected rows tie them to what is held out; without
            the collections they would train.
        held_out_overlaps: What held-out sets share with each other, such as ``valid_test``; these rows all stay.
    """

    drops: dict[int, Drop]
    near_conflicts: list[int]
    clean_through_collected: list[int] = field(default_factory=list)
    held_out_overlaps: dict[str, Overlap] = field(default_factory=dict)


@dataclass(frozen=True)
class _Copies:
    """Rows by text, a text being named by the number of its first row.

    Args:
        text: Per row.
        near: Per text those that are near copies of it.
    """

    text: list[int]
    near: Mapping[int, list[int]]

    def near_to(self, row: int) -> Sequence[int]:
        return self.near.get(self.text[row], ())


def merge(rows: Sequence[MergeRow], links: Links) -> Merged:
    """Decide which rows stay.

    Args:
        rows: All rows, the collected ones last; of collected copies the first in this order stays.
        links: Exact and near copies among them.
    """
    copies = _copies_of(len(rows), links)
    hanging = [*links.exact, *links.near, *_commit_links(rows)]
    leaks = _leaks(rows, copies, joined_groups(len(rows), hanging))
    return replace(
        _without_copies(rows, copies, leaks),
        clean_through_collected=_only_through_collected(rows, hanging, leaks),
        held_out_overlaps=_overlaps(rows, copies),
    )


def _copies_of(num_rows: int, links: Links) -> _Copies:
    text = list(range(num_rows))
    for first, copy in links.exact:
        text[copy] = first
    near: defaultdict[int, list[int]] = defaultdict(list)
    for left, right in links.near:
        near[left].append(right)
        near[right].append(left)
    return _Copies(text, near)


def _commit_links(rows: Sequence[MergeRow]) -> Iterator[tuple[int, int]]:
    first: dict[str, int] = {}
    for at, row in enumerate(rows):
        if row.commit and first.setdefault(row.commit, at) != at:
            yield first[row.commit], at


def _leaks(rows: Sequence[MergeRow], copies: _Copies, components: Sequence[int]) -> dict[int, Drop]:
    texts: dict[tuple[Place, int], int] = {}
    commits: dict[tuple[Place, str], int] = {}
    joined: dict[tuple[Place, int], int] = {}
    for at, row in enumerate(rows):
        texts.setdefault((row.place, copies.text[at]), at)
        joined.setdefault((row.place, components[at]), at)
        if row.commit:
            commits.setdefault((row.place, row.commit), at)

    def reasons(at: int) -> Iterator[tuple[str, int | None]]:
        for place in HELD_OUT:
            yield f"exact_copy_of_{place}", texts.get((place, copies.text[at]))
        for place in HELD_OUT:
            yield f"near_copy_of_{place}", _first(texts.get((place, text)) for text in copies.near_to(at))
        for place in HELD_OUT:
            yield f"commit_in_{place}", commits.get((place, rows[at].commit))
        for place in HELD_OUT:
            yield f"linked_to_{place}", joined.get((place, components[at]))

    training = (at for at, row in enumerate(rows) if row.place in TRAINING)
    return {at: drop for at in training if (drop := _first_reason(reasons(at))) is not None}


def _only_through_collected(
    rows: Sequence[MergeRow], hanging: Iterable[tuple[int, int]], leaks: Iterable[int]
) -> list[int]:
    """Clean rows among ``leaks`` that hang together with no held-out row once the collected rows are away.

    Collected rows come last and links begin at the first row of a text or commit, so no link between others is lost.
    """
    clean = [at for at in leaks if rows[at].place == "clean"]
    others = [link for link in hanging if all(rows[at].place != "collected" for at in link)]
    components = joined_groups(len(rows), others)
    held_out = {components[at] for at, row in enumerate(rows) if row.place in HELD_OUT}
    return [at for at in clean if components[at] not in held_out]


def _overlaps(rows: Sequence[MergeRow], copies: _Copies) -> dict[str, Overlap]:
    numbers: dict[Place, list[int]] = {place: [] for place in HELD_OUT}
    for at, row in enumerate(rows):
        if row.place in HELD_OUT:
            numbers[row.place].append(at)
    return {
        f"{first}_{second}": _overlap(rows, copies, numbers[first], numbers[second])
        for first, second in combinations(reversed(HELD_OUT), 2)
        if numbers[first] and numbers[second]
    }


def _overlap(rows: Sequence[MergeRow], copies: _Copies, first: Sequence[int], second: Sequence[int]) -> Overlap:
    texts = {copies.text[at] for at in second}
    exact = [at for at in first if copies.text[at] in texts]
    near = [at for at in first if copies.text[at] not in texts and not texts.isdisjoint(copies.near_to(at))]
    commits = [{rows[at].commit for at in numbers} - {""} for numbers in (first, second)]
    return Overlap(len(exact), len(near), len(commits[0] & commits[1]))


def _without_copies(rows: Sequence[MergeRow], copies: _Copies, leaks: Mapping[int, Drop]) -> Merged:
    clean: dict[tuple[int, int], int] = {}
    collected: dict[tuple[int, int], int] = {}
    for at, row in enumerate(rows):
        if at not in leaks and row.place in TRAINING:
            (clean if row.place == "clean" else collected).setdefault((copies.text[at], row.label), at)
    kept: dict[tuple[int, int], int] = {}

    def reasons(at: int) -> Iterator[tuple[str, int | None]]:
        """The clean data are asked first, exact copies before near ones, and what agrees before what contradicts."""
        text, near, label, other = copies.text[at], copies.near_to(at), rows[at].label, 1 - rows[at].label
        yield "exact_copy_of_clean", clean.get((text, label))
        yield "conflicts_with_clean", clean.get((text, other))
        yield "near_copy_of_clean", _first(clean.get((twin, label)) for twin in near)
        yield "conflicts_with_clean", _first(clean.get((twin, other)) for twin in near)
        yield "contradictory", collected.get((text, other))
        yield "exact_copy", kept.get((text, label))
        yield "near_copy", _first(kept.get((twin, label)) for twin in near)

    drops = dict(leaks)
    for at, row in enumerate(rows):
        if at in leaks or row.place != "collected":
            continue
        if (drop := _first_reason(reasons(at))) is not None:
            drops[at] = drop
        else:
            kept[copies.text[at], row.label] = at
    near_conflicts = [
        at for (_, label), at in kept.items() if any((twin, 1 - label) in kept for twin in copies.near_to(at))
    ]
    return Merged(drops, near_conflicts)


def _first_reason(reasons: Iterable[tuple[str, int | None]]) -> Drop | None:
    return next((Drop(reason, twin) for reason, twin in reasons if twin is not None), None)


def _first(found: Iterable[int | None]) -> int | None:
    return min((row for row in found if row is not None), default=None)
