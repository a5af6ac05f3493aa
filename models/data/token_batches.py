"""Records as padded batches of token windows.

A record that fits is one window. A longer one is read in several that overlap, each with the special tokens around it,
up to ``max_windows`` of them.

Shape letters: W windows, T tokens of the longest window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.data.columnar import RecordTable

Ints = npt.NDArray[np.int64]


class SpecialTokens(NamedTuple):
    """What a tokenizer puts around a text and fills up batches with.

    Args:
        prefix: Ids before the text.
        suffix: Ids behind it.
        pad: Id that fills up.
    """

    prefix: npt.NDArray[np.int32]
    suffix: npt.NDArray[np.int32]
    pad: int


class Reading(NamedTuple):
    """How long records are read.

    Args:
        max_seq_len: Longest window, special tokens included [tokens].
        max_windows: Windows of a record at most.
        overlap: Share of a window that it has in common with the one before it, at most a half.
    """

    max_seq_len: int
    max_windows: int
    overlap: float


@dataclass(frozen=True)
class TokenBatch:
    """Windows of some records.

    Args:
        ids_WT: ``(W, T)`` int64.
        mask_WT: ``(W, T)`` bool, false where filled up; ``None`` where nothing is.
        record_of_W: ``(W,)`` int64, row of the record among those asked for; ``None`` where each has one window.
        num_records: Records asked for.
    """

    ids_WT: Tensor
    mask_WT: Tensor | None
    record_of_W: Tensor | None
    num_records: int

    def to(self, device: torch.device) -> TokenBatch:
        """The same on another device."""
        return TokenBatch(
            self.ids_WT.to(device),
            None if self.mask_WT is None else self.mask_WT.to(device),
            None if self.record_of_W is None else self.record_of_W.to(device),
            self.num_records,
        )


class TokenStore:
    """Windows of all records of a table.

    Args:
        table: The records.
        special: Special tokens of their tokenizer; every record begins and ends with them.
        reading: How long ones are read.

    Attributes:
        num_windows: ``(N,)`` int64 of each record.
        window_lengths: ``(N,)`` int64, the longest window of each record, special tokens included [tokens].
        num_read: ``(N,)`` int64, tokens of each record that some window holds, special ones included.
    """

    def __init__(self, table: RecordTable, special: SpecialTokens, reading: Reading) -> None:
        self._ids = np.asarray(table.token_ids)
        self._ptr = np.asarray(table.token_ptr)
        self._special = special
        num_special = len(special.prefix) + len(special.suffix)
        self._room = reading.max_seq_len - num_special
        self._stride = self._room - int(reading.overlap * self._room)
        bodies: Ints = np.diff(self._ptr) - num_special
        wanted = 1 + np.maximum(0, -(-(bodies - self._room) // self._stride))
        self.num_windows: Ints = np.minimum(wanted, reading.max_windows)
        self.window_lengths: Ints = np.minimum(bodies, self._room) + num_special
        self.num_read: Ints = np.minimum(bodies, self._room + (self.num_windows - 1) * self._stride) + num_special

    def first_misfit(self) -> int | None:
        """The first record that does not begin and end with the special tokens; ``None`` where all do."""
        begins, ends = self._ptr[:-1], self._ptr[1:]
        prefix, suffix = self._special.prefix, self._special.suffix
        fits = ends - begins >= len(prefix) + len(suffix)
        for at, expected in enumerate(prefix):
            fits &= self._ids[np.minimum(begins + at, len(self._ids) - 1)] == expected
        for at, expected in enumerate(suffix):
            fits &= self._ids[np.maximum(ends - len(suffix) + at, 0)] == expected
        misfits = np.flatnonzero(~fits)
        return int(misfits[0]) if len(misfits) else None

    def batch(self, records: Ints) -> TokenBatch:
        """The windows of ``records``, filled up to the longest of them."""
        counts = self.num_windows[records]
        longest = int(self.window_lengths[records].max())
        ids = np.full((int(counts.sum()), longest), self._special.pad, np.int64)
        lengths = np.repeat(self.window_lengths[records], counts)
        row = 0
        for record, count, length in zip(records.tolist(), counts.tolist(), self.window_lengths[records], strict=True):
            for begin, end in self._spans(record, count):
                prefix, suffix = self._special.prefix, self._special.suffix
                ids[row, : len(prefix)] = prefix
                ids[row, len(prefix) : length - len(suffix)] = self._ids[begin:end]
                ids[row, length - len(suffix) : length] = suffix
                row += 1
        mask = np.arange(longest) < lengths[:, None]
        is_plain = len(ids) == len(records)
        return TokenBatch(
            ids_WT=torch.from_numpy(ids),
            mask_WT=None if mask.all() else torch.from_numpy(mask),
            record_of_W=None if is_plain else torch.from_numpy(np.repeat(np.arange(len(records)), counts)),
            num_records=len(records),
        )

    def _spans(self, record: int, count: int) -> list[tuple[int, int]]:
        """Begin and end of each window in the flat ids; all are full, so the last one may share more."""
        begin = int(self._ptr[record]) + len(self._special.prefix)
        end = int(self._ptr[record + 1]) - len(self._special.suffix)
        room = min(self._room, end - begin)
        starts = (min(begin + window * self._stride, end - room) for window in range(count))
        return [(start, start + room) for start in starts]
