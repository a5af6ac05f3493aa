"""Lists of candidates as the engine sees them: a record is a whole list, which no micro-batch divides.

Candidates of all lists of a file are numbered one after the other. Letters of shapes: K candidates, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from models.data.retrieval.candidate_lists import CandidateList, read_lists
from models.errors import DataInvalid, SettingsInvalid
from models.training.order import Indices, cut_by_area


class Candidates(NamedTuple):
    """All candidates of a file's lists, in its order.

    Args:
        query: ``(K,)`` int64, row of the query's text; -1 where a list has none.
        text: ``(K,)`` int64, row of the candidate's text.
        features: ``(K, F)`` float32.
        relevant: ``(K,)`` int8, 1 where it is right.
        sizes: ``(K,)`` int64, what it takes of a budget (tokens of what is read for it; 1 for a vector).
    """

    query: Indices
    text: Indices
    features: npt.NDArray[np.float32]
    relevant: npt.NDArray[np.int8]
    sizes: Indices


class _File(NamedTuple):
    """What all parts of a file share, made once.

    Args:
        lists: All its lists.
        counts: ``(N,)`` int64, candidates of each.
        begins: ``(N,)`` int64, number of the first of them.
        largest: ``(N,)`` int64, size of the largest of them.
    """

    lists: Sequence[CandidateList]
    counts: Indices
    begins: Indices
    largest: Indices


def _file_of(lists: Sequence[CandidateList], sizes: Indices) -> _File:
    counts = np.array([len(entry.candidates) for entry in lists], dtype=np.int64)
    begins = np.cumsum(counts) - counts
    return _File(lists, counts, begins, np.maximum.reduceat(sizes, begins))


class RankedLists:
    """Some of the lists of a file.

    Args:
        path: The file, for messages.
        lists: All its lists, or what another part of the file knows of them.
        candidates: All their candidates.
        rows: Which lists, and in which order.

    Attributes:
        ids: Id of each list.
        labels: 1 where a list holds a right candidate.
        sizes: What a list alone takes of a budget.
        num_candidates: ``(N,)`` int64 of each list.
    """

    def __init__(
        self, path: Path, lists: Sequence[CandidateList] | _File, candidates: Candidates, rows: Indices
    ) -> None:
        file = lists if isinstance(lists, _File) else _file_of(lists, candidates.sizes)
        self.path = path
        self.candidates = candidates
        self._file = file
        self._rows = rows
        self.lists = [file.lists[row] for row in rows.tolist()]
        self.ids = [entry.list_id for entry in self.lists]
        self.groups = [entry.group for entry in self.lists]
        self.labels = np.array([any(entry.relevant) for entry in self.lists], dtype=np.int8)
        self.is_mixed = np.array([entry.is_mixed for entry in self.lists], dtype=bool)
        self.weights: npt.NDArray[np.float64] = np.ones(len(rows))
        self._begins: Indices = file.begins[rows]
        self.num_candidates: Indices = file.counts[rows]
        self._largest: Indices = file.largest[rows]
        self.sizes: Indices = self.num_candidates * self._largest

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def longest(self) -> int:
        """Candidates of the longest list."""
        return int(self.num_candidates.max())

    def only(self, rows: Indices) -> RankedLists:
        """Some of the lists; whatever is known of the whole file is shared, so that a part costs what it holds."""
        return RankedLists(self.path, self._file, self.candidates, self._rows[rows])

    def cost(self, records: Indices) -> int:
        """What a micro-batch takes: its candidates, each padded to the largest of them."""
        return int(self.num_candidates[records].sum() * self._largest[records].max())

    def cut(self, records: Indices, budget: int) -> list[Indices]:
        """Micro-batches of whole lists alike in the size of their candidates; a list above the budget stands alone."""
        return cut_by_area(records, self._largest, self.num_candidates, budget)

    def candidates_of(self, records: Indices) -> Indices:
        """Numbers of the candidates of these lists, list by list."""
        begins, counts = self._begins[records], self.num_candidates[records]
        return np.repeat(begins - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())

    def there(self, records: Indices) -> npt.NDArray[np.bool_]:
        """``(len(records), C)``: where a table with a column for each place of the longest of them has a candidate."""
        counts = self.num_candidates[records]
        return np.arange(counts.max(initial=0)) < counts[:, None]


def padded(values_K: Tensor, there_LC: Tensor) -> Tensor:
    """Numbers of candidates, list by list, as ``(L, C)``: a row for each list, filled up with 0."""
    return values_K.new_zeros(there_LC.shape).masked_scatter(there_LC, values_K)


def flat_features(lists: Sequence[CandidateList]) -> npt.NDArray[np.float32]:
    """``(K, F)`` of all candidates."""
    return np.array([row for entry in lists for row in entry.features], dtype=np.float32)


def flat_relevant(lists: Sequence[CandidateList]) -> npt.NDArray[np.int8]:
    """``(K,)`` of all candidates."""
    return np.array([value for entry in lists for value in entry.relevant], dtype=np.int8)


def within_triples(lists: Sequence[CandidateList], max_triples: int | None) -> list[CandidateList]:
    """The first lists whose triples (query, relevant, other candidate) are together at most ``max_triples``.

    Raises:
        SettingsInvalid: Already the first list has more. Not retried.
    """
    if max_triples is None:
        return list(lists)
    triples = np.cumsum([sum(e.relevant) * (len(e.relevant) - sum(e.relevant)) for e in lists])
    count = int(np.searchsorted(triples, max_triples, side="right"))
    if count == 0:
        raise SettingsInvalid(
            f"model.max_triples {max_triples}: the first list alone has {triples[0]}, and lists are not divided; "
            "give at least so many (--max-triples)"
        )
    return list(lists[:count])


def require_mixed(path: Path) -> None:
    """Refuse lists of validation of which none can be ordered well or badly: no epoch could be chosen by them.

    Raises:
        DataInvalid: There is none, or the file is no file of lists. Not retried.
    """
    if not any(entry.is_mixed for entry in read_lists(path)):
        raise DataInvalid(path, "no list holds both right and wrong candidates; nothing says which epoch orders better")


def require_queries(examples: RankedLists) -> None:
    """Refuse lists without a query, for models that compare with one.

    Raises:
        DataInvalid: One has none. Not retried.
    """
    for entry in examples.lists:
        if entry.query is None:
            raise DataInvalid(examples.path, f"list {entry.list_id} has no query; give lists of a mine or retrieve run")
