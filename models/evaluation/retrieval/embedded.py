"""Vectors of a finished embed run: read, and refused where they are not of these texts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.errors import DataInvalid
from models.jobs.json_files import read_json
from models.jobs.keys import content_digest
from models.jobs.question import QUESTION_FILE

VECTORS, QUERIES = "vectors", "queries"
"""Tensors of a file: the texts as they are found, and where towers are separate the same texts as they ask."""
LENGTH_TOLERANCE = 1e-3
"""How far the length of a vector may lie from 1: they are compared by their inner product."""

Vectors = npt.NDArray[np.float32]


class Sides(NamedTuple):
    """Texts from both sides.

    Args:
        found: ``(N, d)`` float32 of length 1, in the order of the texts: what is searched.
        asking: The same, of the texts as queries; ``found`` itself where one tower makes both.
    """

    found: Vectors
    asking: Vectors

    def only(self, rows: npt.NDArray[np.int64]) -> Sides:
        """Some of the texts."""
        found = self.found[rows]
        return Sides(found, found if self.asking is self.found else self.asking[rows])


def read_vectors(path: Path, *, num_texts: int) -> Vectors:
    """``(N, d)`` float32 of length 1, in the order of the texts, as they are found; see ``read_sides``."""
    return read_sides(path, num_texts=num_texts).found


def read_sides(path: Path, *, num_texts: int) -> Sides:
    """The vectors of a file as they are found and as they ask.

    Args:
        path: A .safetensors file of an embed run.
        num_texts: ``N``.

    Raises:
        DataInvalid: There is no such file, it holds no such tensor, not as many rows as there are texts, values that
            are not finite or not of length 1, or queries of another width. Not retried.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        raise DataInvalid(path, "no such file; expected vectors of a finished embed run")
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise DataInvalid(path, f"no safetensors file ({error}); embed again") from None
    found = _checked(path, tensors, VECTORS, num_texts)
    if QUERIES not in tensors:
        return Sides(found, found)
    asking = _checked(path, tensors, QUERIES, num_texts)
    if asking.shape != found.shape:
        raise DataInvalid(path, f"queries are {asking.shape[1]} wide, vectors {found.shape[1]}; embed again")
    return Sides(found, asking)


def _checked(path: Path, tensors: Mapping[str, npt.NDArray[np.generic]], name: str, num_texts: int) -> Vectors:
    vectors = tensors.get(name)
    if vectors is None or vectors.ndim != 2 or vectors.dtype != np.float32:
        raise DataInvalid(path, f"expected a tensor {name!r} of shape (texts, dim), float32; embed again")
    if len(vectors) != num_texts:
        raise DataInvalid(path, f"holds {len(vectors)} {name} for {num_texts} texts; embed these texts")
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    if not (np.abs(lengths - 1.0) <= LENGTH_TOLERANCE).all():  # a NaN is never within
        row = int(np.flatnonzero(~(np.abs(lengths - 1.0) <= LENGTH_TOLERANCE))[0])
        raise DataInvalid(path, f"row {row} of {name} has length {lengths[row]:g}, expected 1; embed again")
    return np.ascontiguousarray(vectors)


def refuse_other_texts(vectors: Path, data: Path) -> None:
    """Refuse vectors of other texts: a finished run says what it embedded.

    Args:
        vectors: The embed run; one that was not made by a job says nothing, and the number of rows must do.
        data: The pairs run.

    Raises:
        DataInvalid: It embedded another pairs run. Not retried.
    """
    question = read_json(vectors / QUESTION_FILE)
    embedded = None if question is None else question["deciding"].get("data")
    if embedded is not None and embedded != content_digest(data):
        raise DataInvalid(vectors, f"embedded other texts than those of {data}; embed that pairs run")
