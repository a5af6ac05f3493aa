"""Calibration: two numbers that make a model's probabilities as sure, and as high, as validation says they may be.

A temperature and a bias (Platt scaling), so that fold models, whose log-odds differ by an offset each, become
comparable. The ranking of one model stays as it is. Both are learnt on validation records. No model took a gradient
step on these, but each chose its epoch by them: on them it looks a little better than it is, and the temperature comes
out a little low.

Source:
    Platt 1999, Probabilistic outputs for support vector machines; Guo, Pleiss, Sun and Weinberger 2017, On Calibration
    of Modern Neural Networks, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import Floats
from models.evaluation.out_of_fold.scored_rows import log_losses, sigmoid

LOWEST, HIGHEST = 0.05, 20.0
"""Bounds: 20 takes nearly all certainty out of any score, and nothing finite is certain enough for less than 0.05."""
TOLERANCE = 1e-15
"""Of the log loss, at the end of the search."""
AT_BOUND = 1e-4


@dataclass(frozen=True)
class Temperature:
    """A fitted calibration: log-odds become ``log-odds / value + bias``.

    Args:
        value: The temperature, above 0.
        bias: What is added.
        log_loss_before: Mean negative log-likelihood of the labels it was fitted on [nats].
        log_loss_after: The same when calibrated.
        doubt: Why it should be looked at, for people; empty where it is an ordinary fit.
    """

    value: float
    bias: float
    log_loss_before: float
    log_loss_after: float
    doubt: str = ""

    def apply(self, log_odds: npt.ArrayLike) -> Floats:
        """Calibrated log-odds."""
        return np.asarray(np.asarray(log_odds, dtype=np.float64) / self.value + self.bias)


def fit_temperature(labels: npt.ArrayLike, log_odds: npt.ArrayLike) -> Temperature:
    """Temperature and bias of least mean negative log-likelihood, 1 and 0 where none can be learnt.

    Args:
        labels: ``(N,)``, 0 or 1.
        log_odds: ``(N,)`` of label 1, finite.

    Returns:
        With ``doubt`` where every score or every label is the same (1 and 0 are taken), where the search did not
        converge (1 and 0 are taken), or where the best lies at a bound.

    Raises:
        ValueError: There is no record, or a score is not finite.
    """
    truth, scores = np.asarray(labels), np.asarray(log_odds, dtype=np.float64)
    if not len(scores) or not np.isfinite(scores).all():
        raise ValueError("a temperature needs at least one record, and finite log-odds")
    before = float(log_losses(truth, scores).mean())
    if len(np.unique(truth)) == 1:
        return _none(before, f"every validation label is {truth[0]}")
    if np.ptp(scores) == 0.0:
        return _none(before, "every validation score is the same")
    return _least_log_loss(truth, scores, before)


def _none(before: float, why: str) -> Temperature:
    return Temperature(1.0, 0.0, before, before, f"{why}: temperature 1 is taken")


def _least_log_loss(labels: npt.NDArray[np.integer], log_odds: npt.NDArray[np.float64], before: float) -> Temperature:
    """Search for the inverse temperature and the bias, in which the log loss is convex, on standardised scores."""
    from scipy.optimize import minimize

    truth = (labels == 1).astype(np.float64)
    mean, deviation = float(log_odds.mean()), float(log_odds.std())
    standard = (log_odds - mean) / deviation

    def loss_and_slope(found: Floats) -> tuple[float, Floats]:
        scores = found[0] * standard + found[1]
        errors = sigmoid(scores) - truth
        return float(log_losses(labels, scores).mean()), np.array([(errors * standard).mean(), errors.mean()])

    bounds = (deviation / HIGHEST, deviation / LOWEST)
    result: Any = minimize(
        loss_and_slope,
        np.array([np.clip(deviation, *bounds), mean]),  # the scores as they are
        jac=True,
        method="L-BFGS-B",
        bounds=[bounds, (None, None)],
        options={"ftol": TOLERANCE, "gtol": 1e-10, "maxiter": 1000},
    )
    if not np.isfinite(result.x).all() or (not result.success and result.nit >= 1000):
        return _none(before, f"the search did not converge ({result.message})")
    value = float(deviation / result.x[0])
    bias = float(result.x[1]) - mean / value
    return Temperature(value, bias, before, float(log_losses(labels, log_odds / value + bias).mean()), _doubt(value))


def _doubt(value: float) -> str:
    if value < LOWEST * (1.0 + AT_BOUND):
        return f"temperature {value:g} is the least allowed: scores separate labels"
    if value > HIGHEST * (1.0 - AT_BOUND):
        return f"temperature {value:g} is the most allowed: scores say nothing of labels"
    return ""
