"""Exact and near duplicates among functions, within and across splits.

Near duplicates of Devign contradict each other's labels more often than not, and duplicates across splits are a
leak: both are counted and reported, nothing is dropped here.

Exact means the same tokens (comments and white space apart). Near means an estimated Jaccard similarity of three-token
shingles from ``similarity`` up (MinHash, `models.data.minhash`). A function of fewer than ``MIN_TOKENS`` tokens has
too few shingles for an estimate and takes part in the exact search only; their number is in the report.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.data.minhash import SimilarPairs, band_shape, signatures_of, similar_pairs

MIN_TOKENS = 20
MAX_SAMPLES = 20
BATCH_BYTES = 1 << 18

Counts = npt.NDArray[np.int64]


class _Row(NamedTuple):
    split: int
    record_id: str
    group: str
    label: int


class DuplicateSearch:
    """Takes functions one by one and reports which are copies of which.

    Memory: a signature (4 bytes a permutation), a digest, and the names; about 1 kB a function.

    Args:
        similarity: Estimated Jaccard similarity from which two functions are near duplicates, in (0, 1].
        num_permutations: Length of a signature; the estimate's standard deviation is about
            ``sqrt(s * (1 - s) / num_permutations)``.
    """

    def __init__(self, similarity: float, num_permutations: int = 128) -> None:
        self.similarity = similarity
        self.num_permutations = num_permutations
        self._splits: list[str] = []
        self._rows: list[_Row] = []
        self._texts_of: dict[bytes, int] = {}  # digest -> number of the distinct text
        self._text: list[int] = []  # per row: its distinct text
        self._is_short: list[bool] = []  # per distinct text
        self._signatures: list[npt.NDArray[np.uint32]] = []  # blocks of distinct texts
        self._waiting: list[str] = []
        self._waiting_bytes = 0

    def add(self, split: str, record_id: str, group: str, label: int, code: str) -> None:
        """Take one function; ``label`` is 0 or 1."""
        if split not in self._splits:
            self._splits.append(split)
        self._rows.append(_Row(self._splits.index(split), record_id, group, label))
        self._waiting.append(code)
        self._waiting_bytes += len(code)
        if self._waiting_bytes >= BATCH_BYTES:
            self._digest_waiting()

    def _digest_waiting(self) -> None:
        if not self._waiting:
            return
        batch = signatures_of(self._waiting, self.num_permutations)
        first_seen = []
        for row, digest in enumerate(batch.digests):
            text = self._texts_of.setdefault(digest, len(self._texts_of))
            if text == len(self._is_short):
                self._is_short.append(bool(batch.num_tokens[row] < MIN_TOKENS))
                first_seen.append(row)
            self._text.append(text)
        self._signatures.append(batch.signatures[first_seen])
        self._waiting, self._waiting_bytes = [], 0

    def report(self) -> dict[str, Any]:
        """All that was found, as JSON values.

        Returns:
            ``exact`` and ``near``: per split and per pair of splits ``pairs``, ``same_label``, ``other_label``;
            ``with_twin_in_train``: per other split the records with an exact or near twin in train;
            ``label_agreement``: share of exact, near and all pairs whose labels agree (null where there is none);
            ``samples``: up to 20 pairs, most similar first, across splits before within; ``num_short``;
            ``complete``: false when a bucket was so large that near pairs are a lower bound.
        """
        self._digest_waiting()
        counts = self._counts()
        pairs = self._near_pairs()
        exact = counts.T @ counts - np.diag(counts.sum(axis=0))  # ordered pairs of different rows
        near = counts[pairs.left].T @ counts[pairs.right]
        near = near + near.T
        bands, rows = band_shape(self.similarity, self.num_permutations)
        return {
            "similarity": self.similarity,
            "num_permutations": self.num_permutations,
            "bands": bands,
            "rows_per_band": rows,
            "num_records": self._per_split(np.ones(len(self._rows), dtype=bool)),
            "num_distinct": len(self._is_short),
            "num_short": self._per_split(np.array([self._is_short[text] for text in self._text], dtype=bool)),
            "exact": self._pair_table(exact),
            "near": self._pair_table(near),
            "label_agreement": {
                "exact": _agreeing_share(exact),
                "near": _agreeing_share(near),
                "all": _agreeing_share(exact + near),
            },
            "with_twin_in_train": self._twins_in_train(counts, pairs),
            "complete": pairs.num_cut_buckets == 0,
            "num_cut_buckets": pairs.num_cut_buckets,
            "samples": self._samples(pairs),
        }

    def clusters(self) -> dict[str, str]:
        """For each function with an exact or near copy, through others too: the record id of its cluster's first."""
        self._digest_waiting()
        if not self._rows:
            return {}
        pairs = self._near_pairs()
        first_of = _first_of_each(len(self._is_short), zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
        members: dict[int, list[str]] = {}
        for row, text in zip(self._rows, self._text, strict=True):
            members.setdefault(first_of[text], []).append(row.record_id)
        return {name: names[0] for names in members.values() if len(names) > 1 for name in names}

    def _counts(self) -> Counts:
        """Rows per distinct text and cell, a cell being ``2 * split + label``: (texts, cells)."""
        counts = np.zeros((len(self._is_short), 2 * len(self._splits)), np.int64)
        cells = np.array([2 * row.split + row.label for row in self._rows], np.int64)
        np.add.at(counts, (np.array(self._text, np.int64), cells), 1)
        return counts

    def _near_pairs(self) -> SimilarPairs:
        """Similar pairs of distinct texts that are long enough."""
        signatures = self._joined_signatures()
        (long_enough,) = np.nonzero(~np.array(self._is_short, dtype=bool))
        chosen = signatures if len(long_enough) == len(signatures) else signatures[long_enough]
        pairs = similar_pairs(chosen, self.similarity)
        return pairs._replace(left=long_enough[pairs.left], right=long_enough[pairs.right])

    def _joined_signatures(self) -> npt.NDArray[np.uint32]:
        """One array from here on; each block is let go as soon as it is copied."""
        signatures = np.empty((len(self._is_short), self.num_permutations), np.uint32)
        at = 0
        self._signatures.reverse()
        while self._signatures:
            block = self._signatures.pop()
            signatures[at : at + len(block)] = block
            at += len(block)
        self._signatures = [signatures]
        return signatures

    def _per_split(self, chosen: npt.NDArray[np.bool_]) -> dict[str, int]:
        splits = np.array([row.split for row in self._rows], np.int64)
        return {name: int((chosen & (splits == number)).sum()) for number, name in enumerate(self._splits)}

    def _pair_table(self, ordered_pairs: Counts) -> dict[str, dict[str, dict[str, int]]]:
        """Split the (cells, cells) table of ordered pairs into splits and label agreement."""
        within, across = {}, {}
        for a, name in enumerate(self._splits):
            within[name] = _outcome(ordered_pairs[2 * a : 2 * a + 2, 2 * a : 2 * a + 2], times_seen=2)
            for b in range(a + 1, len(self._splits)):
                block = ordered_pairs[2 * a : 2 * a + 2, 2 * b : 2 * b + 2]
                across[f"{name}/{self._splits[b]}"] = _outcome(block, times_seen=1)
        return {"within": within, "across": across}

    def _twins_in_train(self, counts: Counts, pairs: SimilarPairs) -> dict[str, dict[str, int]]:
        if "train" not in self._splits:
            return {}
        train = self._splits.index("train")
        per_split = counts.reshape(len(counts), -1, 2).sum(axis=2)  # (texts, splits)
        exact = per_split[:, train] > 0
        near = np.zeros(len(counts), dtype=bool)
        near[pairs.left[exact[pairs.right]]] = True
        near[pairs.right[exact[pairs.left]]] = True
        return {
            name: {
                "exact": int(per_split[exact, number].sum()),
                "near": int(per_split[near, number].sum()),
                "either": int(per_split[exact | near, number].sum()),
            }
            for number, name in enumerate(self._splits)
            if number != train
        }

    def _samples(self, pairs: SimilarPairs) -> list[dict[str, Any]]:
        """One pair per text for exact copies (of two splits if there are), one per pair of texts for near ones."""
        rows_of: dict[int, list[int]] = {}
        for row, text in enumerate(self._text):
            rows_of.setdefault(text, []).append(row)
        exact = [(rows[0], self._partner(rows), 1.0, "exact") for rows in rows_of.values() if len(rows) > 1]
        most_similar = np.argsort(-pairs.similarity, kind="stable")
        near = [
            (rows_of[int(pairs.left[at])][0], rows_of[int(pairs.right[at])][0], float(pairs.similarity[at]), "near")
            for at in most_similar[: 50 * MAX_SAMPLES]
        ]
        found = exact + near
        found.sort(
            key=lambda pair: self._rows[pair[0]].split == self._rows[pair[1]].split
        )  # stable: across splits first
        return [self._sample(*pair) for pair in found[:MAX_SAMPLES]]

    def _partner(self, rows: list[int]) -> int:
        return next((row for row in rows if self._rows[row].split != self._rows[rows[0]].split), rows[1])

    def _sample(self, left: int, right: int, similarity: float, kind: str) -> dict[str, Any]:
        pair = sorted((self._rows[left], self._rows[right]), key=lambda row: (row.split, row.record_id))
        return {
            "kind": kind,
            "similarity": round(similarity, 4),
            "ids": [row.record_id for row in pair],
            "splits": [self._splits[row.split] for row in pair],
            "labels": [row.label for row in pair],
            "same_group": pair[0].group == pair[1].group,
        }


def _first_of_each(num_texts: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Per text the first one that is connected with it."""
    first = list(range(num_texts))

    def find(text: int) -> int:
        while first[text] != text:
            first[text] = text = first[first[text]]
        return text

    for left, right in pairs:
        a, b = find(left), find(right)
        first[max(a, b)] = min(a, b)
    return [find(text) for text in range(num_texts)]


def _outcome(block: Counts, times_seen: int) -> dict[str, int]:
    """Pairs of a (2, 2) block of labels, each seen ``times_seen`` times."""
    same, total = int(np.trace(block)) // times_seen, int(block.sum()) // times_seen
    return {"pairs": total, "same_label": same, "other_label": total - same}


def _agreeing_share(ordered_pairs: Counts) -> float | None:
    total = int(ordered_pairs.sum())
    labels = np.arange(len(ordered_pairs)) % 2
    same = int(ordered_pairs[labels[:, None] == labels[None, :]].sum())
    return round(same / total, 4) if total else None
