"""The named points at which a run can be killed by the kill certificate (``benchmarks.resume``).

Only names and the hook belong here. Code that must survive a death calls ``reached``; without an observer nothing
happens. An observer may end the process, or raise to simulate its death.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

TEMP_WRITE: Final = "temp-write"
"""Half of a temp file's bytes are on disk."""
BEFORE_RENAME: Final = "before-rename"
"""A generation is complete in its staging folder."""
AFTER_RENAME: Final = "after-rename"
"""It has its final name, durably; the head does not know it."""
BEFORE_HEAD: Final = "before-head"
"""The new head is about to be written."""
AFTER_HEAD: Final = "after-head"
"""The head has moved; old generations are still there."""
COLLECTION: Final = "collection"
"""The first of the old generations is gone, the others are not."""
MID_STEP: Final = "mid-step"
"""The engine is between backward pass and update."""
EVALUATION: Final = "evaluation"
"""The engine is evaluating."""

MID_UPLOAD: Final = "mid-upload"
"""Half of a file's bytes are on their way to S3."""
BEFORE_REMOTE_MANIFEST: Final = "before-remote-manifest"
"""All parts of a generation are in S3, its manifest is not."""
BEFORE_REMOTE_HEAD: Final = "before-remote-head"
"""The generation is whole in S3; the head there does not know it."""
AFTER_REMOTE_HEAD: Final = "after-remote-head"
"""The head in S3 has moved; old generations are still there."""

CRASH_POINTS: Final[tuple[str, ...]] = (
    TEMP_WRITE,
    BEFORE_RENAME,
    AFTER_RENAME,
    BEFORE_HEAD,
    AFTER_HEAD,
    COLLECTION,
    MID_STEP,
    EVALUATION,
)
"""Those of every run."""
REMOTE_CRASH_POINTS: Final[tuple[str, ...]] = (
    MID_UPLOAD,
    BEFORE_REMOTE_MANIFEST,
    BEFORE_REMOTE_HEAD,
    AFTER_REMOTE_HEAD,
)
"""Those of a run that is mirrored to S3, beside the others; reached on the thread that uploads."""

_observer: Callable[[str], None] | None = None


def observe(observer: Callable[[str], None] | None) -> None:
    """Have ``observer`` called with the name of each point reached in this process; ``None`` removes it."""
    global _observer
    _observer = observer


def reached(point: str) -> None:
    """Tell the observer, if there is one, that this point was reached.

    Args:
        point: One of ``CRASH_POINTS`` or ``REMOTE_CRASH_POINTS``.
    """
    if _observer is not None:
        _observer(point)
