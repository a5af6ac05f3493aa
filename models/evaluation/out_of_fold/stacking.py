"""Several models' log-odds, brought to one scale, into one: a weighted average, or a regularised logistic regression.

Both give log-odds that are a weighted sum, so that one form holds either. They are learnt on out-of-fold scores only;
nothing here knows of test records. The average has a scale of its own beside its weights: were the sum of the weights
all the scale it has, it would choose the model of the larger numbers, not the better one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import Floats
from models.evaluation.out_of_fold.scored_rows import log_losses, sigmoid

Method = Literal["average", "stacker"]
DECIMALS = 6
"""Of the numbers of an average: what lies below is the end of the search, not a result."""
TOLERANCE = 1e-15
"""Of the log loss, at the end of the search for weights."""
RIDGE = 1e-6
"""Times the squared scale of an average: keeps it finite where scores separate the labels, and is nothing elsewhere."""
ONE_MODEL = 0.999
"""Weight from which an average is one model."""
MAX_STEPS = 1000


@dataclass(frozen=True)
class Fuser:
    """A learnt fusion: log-odds are ``intercept + scale * sum(weight * log-odds on one scale)``.

    Args:
        method: How it was learnt.
        weights: ``(M,)`` one a model; of an average not negative, with sum 1.
        intercept: Log-odds where every model says what it says of validation on average.
        scale: Of an average, at least 0: 0 where no model tells labels; 1 of a stacker.
    """

    method: Method
    weights: Floats
    intercept: float
    scale: float = 1.0

    def log_odds(self, scores: Floats) -> Floats:
        """``(N,)`` fused log-odds of log-odds on one scale ``(N, M)``."""
        return np.asarray(self.scale * (scores * self.weights).sum(axis=1) + self.intercept)

    def probabilities(self, scores: Floats) -> Floats:
        """``(N,)`` fused probabilities of label 1."""
        return sigmoid(self.log_odds(scores))

    def doubts(self, models: Sequence[str]) -> list[str]:
        """Where it is no fusion of all ``M`` models, for people."""
        if self.method != "average":
            return []
        if self.scale == 0.0:
            return ["no model tells labels out of fold, so that the fusion says one thing of every record"]
        strongest = int(self.weights.argmax())
        if self.weights[strongest] >= ONE_MODEL:
            return [f"{models[strongest]} has weight {self.weights[strongest]:.3f}: the fusion is one model"]
        idle = [name for name, weight in zip(models, self.weights, strict=True) if weight == 0.0]
        return [f"{name} has weight 0: it takes no part in the fusion" for name in idle]


def fit_fuser(method: Method, scores: Floats, labels: npt.ArrayLike, *, regularisation: float) -> Fuser:
    """Learn a fusion.

    Args:
        method: ``average`` or ``stacker``.
        scores: ``(N, M)`` log-odds on one scale, out of fold.
        labels: ``(N,)``, 0 or 1, both present.
        regularisation: Inverse strength ``C`` of the stacker.

    Raises:
        ValueError: One label only, or scores that are not finite.
        RuntimeError: A search did not converge.
    """
    truth = np.asarray(labels)
    if len(np.unique(truth)) != 2 or not np.isfinite(scores).all():
        raise ValueError("a fusion needs finite scores of both labels")
    if method == "average":
        return _fit_average(scores, truth)
    return _fit_stacker(scores, truth, regularisation)


def _fit_average(scores: Floats, labels: npt.NDArray[np.integer]) -> Fuser:
    """Logistic regression with coefficients of at least 0: a convex problem, so that any way down ends there.

    The coefficients are told as weights of sum 1 and their common scale. Where several are equally good (two models
    that say the same), the search stays in the middle, where it began.
    """
    from scipy.optimize import minimize

    num_models = scores.shape[1]
    unit = float(np.sqrt(np.square(scores).mean())) or 1.0  # the search sees numbers about 1, whatever the scores are
    scaled = scores / unit
    truth = (labels == 1).astype(np.float64)

    def loss_and_slope(found: Floats) -> tuple[float, Floats]:
        fused = (scaled * found[:-1]).sum(axis=1) + found[-1]
        errors, total = sigmoid(fused) - truth, float(found[:-1].sum())
        slopes = (errors[:, None] * scaled).mean(axis=0) + 2.0 * RIDGE * total
        return float(log_losses(labels, fused).mean()) + RIDGE * total**2, np.append(slopes, errors.mean())

    result: Any = minimize(
        loss_and_slope,
        np.append(np.full(num_models, 1.0 / num_models), 0.0),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None)] * num_models + [(None, None)],
        options={"ftol": TOLERANCE, "gtol": 1e-10, "maxiter": MAX_STEPS},
    )
    if not np.isfinite(result.x).all() or (not result.success and result.nit >= MAX_STEPS):
        raise RuntimeError(f"the search for the weights of an average did not converge: {result.message}")
    coefficients, intercept = np.asarray(result.x[:-1], dtype=np.float64) / unit, round(float(result.x[-1]), DECIMALS)
    scale = round(float(coefficients.sum()), DECIMALS)
    if scale == 0.0:
        return Fuser("average", _rounded(np.full(num_models, 1.0 / num_models)), intercept, 0.0)
    return Fuser("average", _rounded(coefficients / coefficients.sum()), intercept, scale)


def _rounded(weights: Floats) -> Floats:
    """Weights of ``DECIMALS`` decimals whose sum is 1: the largest, of equal ones the first, takes what is left."""
    result = np.round(np.clip(weights, 0.0, 1.0), DECIMALS)
    largest = int(result.argmax())
    result[largest] = np.round(1.0 - np.delete(result, largest).sum(), DECIMALS)
    return np.asarray(result)


def _fit_stacker(scores: Floats, labels: npt.NDArray[np.integer], regularisation: float) -> Fuser:
    """L2-regularised logistic regression on standardised log-odds, told for log-odds as they are."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    varies = np.ptp(scores, axis=0) > 0.0  # the deviation of equal numbers may be a rounding error above 0
    mean, deviation = scores.mean(axis=0), np.where(varies, scores.std(axis=0), 1.0)
    standardised = np.where(varies, (scores - mean) / deviation, 0.0)
    model = LogisticRegression(C=regularisation, solver="newton-cholesky", tol=1e-8, max_iter=MAX_STEPS)
    with threadpool_limits(limits=1):  # sums in another order of threads would give other last digits
        model.fit(standardised, labels)
    if int(model.n_iter_[0]) >= MAX_STEPS:
        raise RuntimeError("the stacker's logistic regression did not converge")
    weights = np.asarray(model.coef_[0], dtype=np.float64) / deviation
    return Fuser("stacker", weights, float(model.intercept_[0]) - float((weights * mean).sum()))
