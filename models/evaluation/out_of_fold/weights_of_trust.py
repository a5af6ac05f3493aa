"""From trust in labels to weights of training records, with mean 1 in each class.

Without that mean, weights would move the prior: labels of the rarer class are trusted less, and training on them would
learn that the class is rarer still.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import Floats
from models.settings.weigh import Treatment

LABELS = (0, 1)
NEVER_HELD_OUT = 1.0
"""Weight, before it is normalised, of a record that no model scored from outside: nothing speaks against it."""


def weights_of_trust(
    labels: npt.ArrayLike,
    trust: Floats,
    is_suspected: npt.NDArray[np.bool_],
    *,
    treatment: Treatment,
    min_weight: float,
    seed: int,
) -> Floats:
    """``(N,)`` weights, at least 0, with mean 1 over the records of each given label.

    First clipped (or pruned), then normalised: a normalised weight may lie outside ``[min_weight, 1]``.

    Args:
        labels: ``(N,)`` given labels.
        trust: ``(N,)`` in [0, 1]; NaN where a record was never held out.
        is_suspected: ``(N,)`` labels taken for wrong.
        treatment: ``confidence``: trust, clipped to ``[min_weight, 1]``; ``prune``: 0 for suspected labels, else 1;
            ``random``: the weights of ``confidence``, shuffled within each class.
        min_weight: Least weight before normalising.
        seed: Seed of the shuffling.

    Raises:
        ValueError: Trust lies outside [0, 1], or every weight of a class would be 0.
    """
    given = np.asarray(labels)
    if np.any((trust < 0.0) | (trust > 1.0)):
        raise ValueError("trust must lie in [0, 1], or be NaN where a record was never held out")
    if treatment == "prune":
        return normalised(given, np.where(is_suspected, 0.0, 1.0))
    clipped = np.where(np.isnan(trust), NEVER_HELD_OUT, np.clip(trust, min_weight, 1.0))
    weights = normalised(given, clipped)
    return shuffled(given, weights, seed=seed) if treatment == "random" else weights


def normalised(labels: npt.NDArray[np.integer], weights: Floats) -> Floats:
    """Weights divided by their mean within each class.

    Raises:
        ValueError: A weight is negative or not finite, or every weight of a class is 0.
    """
    if not np.isfinite(weights).all() or (weights < 0.0).any():
        raise ValueError("weights must be finite numbers of at least 0")
    result = np.array(weights, dtype=np.float64)
    for label in LABELS:
        of_class = labels == label
        if not of_class.any():
            continue
        mean = result[of_class].mean()
        if mean == 0.0:
            raise ValueError(f"every weight of label {label} is 0, so that nothing of it would be learnt")
        result[of_class] /= mean
    return result


def shuffled(labels: npt.NDArray[np.integer], weights: Floats, *, seed: int) -> Floats:
    """The same weights, dealt out anew within each class: what weights do by their mere distribution."""
    random = np.random.Generator(np.random.PCG64(seed))
    result = np.array(weights, dtype=np.float64)
    for label in LABELS:
        of_class = np.flatnonzero(labels == label)
        result[of_class] = result[random.permutation(of_class)]
    return result
