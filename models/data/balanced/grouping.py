"""What is never divided between splits: repositories or files, joined with copies and with what does the same."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Literal, NamedTuple

from models.data.balanced.copies import Rows
from models.data.balanced.spool import UNKNOWN, Facts, Spool
from models.data.duplicates import DuplicateSearch, Links
from models.data.job_progress import Progress
from models.data.joined_groups import joined_groups
from models.jobs.contract import JobContext


class NearCopies(NamedTuple):
    """Rows that are nearly the same, as pairs of places in the rows that were searched.

    Args:
        links: Pairs of places.
        complete: False where one text has so many like it that not all pairs were looked at.
    """

    links: list[tuple[int, int]]
    complete: bool


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
    return NearCopies([*found.exact, *found.near], found.complete)


def _searched(code: str, language: str) -> str:
    """The text as the search reads it: to that ``//`` begins a comment, which is a division in Python."""
    return code.replace("//", "/ /") if language == "python" else code


def join(facts: Facts, rows: Rows, near: NearCopies, by: Literal["repository", "file"]) -> list[int]:
    """For each of ``rows`` the place (in ``rows``) of the first one in its group."""
    kinds = [facts.repos if by == "repository" else facts.files, facts.matches, facts.hints]
    links = [link for numbers in kinds for link in _equal(numbers, rows)]
    return joined_groups(len(rows), [*links, *near.links])


def _equal(numbers: array[int], rows: Rows) -> Iterator[tuple[int, int]]:
    """Each place that shares its number with an earlier one, with the first of them."""
    first: dict[int, int] = {}
    for place, row in enumerate(rows.tolist()):
        number = numbers[row]
        if number != UNKNOWN and first.setdefault(number, place) != place:
            yield first[number], place
