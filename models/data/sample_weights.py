"""Weights of training records: one JSON line each, ``{"id": …, "weight": …}``; whoever made them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

from models.errors import DataInvalid


def read_weights(path: Path, ids: Sequence[str]) -> npt.NDArray[np.float64]:
    """The weight of each record, in the order of ``ids``; weights of other records are passed over.

    Raises:
        DataInvalid: a line is no weight, a weight is negative or no finite number, a record has none or two, or all
            are zero. Not retried.
    """
    if not path.is_file():
        raise DataInvalid(path, 'no such file; expected one JSON line {"id": …, "weight": …} for each training record')
    found: dict[str, float] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            record_id, weight = _parse(path, number, line)
            if record_id in found:
                raise DataInvalid(path, f"a second weight for {record_id!r}", line=number)
            found[record_id] = weight
    missing = [record_id for record_id in ids if record_id not in found]
    if missing:
        raise DataInvalid(path, f"{len(missing)} of {len(ids)} training records have no weight, such as {missing[0]!r}")
    weights = np.array([found[record_id] for record_id in ids], dtype=np.float64)
    if not weights.any():
        raise DataInvalid(path, "all weights are zero: there is nothing to learn from")
    return weights


def _parse(path: Path, number: int, line: bytes) -> tuple[str, float]:
    try:
        row = orjson.loads(line)
        record_id, weight = row["id"], row["weight"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise DataInvalid(path, 'expected {"id": …, "weight": …}', line=number) from error
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight) or weight < 0:
        raise DataInvalid(path, f"weight {weight!r} of {record_id!r} is not a finite number of at least 0", line=number)
    return str(record_id), float(weight)
