"""Pairs of texts that do the same, as a ``pairs`` or ``mine`` run leaves them: a line each, naming texts by their ids.

Beside them lie the texts: records of the usual form, whose metadata say what each does the same as (``match``), what
must not be separated (``group``), language, project, file and function.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import orjson

from models.errors import DataInvalid

EXPECTED = 'expected {"id", "anchor", "positive", "match", "group"} and optionally "negatives"'


class TextPair(NamedTuple):
    """Two texts that do the same.

    Args:
        pair_id: Unique in its file.
        anchor: Id of the first text.
        positive: Id of the second.
        match: What both do the same as; texts that share it are never each other's negatives.
        group: What must not be separated from it.
        negatives: Ids of texts that look alike and do something else.
    """

    pair_id: str
    anchor: str
    positive: str
    match: str
    group: str
    negatives: tuple[str, ...] = ()


def pair_line(pair: TextPair) -> bytes:
    """The pair as a line of its file."""
    values = {
        "id": pair.pair_id,
        "anchor": pair.anchor,
        "positive": pair.positive,
        "match": pair.match,
        "group": pair.group,
        "negatives": list(pair.negatives),
    }
    return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)


def read_pairs(path: Path, *, limit: int | None = None) -> list[TextPair]:
    """The pairs of a file, the first ``limit`` of them, in its order.

    Raises:
        DataInvalid: There is no such file, a line is no pair, an id is there twice, or there is no pair at all. Not
            retried.
    """
    pairs: list[TextPair] = []
    seen: set[str] = set()
    for number, pair in _lines(path):
        if pair.pair_id in seen:
            raise DataInvalid(path, f"pair {pair.pair_id} is there twice; make the file again", line=number)
        seen.add(pair.pair_id)
        pairs.append(pair)
        if len(pairs) == limit:
            break
    if not pairs:
        raise DataInvalid(path, "holds no pair; expected at least one (texts that do the same as another)")
    return pairs


def _lines(path: Path) -> Iterator[tuple[int, TextPair]]:
    if not path.is_file():
        raise DataInvalid(path, "no such file; expected pairs of a pairs or mine run (train_pairs.jsonl …)")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = orjson.loads(line)
                pair = TextPair(
                    pair_id=str(row["id"]),
                    anchor=str(row["anchor"]),
                    positive=str(row["positive"]),
                    match=str(row["match"]),
                    group=str(row["group"]),
                    negatives=tuple(map(str, row.get("negatives", []))),
                )
            except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
                raise DataInvalid(path, f"no pair ({type(error).__name__}: {error}); {EXPECTED}", line=number) from None
            yield number, pair
