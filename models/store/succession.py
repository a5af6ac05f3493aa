"""How an attempt becomes the only writer of a run's checkpoints, wherever their head lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models.errors import BuildDiffers, HeadConflict
from models.store.head import HEAD_KEY, Head, HeadPointer, identity_differences

_TRIES = 20


def succeed(
    pointer: HeadPointer, *, attempt: int, identity: dict[str, str], where: Path | str
) -> tuple[Head | None, Head]:
    """Move the head to this attempt; from then on earlier ones are refused.

    Args:
        pointer: The head.
        attempt: This attempt.
        identity: Digests of the run; a head with others is refused.
        where: The run, for the error.

    Returns:
        The head as it was found (or recovered; ``None`` where there was none), and as it is now.

    Raises:
        HeadConflict: This or a later attempt has taken over already. Not retried.
        BuildDiffers: The checkpoints belong to another run or build. Not retried.
        StoreUnavailable: The store refuses. Retried.
    """
    for remaining in reversed(range(_TRIES)):
        found = pointer.find()
        if found is not None:
            _require_older(pointer, found, attempt)
            require_identity(found.identity, identity, where)
        base = found if found is not None else Head(None, None, (), 0, "", {})
        try:
            return found, pointer.move(replace(base, attempt=attempt, identity=identity))
        except HeadConflict:
            # An older attempt that still lives has published in between: build on what it published.
            if not remaining:
                raise
    raise AssertionError("the last try returns or raises")


def require_identity(found: dict[str, str], expected: dict[str, str], where: Path | str) -> None:
    """Raise ``BuildDiffers``, naming each key that differs, unless both are the same run and build."""
    differences = identity_differences(found, expected)
    if differences:
        raise BuildDiffers(where, differences)


def _require_older(pointer: HeadPointer, found: Head, attempt: int) -> None:
    if found.attempt >= attempt and not pointer.is_mine(found):
        raise HeadConflict(
            HEAD_KEY,
            f"an attempt before {attempt}",
            f"attempt {found.attempt} (if it is not running, start as attempt {found.attempt + 1})",
        )
