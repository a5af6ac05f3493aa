"""What filtering costs: right candidates that are kept when most wrong ones are thrown away by their scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FILTERED = 0.8
"""Share of the wrong candidates that is thrown away."""
METHOD = (
    f"share of the right candidates that score above the cut which throws {FILTERED:.0%} of the wrong ones away; one "
    "cut for each split (each left-out project has a model of its own), over all of its lists, of one label too; "
    f"candidates that score just as the cut are thrown away in proportion, so that equal scores keep {1 - FILTERED:.0%}"
)


def kept(scores: Floats, relevant: npt.NDArray[np.bool_], splits: Sequence[str]) -> Floats:
    """``(C,)`` of each right candidate, in order, the share of it that is kept.

    Args:
        scores: ``(M,)`` of all candidates.
        relevant: ``(M,)`` whether each is right.
        splits: ``(M,)`` split of each.

    Returns:
        In [0, 1]; NaN in a split without a wrong candidate.
    """
    values = np.full(len(scores), np.nan)
    names = np.asarray(splits, dtype=str)
    for name in sorted(set(splits)):
        here = names == name
        wrong = scores[here & ~relevant]
        if len(wrong):
            values[here] = _kept_of(scores[here], wrong)
    return values[relevant]


def _kept_of(scores: Floats, wrong: Floats) -> Floats:
    """Of each score the share that is kept, where ``FILTERED`` of the wrong ones are not."""
    ordered = np.sort(wrong)
    target = FILTERED * len(wrong)
    cut = ordered[min(int(np.ceil(target)) - 1, len(wrong) - 1)]
    below, tied = int((wrong < cut).sum()), int((wrong == cut).sum())
    thrown = (target - below) / tied
    return np.where(scores > cut, 1.0, np.where(scores == cut, 1.0 - thrown, 0.0))
