"""One scale for the log-odds of models that were fitted apart, without a look at any label.

Fold models and the model refit on all of training differ in offset and spread of their log-odds by chance of their
training. Every one of them scored the same validation records, so each is measured by these: less their mean, over
their standard deviation. Weights of a fusion that were learnt on fold models then fit the refit ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import Floats


@dataclass(frozen=True)
class Scale:
    """Where the log-odds of one fitted model lie on validation.

    Args:
        mean: Of its validation log-odds.
        deviation: Their standard deviation, above 0.
        doubt: Why it should be looked at, for people; empty where it is an ordinary scale.
    """

    mean: float
    deviation: float
    doubt: str = ""

    def apply(self, log_odds: npt.ArrayLike) -> Floats:
        """``(N,)`` log-odds in standard deviations above the mean of validation."""
        return np.asarray((np.asarray(log_odds, dtype=np.float64) - self.mean) / self.deviation)


def scale_of(valid_log_odds: npt.ArrayLike) -> Scale:
    """The scale of a model by its validation log-odds ``(V,)``; deviation 1 where all are the same.

    Raises:
        ValueError: There is no record, or a score is not finite.
    """
    scores = np.asarray(valid_log_odds, dtype=np.float64)
    if not len(scores) or not np.isfinite(scores).all():
        raise ValueError("a scale needs at least one record, and finite log-odds")
    if np.ptp(scores) == 0.0:  # the deviation of equal numbers may be a rounding error above 0
        return Scale(float(scores[0]), 1.0, "every validation score is the same: its scores are not scaled")
    return Scale(float(scores.mean()), float(scores.std()))
