"""How often something far away is looked at."""

from __future__ import annotations

import time
from dataclasses import dataclass

SLOWEST_FACTOR = 6.0
"""Looks become rarer while nothing changes, up to so many times the least pause."""
GROWTH = 1.5


@dataclass
class Pace:
    """When to look again: soon after something changed, ever more rarely while nothing does.

    Args:
        least_seconds: Least time between two looks [s].
    """

    least_seconds: float
    _pause_seconds: float = 0.0
    _next: float = 0.0

    def is_due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() >= self._next

    def looked(self, *, changed: bool) -> None:
        """Note a look and what it brought."""
        longer = min(self._pause_seconds * GROWTH, self.least_seconds * SLOWEST_FACTOR)
        self._pause_seconds = self.least_seconds if changed else max(self.least_seconds, longer)
        self._next = time.monotonic() + self._pause_seconds

    def hurry(self) -> None:
        """Something is about to happen: look at once."""
        self._pause_seconds, self._next = 0.0, 0.0
