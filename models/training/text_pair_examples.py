"""Pairs of texts as the engine sees them: a record is a pair, a step all texts of its pairs.

Shape letters: P pairs of a step, R texts of a step: anchors, positives, mined negatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.data.retrieval.text_pairs import TextPair
from models.data.retrieval.texts import Texts
from models.nn.dual_encoder import ANCHOR, TEXT
from models.training.order import Indices


class StepTexts(NamedTuple):
    """The texts of some pairs: all anchors, then all positives in the same order, then the negatives, pair by pair.

    Args:
        num_pairs: P.
        text: ``(R,)`` rows of the texts.
        side: ``(R,)`` ``ANCHOR`` or ``TEXT``: which tower reads it.
        pair: ``(R,)`` which of the pairs each belongs to, counted from 0.
        match: ``(R,)`` equal where two texts do the same.
    """

    num_pairs: int
    text: Indices
    side: Indices
    pair: Indices
    match: Indices

    def rows_of(self, places: Indices) -> Indices:
        """Which of the texts belong to the pairs at these places of the step."""
        return np.flatnonzero(np.isin(self.pair, places)).astype(np.int64)


class PairExamples:
    """Some pairs of a file.

    Args:
        texts: What they name.
        pairs: All pairs of the file.
        sides: ``(N, 2)`` rows of anchor and positive of each of them.
        negatives: Rows of the mined negatives of each.
        match: ``(N,)`` of each, numbered as ``negative_match`` numbers texts.
        negative_match: By row of a text.
        rows: Which pairs, and in which order.

    Attributes:
        labels: 1 for all: both texts do the same.
        sizes: Tokens of a pair's longest text: what it takes of a budget, of which texts are read one by one at worst.
    """

    def __init__(
        self,
        texts: Texts,
        pairs: Sequence[TextPair],
        *,
        sides: Indices,
        negatives: Sequence[Indices],
        match: Indices,
        negative_match: Indices,
        rows: Indices,
    ) -> None:
        self.texts = texts
        self._pairs, self._negatives, self._rows = pairs, negatives, rows
        self._all_sides, self._all_match, self._negative_match = sides, match, negative_match
        self.sides: Indices = sides[rows]
        self.match: Indices = match[rows]
        self.ids = [pairs[row].pair_id for row in rows.tolist()]
        self.groups = [pairs[row].group for row in rows.tolist()]
        self.labels: npt.NDArray[np.int8] = np.ones(len(rows), dtype=np.int8)
        self.weights: npt.NDArray[np.float64] = np.ones(len(rows))
        longest = [int(texts.lengths[self._texts_of(row)].max()) for row in rows.tolist()]
        self.sizes: npt.NDArray[np.int64] = np.array(longest, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, rows: Indices) -> PairExamples:
        """Some of the pairs; the texts are shared."""
        return PairExamples(
            self.texts,
            self._pairs,
            sides=self._all_sides,
            negatives=self._negatives,
            match=self._all_match,
            negative_match=self._negative_match,
            rows=self._rows[rows],
        )

    def step_texts(self, records: Indices) -> StepTexts:
        """All texts of the pairs ``records``, in that order."""
        negatives = [self._negatives[row] for row in self._rows[records].tolist()]
        num_pairs, counts = len(records), [len(rows) for rows in negatives]
        flat = np.concatenate(negatives) if num_pairs else np.zeros(0, dtype=np.int64)
        places, match = np.arange(num_pairs), self.match[records]
        sides, side_names = self.sides[records].T.ravel(), np.array([ANCHOR, TEXT], dtype=np.int64)
        return StepTexts(
            num_pairs=num_pairs,
            text=np.concatenate([sides, flat]),
            side=np.concatenate([np.repeat(side_names, num_pairs), np.full(len(flat), TEXT)]),
            pair=np.concatenate([places, places, np.repeat(places, counts)]),
            match=np.concatenate([match, match, self._negative_match[flat]]),
        )

    @property
    def named_texts(self) -> Indices:
        """Rows of all texts that these pairs name, each once."""
        return np.unique(np.concatenate([self._texts_of(row) for row in self._rows.tolist()]))

    @property
    def num_negatives(self) -> int:
        """Mined negatives of these pairs, all together."""
        return sum(len(self._negatives[row]) for row in self._rows.tolist())

    def _texts_of(self, row: int) -> Indices:
        return np.concatenate([self._all_sides[row], self._negatives[row]])


def pair_examples(texts: Texts, pairs: Sequence[TextPair], path: Path) -> PairExamples:
    """The pairs of a file with the texts that they name.

    Args:
        texts: The texts.
        pairs: The pairs.
        path: Of the pairs, for messages.

    Raises:
        DataInvalid: A pair names a text that is not there. Not retried.
    """
    named = (name for pair in pairs for name in (pair.anchor, pair.positive))
    numbers: dict[str, int] = {}
    negative_match = np.array([numbers.setdefault(match, len(numbers)) for match in texts.matches], dtype=np.int64)
    return PairExamples(
        texts,
        pairs,
        sides=texts.rows_of(named, path).reshape(-1, 2),
        negatives=[texts.rows_of(pair.negatives, path) for pair in pairs],
        match=np.array([numbers.setdefault(pair.match, len(numbers)) for pair in pairs], dtype=np.int64),
        negative_match=negative_match,
        rows=np.arange(len(pairs), dtype=np.int64),
    )
