"""Rows and pairs of a balanced data set, checked as they are read; no code is kept."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson

from models.data.retrieval.text_pairs import TextPair
from models.data.retrieval.text_records import NamedText
from models.errors import DataInvalid

BalancedSplit = Literal["train", "val", "test"]
SPLIT_NAMES: dict[BalancedSplit, str] = {"train": "train", "val": "valid", "test": "test"}
"""Files of a balanced data set, and what their splits are called in records."""
PAIRS_FILE = "pairs.jsonl"
_TEXT_FIELDS = ("id", "code", "language", "label_source", "repo", "file", "function", "match", "group")
_EXPECTED = (
    f"expected {', '.join(_TEXT_FIELDS)} (texts), label (0, 1 or null), line and augmented_from, as a balance run "
    "leaves them"
)


class KnownText(NamedTuple):
    """What pairs are checked against.

    Args:
        split: Of the text, as records call it.
        match: What it does the same as.
    """

    split: str
    match: str


def read_texts(folder: Path, split: BalancedSplit, limit: int | None) -> Iterator[NamedText]:
    """The rows of a split as texts, the first ``limit`` of them.

    Args:
        folder: Of the balance run.
        split: Which file.
        limit: ``None``: all.

    Raises:
        DataInvalid: There is no such file, a line is no row, or a text is blank. Not retried.
    """
    path = folder / f"{split}.jsonl"
    if not path.is_file():
        raise DataInvalid(path, "no such file; give the directory of a finished balance run")
    with path.open("rb") as lines:
        for number, line in enumerate(islice(lines, limit), start=1):
            try:
                yield _text_of(orjson.loads(line), SPLIT_NAMES[split])
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                raise DataInvalid(path, f"no row ({type(error).__name__}: {error}); {_EXPECTED}", line=number) from None


def _text_of(row: dict[str, Any], split: str) -> NamedText:
    for name in _TEXT_FIELDS:
        if not isinstance(row[name], str):
            raise TypeError(f"{name} is no text")
    if row["label"] is not None and (type(row["label"]) is not int or row["label"] not in (0, 1)):
        raise ValueError("label is not 0, 1 or null")
    if not row["id"] or not row["code"].strip():
        raise ValueError("id or code is empty")
    metadata = {
        "source": row["label_source"],
        "split": split,
        "match": row["match"],
        "project": row["repo"],
        "file": row["file"],
        "function": row["function"],
        "line": row["line"],
        "language": row["language"],
        "kind": "original" if row["augmented_from"] is None else "augmented",
    }
    return NamedText(row["id"], row["group"], row["code"], row["language"], row["label"], metadata)


def known_texts(folder: Path, limit: int | None) -> dict[str, KnownText]:
    """All texts of a balanced data set by id, in the order of its files.

    Args:
        folder: Of the balance run.
        limit: Texts of each split at most; ``None``: all.

    Raises:
        DataInvalid: As ``read_texts``; an id is there twice; or train or val holds no text. Not retried.
    """
    known: dict[str, KnownText] = {}
    for split, name in SPLIT_NAMES.items():
        path, before = folder / f"{split}.jsonl", len(known)
        for number, text in enumerate(read_texts(folder, split, limit), start=1):
            if text.text_id in known:
                problem = (
                    f"id {text.text_id} is there twice (in {known[text.text_id].split} before); make the data again"
                )
                raise DataInvalid(path, problem, line=number)
            known[text.text_id] = KnownText(name, text.metadata["match"])
        if len(known) == before and split != "test":
            raise DataInvalid(path, "holds no text; training and validation need at least one pair each")
    return known


def read_balanced_pairs(folder: Path, known: dict[str, KnownText], *, is_whole: bool) -> Iterator[tuple[str, TextPair]]:
    """The pairs among known texts, each with the split of both its texts.

    Args:
        folder: Of the balance run.
        known: The texts.
        is_whole: Whether these are all texts; where not, pairs of others are passed over.

    Raises:
        DataInvalid: There is no such file, a line is no pair, an id is there twice, or a pair names a text that is not
            there, texts of two splits, one text twice, or texts that do not do the same. Not retried.
    """
    path = folder / PAIRS_FILE
    if not path.is_file():
        raise DataInvalid(path, "no such file; give the directory of a finished balance run")
    seen: set[str] = set()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            pair = _pair_of(path, number, line)
            missing = [text_id for text_id in (pair.anchor, pair.positive) if text_id not in known]
            if missing and not is_whole:
                continue
            problem = f"names the text {missing[0]}, which is in no split" if missing else _fault_of(pair, known)
            if pair.pair_id in seen:
                problem = "is there twice"
            if problem:
                problem = f"pair {pair.pair_id} {problem}; make the balanced data again"
                raise DataInvalid(path, problem, line=number)
            seen.add(pair.pair_id)
            yield known[pair.anchor].split, pair


def _pair_of(path: Path, number: int, line: bytes) -> TextPair:
    try:
        row = orjson.loads(line)
        values = [row[name] for name in ("id", "anchor", "positive", "match", "group")]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        values, reason = [], f"{type(error).__name__}: {error}"
    else:
        reason = "a value is no text"
    if not values or not all(isinstance(value, str) for value in values):
        expected = "expected id, anchor, positive, match and group (texts), as a balance run leaves them"
        raise DataInvalid(path, f"no pair ({reason}); {expected}", line=number)
    return TextPair(*values)


def _fault_of(pair: TextPair, known: dict[str, KnownText]) -> str:
    """What is wrong with a pair of known texts; empty where nothing is."""
    anchor, positive = known[pair.anchor], known[pair.positive]
    if pair.anchor == pair.positive:
        return "names one text twice"
    if anchor.split != positive.split:
        return f"names a text of {anchor.split} and one of {positive.split}"
    if {anchor.match, positive.match} != {pair.match}:
        return f"does the same as {pair.match!r}, its texts as {anchor.match!r} and {positive.match!r}"
    return ""
