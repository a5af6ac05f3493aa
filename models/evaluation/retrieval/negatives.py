"""Hard negatives: texts that look like the anchor to an encoder and do something else.

The nearest few are passed over: what nobody knows to do the same, and does, lies there. Texts of the anchor's group are
no negatives either: nothing says that they do something else. Variants made by augmentation are in no list, be they
right or wrong: they bring nothing that their original does not, and were they right only, how a variant looks would
tell the label.

Source:
    Karpukhin et al. 2020 (hard negatives beside those of the batch), Xiong et al. 2021 (mined by a model of before).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.data.retrieval.candidate_lists import CandidateList
from models.evaluation.retrieval.embedded import Sides
from models.evaluation.retrieval.search import Ordered, Pool
from models.evaluation.retrieval.texts import Integers, Texts, numbered


class Miner:
    """Finds negatives among the originals of some texts.

    Args:
        texts: ``N`` texts of training.
        sides: Vectors of them as they are found and as they ask.
        skip_nearest: Nearest allowed texts that are passed over.
        most: Negatives of an anchor at most.
    """

    def __init__(self, texts: Texts, sides: Sides, *, skip_nearest: int, most: int) -> None:
        self.texts = texts
        self.sides = sides
        self.matches = numbered(texts.matches)
        self._groups = numbered(texts.groups)
        self._originals = np.flatnonzero(~texts.is_variant)
        self._pool = Pool(sides.found[self._originals])
        self._skip = skip_nearest
        self._most = most

    def mine(self, anchors: Integers) -> Iterator[tuple[int, Integers]]:
        """Of each anchor (a row) its negatives (rows), the hardest first; fewer where the pool is too small."""
        for found in self._pool.search(self.sides.asking[anchors], self._depth(anchors)):
            yield from self._negatives(anchors, found)

    def _negatives(self, anchors: Integers, found: Ordered) -> Iterator[tuple[int, Integers]]:
        for anchor, order in zip(anchors[found.queries].tolist(), self._originals[found.order], strict=True):
            is_other = (self.matches[order] != self.matches[anchor]) & (self._groups[order] != self._groups[anchor])
            yield anchor, order[is_other][self._skip : self._skip + self._most]

    def _depth(self, anchors: Integers) -> int:
        """Deep enough that whatever is nearer, no anchor lacks negatives that the pool has."""
        of_match = np.bincount(self.matches[self._originals], minlength=self.matches.max() + 1)
        of_group = np.bincount(self._groups[self._originals], minlength=self._groups.max() + 1)
        barred = of_match[self.matches[anchors]] + of_group[self._groups[anchors]]
        return self._skip + self._most + int(barred.max(initial=0))


def training_list(miner: Miner, anchor: int, negatives: Integers, *, list_size: int, seed: int) -> CandidateList | None:
    """A list to learn from: originals that do the same, and negatives; ``None`` where there are none of either.

    Args:
        miner: With the texts.
        anchor: Row of the query.
        negatives: Its negatives (rows), the hardest first.
        list_size: Candidates at most; relevant ones are at most half of them.
        seed: Seed of the draw where more are relevant.
    """
    texts = miner.texts
    others = np.flatnonzero((miner.matches == miner.matches[anchor]) & ~texts.is_variant)
    others = others[others != anchor]
    relevant = others
    if len(others) > list_size // 2:
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, anchor])))
        relevant = random.choice(others, size=list_size // 2, replace=False)
    candidates = np.concatenate([relevant, negatives[: list_size - len(relevant)]])
    if not 0 < len(relevant) < len(candidates):
        return None
    nearness = miner.sides.found[candidates] @ miner.sides.asking[anchor]
    order = np.lexsort((candidates, -nearness))
    return CandidateList(
        list_id=texts.ids[anchor],
        group=texts.groups[anchor],
        query=texts.ids[anchor],
        candidates=tuple(texts.ids[row] for row in candidates[order]),
        relevant=tuple((miner.matches[candidates[order]] == miner.matches[anchor]).astype(int).tolist()),
        features=tuple((value,) for value in nearness[order].astype(float).tolist()),
        num_relevant=len(others),
        split="train",
    )
