"""Texts that are searched: what each is called, does the same as, and must not be separated from; no tokens.

Read line by line from the records of a pairs run, which are far larger: tokens are for models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from models.data.retrieval.text_facts import ORIGINAL, read_facts
from models.errors import DataInvalid

EXPECTED = 'expected a record of a pairs run: {"id", "code", "language", "metadata": {"match", "group", "split"}, …}'

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Texts:
    """``N`` texts of one file, in its order.

    Args:
        path: The file.
        ids: No two alike.
        matches: What each does the same as.
        groups: What each must not be separated from.
        languages: "
        splits: train, valid or test.
        is_variant: ``(N,)`` whether a text was made from another one by augmentation.
    """

    path: Path
    ids: list[str]
    matches: list[str]
    groups: list[str]
    languages: list[str]
    splits: list[str]
    is_variant: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    def rows_of(self, split: str) -> Integers:
        """Rows of the texts of a split."""
        return np.flatnonzero(np.asarray(self.splits) == split).astype(np.int64)

    def only(self, rows: Integers) -> Texts:
        """Some of them, in the order of ``rows``."""
        return Texts(
            self.path,
            ids=[self.ids[row] for row in rows],
            matches=[self.matches[row] for row in rows],
            groups=[self.groups[row] for row in rows],
            languages=[self.languages[row] for row in rows],
            splits=[self.splits[row] for row in rows],
            is_variant=self.is_variant[rows],
        )


def read_texts(path: Path) -> Texts:
    """The texts of a .jsonl of a pairs run.

    Raises:
        DataInvalid: There is no such file, a line is no record of a pairs run, an id is there twice, or there is no
            text at all. Not retried.
    """
    facts = read_facts(path)
    if not facts:
        raise DataInvalid(path, "holds no text; expected at least one")
    seen: set[str] = set()
    for number, fact in enumerate(facts, start=1):
        if fact.text_id in seen:
            raise DataInvalid(path, f"text {fact.text_id} is there twice; make the pairs again", line=number)
        seen.add(fact.text_id)
    ids, matches, groups, languages, splits, _, kinds = (list(column) for column in zip(*facts, strict=True))
    return Texts(path, ids, matches, groups, languages, splits, np.array([kind != ORIGINAL for kind in kinds], bool))


def codes_of(path: Path, ids: Sequence[str]) -> list[str]:
    """The texts themselves, in the order of ``ids``.

    Raises:
        DataInvalid: One of them is not in the file, or is no text. Not retried.
    """
    wanted = set(ids)
    codes: dict[str, str] = {}
    for number, record in _records(path):
        if record.get("id") in wanted:
            code = record.get("code")
            if not isinstance(code, str):
                raise DataInvalid(path, f"text {record['id']} has no code; {EXPECTED}", line=number)
            codes[record["id"]] = code
    missing = [text_id for text_id in ids if text_id not in codes]
    if missing:
        raise DataInvalid(path, f"holds no text {missing[0]} ({len(missing)} are missing); make the pairs again")
    return [codes[text_id] for text_id in ids]


def numbered(names: Sequence[str]) -> Integers:
    """``(N,)`` a number for each name, equal for equal names, by order of the names."""
    return np.unique(np.asarray(names, dtype=str), return_inverse=True)[1].astype(np.int64)


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if not path.is_file():
        raise DataInvalid(path, "no such file; expected the texts of a finished pairs run")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise DataInvalid(path, f"no JSON ({error}); {EXPECTED}", line=number) from None
            if not isinstance(record, dict):
                raise DataInvalid(path, EXPECTED, line=number)
            yield number, record
