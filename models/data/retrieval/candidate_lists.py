"""Lists of candidates: of one query (retrieval) or one bug (patches), a line each, naming texts by their ids.

Everything that orders candidates (rerankers, patch rankers, trees) learns from such lists and is judged on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import orjson

from models.errors import DataInvalid

EXPECTED = 'expected {"id", "group", "query", "candidates", "relevant", "features", "num_relevant", "split"}'


class CandidateList(NamedTuple):
    """Candidates and which of them are right.

    Args:
        list_id: Unique in its file: the query's text id, or project and bug.
        group: What must not be separated: what intervals are drawn over.
        query: Id of the text that is asked with; ``None`` where a list has no query (patches of a bug).
        candidates: Ids of their texts, in the order of the first stage where there is one.
        relevant: Of each candidate, 1 where it is right, else 0.
        features: Of each candidate, the same numbers as of every other: the first stage's similarity, or features of
            the edit. Their names are in the run's metadata.
        num_relevant: Right ones there are in the whole pool, be they among the candidates or not.
        split: train, valid, test, or the project that was left out.
    """

    list_id: str
    group: str
    query: str | None
    candidates: tuple[str, ...]
    relevant: tuple[int, ...]
    features: tuple[tuple[float, ...], ...]
    num_relevant: int
    split: str

    @property
    def is_mixed(self) -> bool:
        """Whether it holds both right and wrong candidates: only such a list can be ordered well or badly."""
        return 0 < sum(self.relevant) < len(self.relevant)


def list_line(entry: CandidateList) -> bytes:
    """The list as a line of its file."""
    values = {
        "id": entry.list_id,
        "group": entry.group,
        "query": entry.query,
        "candidates": list(entry.candidates),
        "relevant": list(entry.relevant),
        "features": [list(row) for row in entry.features],
        "num_relevant": entry.num_relevant,
        "split": entry.split,
    }
    return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)


def read_lists(path: Path, *, limit: int | None = None) -> list[CandidateList]:
    """The lists of a file, the first ``limit`` of them, in its order.

    Raises:
        DataInvalid: There is no such file, a line is no list, an id is there twice, rows of features differ in length,
            or there is no list at all. Not retried.
    """
    lists: list[CandidateList] = []
    seen: set[str] = set()
    for number, entry in _lines(path):
        if entry.list_id in seen:
            raise DataInvalid(path, f"list {entry.list_id} is there twice; make the file again", line=number)
        if len({len(row) for row in (*entry.features, *(lists[0].features if lists else ()))}) > 1:
            raise DataInvalid(path, f"list {entry.list_id} has other features than those before it", line=number)
        seen.add(entry.list_id)
        lists.append(entry)
        if len(lists) == limit:
            break
    if not lists:
        raise DataInvalid(path, "holds no list of candidates; expected at least one")
    return lists


def _lines(path: Path) -> Iterator[tuple[int, CandidateList]]:
    if not path.is_file():
        raise DataInvalid(path, "no such file; expected lists of a mine, retrieve or candidates run")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = orjson.loads(line)
                entry = CandidateList(
                    list_id=str(row["id"]),
                    group=str(row["group"]),
                    query=None if row["query"] is None else str(row["query"]),
                    candidates=tuple(map(str, row["candidates"])),
                    relevant=tuple(map(int, row["relevant"])),
                    features=tuple(tuple(map(float, values)) for values in row["features"]),
                    num_relevant=int(row["num_relevant"]),
                    split=str(row["split"]),
                )
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                raise DataInvalid(path, f"no list ({type(error).__name__}: {error}); {EXPECTED}", line=number) from None
            sizes = {len(entry.candidates), len(entry.relevant), len(entry.features)}
            if len(sizes) != 1 or 0 in sizes or not set(entry.relevant) <= {0, 1}:
                problem = (
                    f"list {entry.list_id}: candidates, relevant (0 or 1) and features differ in number or are none"
                )
                raise DataInvalid(path, problem, line=number)
            yield number, entry
