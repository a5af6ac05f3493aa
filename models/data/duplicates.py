"""Exact and near duplicates among functions, within and across splits.

Near duplicates of Devign contradict each other's labels more often than not, and duplicates across splits are a
leak: both are counted and reported, nothing is dropped here.

Exact means the same tokens (comments and white space apart). Near means an estimated Jaccard similarity of three-token
shingles from ``similarity`` up (MinHash, `models.data.minhash`). A function of fewer than ``MIN_TOKENS`` tokens has
too few shingles for an estimate and takes part in the exact search only; their number is in the report.
"""

from __future__ import annotations

from array import array
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.data.joined_groups import joined_groups
from models.data.minhash import Indices, Signatures, SimilarPairs, band_shape, signatures_of, similar_pairs

MIN_TOKENS = 20
MAX_SAMPLES = 20
BATCH_BYTES = 1 << 16
BATCHES_PER_BLOCK = 64

Counts = npt.NDArray[np.int64]


class Links(NamedTuple):
    """Copies as pairs of functions; joined up (``joined_groups``) they are clusters.

    Args:
        exact: Pairs of row numbers (from 0, in the order they were added): each function whose tokens came before, with
            the first that had them.
        near: Near duplicates, the first function of each of the two texts.
        complete: False when a bucket was so large that near pairs are a lower bound.
    """

    exact: list[tuple[int, int]]
    near: list[tuple[int, int]]
    complete: bool


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
        self._splits: dict[str, int] = {}  # name -> number
        self._cells = array("i")  # per row: 2 * split + label
        self._names: list[str] = []
        self._groups: list[str] = []
        self._texts_of: dict[bytes, int] = {}  # digest -> number of the distinct text
        self._text = array("q")  # per row: its distinct text
        self._is_short = array("b")  # per distinct text
        self._signatures: list[Signatures] = []  # large blocks of distinct texts
        self._new_signatures: list[Signatures] = []  # of single batches
        self._waiting: list[str] = []
        self._waiting_bytes = 0

    def add(self, split: str, record_id: str, group: str, label: int, code: str) -> None:
        """Take one function; ``label`` is 0 or 1."""
        self._cells.append(2 * self._splits.setdefault(split, len(self._splits)) + label)
        self._names.append(record_id)
        self._groups.append(group)
        self._waiting.append(code)
        self._waiting_bytes += len(code)
        if self._waiting_bytes >= BATCH_BYTES:
            self._digest_waiting()

    def _digest_waiting(self) -> None:
        if not self._waiting:
            return
        batch = signatures_of(self._waiting, self.num_permutations)
        first_seen: list[int] = []
        for row, digest in enumerate(batch.digests):
            text = self._texts_of.setdefault(digest, len(self._texts_of))
            if text == len(self._is_short) + len(first_seen):
                first_seen.append(row)
            self._text.append(text)
        self._is_short.extend((batch.num_tokens[first_seen] < MIN_TOKENS).tolist())
        all_new = len(first_seen) == len(batch.digests)
        self._new_signatures.append(batch.signatures if all_new else batch.signatures[first_seen])
        if len(self._new_signatures) == BATCHES_PER_BLOCK:
            self._make_block()
        self._waiting, self._waiting_bytes = [], 0

    def _make_block(self) -> None:
        """Large blocks lie outside the heap: their memory is free at once when they are let go."""
        self._signatures.append(np.concatenate(self._new_signatures))
        self._new_signatures = []

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
            "num_records": self._per_split(np.ones(len(self._names), dtype=bool)),
            "num_distinct": len(self._is_short),
            "num_short": self._per_split(np.array(self._is_short, bool)[np.array(self._text, np.int64)]),
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
        links = self.links()
        first_of = joined_groups(len(self._names), chain(links.exact, links.near))
        members: dict[int, list[str]] = {}
        for name, first in zip(self._names, first_of, strict=True):
            members.setdefault(first, []).append(name)
        return {name: names[0] for names in members.values() if len(names) > 1 for name in names}

    def links(self) -> Links:
        """Pairs of rows, the smaller number first, sorted by text.

        What is connected over these pairs, alone or with further links of the caller's, is what is connected over all
        copies; pairs of copies that are connected otherwise are left out.
        """
        self._digest_waiting()
        if not self._names:
            return Links([], [], True)
        texts = np.array(self._text, np.int64)
        _, first_rows = np.unique(texts, return_index=True)  # a text's number grows with its first row
        first_copy = first_rows[texts]
        (copies,) = np.nonzero(first_copy < np.arange(len(texts)))
        pairs = self._near_pairs()
        exact, near = (first_copy[copies], copies), (first_rows[pairs.left], first_rows[pairs.right])
        return Links(_as_pairs(*exact), _as_pairs(*near), pairs.num_cut_buckets == 0)

    def _counts(self) -> Counts:
        """Rows per distinct text and cell, a cell being ``2 * split + label``: (texts, cells)."""
        num_cells = 2 * len(self._splits)
        flat = np.array(self._text, np.int64) * num_cells + np.array(self._cells, np.int64)
        return np.bincount(flat, minlength=len(self._is_short) * num_cells).reshape(len(self._is_short), num_cells)

    def _near_pairs(self) -> SimilarPairs:
        """Similar pairs of distinct texts that are long enough."""
        signatures = self._joined_signatures()
        (long_enough,) = np.nonzero(~np.array(self._is_short, bool))
        chosen = signatures if len(long_enough) == len(signatures) else signatures[long_enough]
        pairs = similar_pairs(chosen, self.similarity)
        return pairs._replace(left=long_enough[pairs.left], right=long_enough[pairs.right])

    def _joined_signatures(self) -> Signatures:
        """One array from here on; each block is let go as soon as it is copied."""
        if self._new_signatures:
            self._make_block()
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
        splits = np.array(self._cells, np.int64) // 2
        return {name: int((chosen & (splits == number)).sum()) for name, number in self._splits.items()}

    def _pair_table(self, ordered_pairs: Counts) -> dict[str, dict[str, dict[str, int]]]:
        """Split the (cells, cells) table of ordered pairs into splits and label agreement."""
        within, across = {}, {}
        names = list(self._splits)
        for a, name in enumerate(names):
            within[name] = _outcome(ordered_pairs[2 * a : 2 * a + 2, 2 * a : 2 * a + 2], times_seen=2)
            for b in range(a + 1, len(names)):
                block = ordered_pairs[2 * a : 2 * a + 2, 2 * b : 2 * b + 2]
                across[f"{name}/{names[b]}"] = _outcome(block, times_seen=1)
        return {"within": within, "across": across}

    def _twins_in_train(self, counts: Counts, pairs: SimilarPairs) -> dict[str, dict[str, int]]:
        if "train" not in self._splits:
            return {}
        train = self._splits["train"]
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
            for name, number in self._splits.items()
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
        found.sort(key=lambda pair: self._split(pair[0]) == self._split(pair[1]))  # stable: across splits first
        return [self._sample(*pair) for pair in found[:MAX_SAMPLES]]

    def _partner(self, rows: list[int]) -> int:
        return next((row for row in rows if self._split(row) != self._split(rows[0])), rows[1])

    def _split(self, row: int) -> int:
        return self._cells[row] // 2

    def _sample(self, left: int, right: int, similarity: float, kind: str) -> dict[str, Any]:
        pair = sorted((left, right), key=lambda row: (self._split(row), self._names[row]))
        names = list(self._splits)
        return {
            "kind": kind,
            "similarity": round(similarity, 4),
            "ids": [self._names[row] for row in pair],
            "splits": [names[self._split(row)] for row in pair],
            "labels": [self._cells[row] % 2 for row in pair],
            "same_group": self._groups[left] == self._groups[right],
        }


def _as_pairs(left: Indices, right: Indices) -> list[tuple[int, int]]:
    return list(zip(left.tolist(), right.tolist(), strict=True))


def _outcome(block: Counts, times_seen: int) -> dict[str, int]:
    """Pairs of a (2, 2) block of labels, each seen ``times_seen`` times."""
    same, total = int(np.trace(block)) // times_seen, int(block.sum()) // times_seen
    return {"pairs": total, "same_label": same, "other_label": total - same}


def _agreeing_share(ordered_pairs: Counts) -> float | None:
    total = int(ordered_pairs.sum())
    labels = np.arange(len(ordered_pairs)) % 2
    same = int(ordered_pairs[labels[:, None] == labels[None, :]].sum())
    return round(same / total, 4) if total else None
