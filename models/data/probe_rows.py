"""Functions that probes are made of: test records through a transform, or the two sides of before/after pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from models.data.raw_functions import RawFunction, RawLine, Rejection, max_line_bytes, read_function, read_lines
from models.data.records import NamedFunction
from models.data.transforms.checked import Transformed
from models.errors import DataInvalid

TEST = "test"
SIDES = ("vulnerable", "fixed")
"""In the order of the file, and of labels 1 and 0."""


def functions_of_test(path: Path) -> Iterator[NamedFunction]:
    """The functions that the records of a test split were made of, under their own ids, labels and groups.

    Raises:
        DataInvalid: A line is no record, or a label is not 0 or 1. Not retried.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield _function_of(orjson.loads(line))
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                raise DataInvalid(
                    path, f"not a record of the preprocess job ({type(error).__name__}: {error})", line=number
                ) from error


def _function_of(record: dict[str, Any]) -> NamedFunction:
    label, metadata = record["label"], record["metadata"]
    if label not in (0, 1) or not isinstance(record["code"], str):
        raise ValueError("its label is not 0 or 1, or its code is no text")
    function = RawFunction(
        line=metadata["line"],
        orig_id=metadata["orig_id"],
        code=record["code"],
        label=label,
        project=metadata["project"],
        commit_id="",
        has_idx=True,
        source=metadata["source"],
        origin=metadata.get("origin", ""),
    )
    return NamedFunction(function, record["id"], metadata["group"], TEST)


def transformed(named: NamedFunction, change: Callable[[str], Transformed]) -> tuple[NamedFunction, Transformed]:
    """The function after the change, everything else as it was; and how the change went."""
    outcome = change(named.function.code)
    return named._replace(function=named.function._replace(code=outcome.code)), outcome


def pair_functions(path: Path, max_code_bytes: int) -> Iterator[tuple[NamedFunction, NamedFunction] | Rejection]:
    """Pairs of a collect run, the vulnerable side first; or why a pair is left out: a side is too long.

    Their group is their commit; where none is known, the pair.

    Args:
        path: ``pairs.jsonl``.
        max_code_bytes: Longest function accepted.

    Raises:
        DataInvalid: A line is no function of a pair, a pair has not its two sides in a row, or a name is used twice.
            Not retried.
    """
    seen: set[str] = set()
    lines = (line for line in read_lines(path, max_line_bytes=max_line_bytes(max_code_bytes)) if line.content != b"")
    for first, second in _two_by_two(lines, path):
        sides = [_side_of(line, max_code_bytes, path) for line in (first, second)]
        refused = next((side for side in sides if isinstance(side, Rejection)), None)
        if refused is not None:
            yield refused
            continue
        vulnerable, fixed = (side for side in sides if isinstance(side, NamedFunction))
        _check_pair(vulnerable, fixed, path)
        for side in (vulnerable, fixed):
            if side.record_id in seen:
                raise DataInvalid(path, f"{side.record_id} was used by an earlier row", line=side.function.line)
            seen.add(side.record_id)
        yield vulnerable, fixed


def _two_by_two(lines: Iterator[RawLine], path: Path) -> Iterator[tuple[RawLine, RawLine]]:
    for first in lines:
        second = next(lines, None)
        if second is None:
            raise DataInvalid(path, "the last pair has one side only; collect the pairs anew", line=first.number)
        yield first, second


def _side_of(line: RawLine, max_code_bytes: int, path: Path) -> NamedFunction | Rejection:
    function = read_function(line, max_code_bytes)
    if isinstance(function, Rejection):
        if function.reason in {"func_too_long", "line_too_long"}:
            return function
        raise DataInvalid(path, f"{function.reason}: {function.detail}", line=line.number)
    assert line.content is not None
    row = orjson.loads(line.content)
    pair, side = row.get("pair"), row.get("side")
    if not pair or side != SIDES[1 - function.label] or not function.source:
        raise DataInvalid(
            path,
            "no side of a pair: expected source, pair, and side vulnerable with target 1 or fixed with target 0; "
            "give the directory of a finished collect run with pairs",
            line=line.number,
        )
    record_id = f"{function.source}-PAIRS-".upper() + function.unique_name
    beside = (("pair", str(pair)), ("side", str(side)))
    return NamedFunction(function, record_id, function.commit_id or str(pair), TEST, beside)


def _check_pair(vulnerable: NamedFunction, fixed: NamedFunction, path: Path) -> None:
    pairs = [dict(side.beside)["pair"] for side in (vulnerable, fixed)]
    labels = [side.function.label for side in (vulnerable, fixed)]
    if labels != [1, 0] or pairs[0] != pairs[1]:
        raise DataInvalid(
            path,
            f"expected the vulnerable and the fixed side of one pair in a row, found {pairs[0]} and {pairs[1]} with "
            f"targets {labels[0]} and {labels[1]}; collect the pairs anew",
            line=vulnerable.function.line,
        )
