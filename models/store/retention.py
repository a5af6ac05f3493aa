"""Which generations of a lineage are kept: the newest, and all that each of them needs to be resumed from."""

from __future__ import annotations

from collections.abc import Callable


def kept_generations(lineage: tuple[str, ...], keep: int, best_of: Callable[[str], str | None]) -> tuple[str, ...]:
    """The newest of a lineage, what they name as best, what that names, and so on.

    Args:
        lineage: Names of generations, oldest first.
        keep: How many of the newest.
        best_of: The generation that one names as best; ``None`` where it names none, or cannot be resumed from.
    """
    waiting: list[str | None] = list(lineage[-keep:])
    kept: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name is not None and name not in kept:
            kept.add(name)
            waiting.append(best_of(name))
    return tuple(name for name in lineage if name in kept)
