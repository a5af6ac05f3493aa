"""How often to save: the interval at which saving and work done again cost the least together.

Young 1974, A first order approximation to the optimum checkpoint interval, CACM 17(9); Daly 2006, A higher order
estimate of the optimum checkpoint interval for restart dumps, Future Generation Computer Systems 22(3), whose terms
beyond the first matter only where saving takes a good part of the time between interruptions. A notice before the
machine is taken, in which a job saves, makes losses smaller than assumed there, so the interval errs to the short side.
"""

from __future__ import annotations

import math

MOST_STALL = 0.02
"""Share of the time that training may stand still for saving."""


def advised_interval_seconds(checkpoint_seconds: float, interruptions_per_hour: float) -> float | None:
    """The interval between checkpoints [s], never so short that saving takes more than 2 % of the time.

    Args:
        checkpoint_seconds: How long training stands still for one [s].
        interruptions_per_hour: Expected interruptions in an hour of running.

    Returns:
        The interval; ``None`` where no interruption is expected, as then no interval is too long.
    """
    between_seconds = 3600.0 / interruptions_per_hour if interruptions_per_hour > 0 else math.inf
    if math.isinf(between_seconds):
        return None
    return max(math.sqrt(2 * checkpoint_seconds * between_seconds), checkpoint_seconds / MOST_STALL)


def repeated_seconds(interval_seconds: float, restart_seconds: float) -> float:
    """What one interruption costs on average: half an interval is done again, after starting again [s]."""
    return interval_seconds / 2 + restart_seconds
