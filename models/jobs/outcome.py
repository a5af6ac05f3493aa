"""How an attempt ended: ``outcome.json`` decides, the exit code is its echo, the failure file says it to a platform."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.errors import Interrupted
from models.jobs.failure_file import write_failure

OUTCOME_OF_EXIT = {0: "done", 2: "refused", 75: "interrupted"}


def outcome_of(exit_code: int, message: str, *, attempt: int, error: BaseException | None = None) -> dict[str, Any]:
    """The content of ``outcome.json``.

    Args:
        exit_code: Exit code of the attempt.
        message: What a person should know of its end.
        attempt: Counted from 1.
        error: The error that ended it.
    """
    return {
        "outcome": OUTCOME_OF_EXIT.get(exit_code, "crashed"),
        "message": message,
        "error": type(error).__name__ if error is not None else None,
        "retryable": bool(getattr(error, "retryable", False)),
        "step": error.step if isinstance(error, Interrupted) else None,
        "attempt": attempt,
    }


def say(outcome: Mapping[str, Any]) -> None:
    """One line of the error of an outcome, where a person or the log of a container finds it."""
    if outcome.get("error"):
        print(f"{outcome['error']}: {outcome['message']}", file=sys.stderr)  # noqa: T201  the log of a container


def tell_platform(failure_path: str | None, outcome: Mapping[str, Any]) -> None:
    """Write the failure file of an attempt that did not finish the job, where the platform reads one."""
    if failure_path is not None:
        write_failure(Path(failure_path), outcome)


def clear_failure(failure_path: str | None) -> None:
    """Remove what an earlier attempt said."""
    if failure_path is not None:
        Path(failure_path).unlink(missing_ok=True)
