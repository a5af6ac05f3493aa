"""Samples on disk, with only small facts of each in memory: however large the checkout, about 2 kB a function is held.

The first pass over the data writes each sample to a temporary file as soon as it is cut; all that decides splits and
balance is then known from the facts, and samples are read again one by one as they are written to where they belong.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from models.data.balanced.samples import CodeSample, text_digest
from models.errors import StoreUnavailable

UNKNOWN = -1


class Names:
    """Texts that many samples share, each kept once and told by its number."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, text: str | None) -> int:
        """Its number, a new one where it is new; ``UNKNOWN`` for none."""
        if text is None:
            return UNKNOWN
        found = self._numbers.setdefault(text, len(self.texts))
        if found == len(self.texts):
            self.texts.append(text)
        return found


class Facts:
    """What is held of each sample; row numbers count from 0 in the order of reading.

    Attributes:
        ids: Unique names.
        digests: 16 bytes each, equal where the text is, white space apart.
        labels: 1 vulnerable, 0 safe, ``UNKNOWN`` where nobody says.
        repos, files, matches, hints, languages, sources: Numbers in the names of the same kind; ``UNKNOWN`` for none.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.digests: list[bytes] = []
        self.labels = array("b")
        self.repos, self.files, self.matches = array("l"), array("l"), array("l")
        self.hints, self.languages, self.sources = array("l"), array("b"), array("b")
        self.repo_names, self.file_names, self.match_names = Names(), Names(), Names()
        self.hint_names, self.language_names, self.source_names = Names(), Names(), Names()
        self._taken: set[str] = set()

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, sample: CodeSample) -> None:
        """Take what matters of a sample."""
        self.ids.append(self._unique(sample.name))
        self.digests.append(text_digest(sample.code))
        self.labels.append(UNKNOWN if sample.label is None else sample.label)
        self.repos.append(self.repo_names.number(sample.repo))
        self.files.append(self.file_names.number(sample.file))
        self.matches.append(self.match_names.number(sample.match))
        self.hints.append(self.hint_names.number(sample.group_hint))
        self.languages.append(self.language_names.number(sample.language))
        self.sources.append(self.source_names.number(sample.label_source))

    def match_of(self, row: int) -> str:
        """What a row does the same as: its own id where it does the same as nothing else."""
        known = self.matches[row]
        return self.ids[row] if known == UNKNOWN else self.match_names.texts[known]

    def _unique(self, name: str) -> str:
        name = name.encode("utf-8", "replace").decode()  # half a character: no JSON could hold it
        unique, number = name, 1
        while unique in self._taken:
            number += 1
            unique = f"{name}~{number}"
        self._taken.add(unique)
        return unique


class Spool:
    """The temporary file of samples; a context, closed and removed at its end.

    Args:
        path: Where it lies.
    """

    def __init__(self, path: Path) -> None:
        self.facts = Facts()
        self._path = path
        self._offsets = array("q", [0])
        self._file = path.open("w+b", buffering=1 << 20)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def add(self, sample: CodeSample) -> None:
        """Write a sample down.

        Raises:
            StoreUnavailable: the disk is full. Retried.
        """
        values = sample._replace(code=sample.code.encode("utf-8", "replace").decode())
        line = orjson.dumps(tuple(values))
        try:
            self._file.write(line)
        except OSError as error:
            raise StoreUnavailable(f"{self._path}: {error.strerror}; make room and start again") from error
        self._offsets.append(self._offsets[-1] + len(line))
        self.facts.add(sample)

    def read(self, rows: Iterable[int]) -> Iterator[tuple[int, CodeSample]]:
        """Samples by their row numbers, one at a time; fast where the numbers grow."""
        self._file.flush()
        for row in rows:
            begin, end = self._offsets[row], self._offsets[row + 1]
            self._file.seek(begin)
            yield row, CodeSample(*orjson.loads(self._file.read(end - begin)))
