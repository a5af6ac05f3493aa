"""Random choices of a transform: one stream for each transform, seed and text, quick where there are hundreds."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256, shake_128
from itertools import count
from typing import TypeVar

Item = TypeVar("Item")
_LIMIT = 1 << 32
_VALUES = struct.Struct(">96I")


class Choices:
    """A stream of choices; equal arguments give equal choices, on every machine and in every process.

    SHAKE-128 of a key and a counter: a generator with a large state takes longer to seed than a small text to change.

    Args:
        transform: Its name.
        seed: Of the variant.
        text_digest: SHA-256 of the text.
    """

    def __init__(self, transform: str, seed: int, text_digest: bytes) -> None:
        key = sha256(b"%b %d " % (transform.encode(), seed) + text_digest).digest()
        self._next = _values(key).__next__

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._next() < probability * _LIMIT

    def some(self, items: Iterable[Item], probability: float) -> list[Item]:
        """Each item with this probability, in order."""
        following, limit = self._next, probability * _LIMIT
        return [item for item in items if following() < limit]

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return items[self._next() * len(items) // _LIMIT]


def _values(key: bytes) -> Iterator[int]:
    """Whole numbers below 2**32, without end."""
    for number in count():
        yield from _VALUES.unpack(shake_128(key + number.to_bytes(8, "big")).digest(_VALUES.size))
