"""What is never divided between splits: repositories or files, joined with copies and with what does the same.

Ties (the two sides of a fix, an equal match) join through all samples, also through copies that no split keeps: two
tasks that share a text, and two fixes that share a side, are one group. A copy that is left out does not tie its file
or repository to that of the one that is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Literal, NamedTuple

from models.data.balanced.copies import Rows
from models.data.balanced.spool import UNKNOWN, Facts, Spool
from models.data.duplicates import DuplicateSearch, Links
from models.data.job_progress import Progress
from models.data.joined_groups import joined_groups
from models.jobs.contract import JobContext


class NearCopies(NamedTuple):
    """Rows that are nearly the same, as pairs of row numbers.

    Args:
        exact: Each row whose tokens came before, behind the first that had them.
        near: Near copies, the first row of each of the two texts.
        complete: False where one text has so many like it that not all pairs were looked at.
    """

    exact: list[tuple[int, int]]
    near: list[tuple[int, int]]
    complete: bool

    @property
    def links(self) -> list[tuple[int, int]]:
        """Both kinds."""
        return [*self.exact, *self.near]


def find_near_copies(spool: Spool, rows: Rows, similarity: float, context: JobContext) -> NearCopies:
    """Rows whose tokens are the same or nearly so.

    Args:
        spool: The samples.
        rows: Row numbers to search among.
        similarity: Estimated Jaccard similarity of three-token shingles from which two are near copies.
        context: Is told of progress, and may ask to leave.

    Raises:
        Interrupted: the job was asked to stop. Retried.
    """
    search, progress = DuplicateSearch(similarity), Progress(context, len(rows), "functions")
    for _, sample in spool.read(rows.tolist()):
        context.leave_if_asked(progress.done)
        progress.step(1)
        search.add("", "", "", 0, _searched(sample.code, sample.language))
    found: Links = search.links()
    exact, near = ([(int(rows[a]), int(rows[b])) for a, b in links] for links in (found.exact, found.near))
    return NearCopies(exact, near, found.complete)


def _searched(code: str, language: str) -> str:
    """The text as the search reads it: to that ``//`` begins a comment, which is a division in Python."""
    return code.replace("//", "/ /") if language == "python" else code


def join(facts: Facts, rows: Rows, near: NearCopies, by: Literal["repository", "file"]) -> list[int]:
    """For each of ``rows`` the place (in ``rows``) of the first one in its group."""
    whole = _equal(facts.repos if by == "repository" else facts.files, rows.tolist())
    everywhere = range(len(facts))
    ties = (_equal(numbers, everywhere) for numbers in (facts.matches, facts.hints, facts.digests))
    joined = joined_groups(len(facts), chain(whole, *ties, near.links))
    first_place: dict[int, int] = {}
    return [first_place.setdefault(joined[row], place) for place, row in enumerate(rows.tolist())]


def _equal(values: Sequence[int] | Sequence[bytes], rows: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Each row that shares its value with an earlier one, with the first of them; ``UNKNOWN`` ones share nothing."""
    first: dict[int | bytes, int] = {}
    for row in rows:
        value = values[row]
        if value != UNKNOWN and first.setdefault(value, row) != row:
            yield first[value], row
