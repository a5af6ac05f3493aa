"""The systems that search the same texts: BM25, the encoder before training, the encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from models.evaluation.retrieval import bm25
from models.evaluation.retrieval.embedded import read_sides
from models.evaluation.retrieval.search import Ordered, Pool
from models.evaluation.retrieval.texts import Integers, codes_of
from models.settings.retrieval import RetrieveSettings

BM25 = "bm25"
UNTRAINED = "untrained"
ENCODER = "encoder"
DESCRIPTIONS = {
    BM25: bm25.METHOD,
    UNTRAINED: "the encoder with its weights from before the first step of training",
    ENCODER: "the trained encoder",
}
"""What each system is; what people call it is the report's."""
TEXTS = {"valid": "texts.jsonl", "test": "test_texts.jsonl"}
"""Files of a pairs run that hold the texts of a split."""

Search = Callable[[Integers], Iterator[Ordered]]
"""The whole pool in a system's order, for texts of the pool (rows), some at a time."""


def vectors_path(settings: RetrieveSettings, system: str) -> Path:
    """Where the embed run has the vectors of the searched texts, by this system."""
    name = Path(TEXTS[settings.split]).with_suffix(".safetensors").name
    return settings.vectors / (f"untrained_{name}" if system == UNTRAINED else name)


def bm25_of(path: Path, ids: list[str]) -> Search:
    """BM25 over the texts of these ids.

    Raises:
        DataInvalid: One of them is not in the file. Not retried.
    """
    return bm25.BM25(codes_of(path, ids)).search


class Encoder:
    """An encoder over some of the texts that were embedded.

    Args:
        path: Its vectors.
        num_texts: Texts that were embedded.
        rows: Those that are searched.

    Raises:
        DataInvalid: The vectors are not of these texts. Not retried.
    """

    def __init__(self, path: Path, *, num_texts: int, rows: Integers) -> None:
        sides = read_sides(path, num_texts=num_texts).only(rows)
        self._asking = sides.asking
        self._pool = Pool(sides.found)

    def order_all(self, queries: Integers) -> Iterator[Ordered]:
        """The whole pool in its order."""
        return self._pool.order_all(self._asking[queries])

    def nearest(self, queries: Integers, depth: int) -> Iterator[Ordered]:
        """The nearest of the pool."""
        return self._pool.search(self._asking[queries], depth)
