"""How far labels are to be trusted, by what models that never saw the records say of them.

A wrapper of cleanlab: out-of-sample probabilities in, trust and suspected labels out. One process, one thread, nothing
on stdout.

Source:
    Northcutt, Jiang and Chuang 2021, Confident Learning; cleanlab 2.9 (``rank``, ``filter``, ``count``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import Floats, Integers

SCORE = "self_confidence"
"""cleanlab's score of a label: its probability. With two labels the normalised margin is the same number."""
FILTER = "prune_by_noise_rate"
"""Which suspected labels are pruned: of each pair of labels as many as the confident joint counts, the least likely."""


TELLING_AUROC = 0.8
"""AUROC of out-of-sample scores from which an estimate is taken for more than the scores' own ignorance."""


@dataclass(frozen=True)
class EstimatedNoise:
    """Share of labels that confident learning takes for wrong.

    Args:
        overall: Of all records.
        given_0: Of those labelled 0.
        given_1: Of those labelled 1.
    """

    overall: float
    given_0: float
    given_1: float


def label_trust(labels: npt.ArrayLike, probabilities: Sequence[npt.ArrayLike]) -> Floats:
    """``(N,)`` trust in each label, in [0, 1]: cleanlab's label quality, the plain mean over the models.

    Args:
        labels: ``(N,)``, 0 or 1, both present.
        probabilities: Of each model ``(N,)`` out-of-sample probabilities of label 1.

    Raises:
        ValueError: Fewer than two labels, no model, or no probabilities.
    """
    from cleanlab.rank import get_label_quality_ensemble_scores, get_label_quality_scores

    given = np.asarray(labels, dtype=np.int64)
    _refuse_invalid(given, probabilities)
    both = [_of_both_labels(each) for each in probabilities]
    if len(both) == 1:  # the ensemble's function warns of a single model
        return np.asarray(get_label_quality_scores(given, both[0], method=SCORE), dtype=np.float64)
    quality = get_label_quality_ensemble_scores(
        given, both, method=SCORE, weight_ensemble_members_by="uniform", verbose=False
    )
    return np.asarray(quality, dtype=np.float64)


def suspected_labels(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """``(N,)`` which labels confident learning takes for wrong; at least one of each label is left.

    Args:
        labels: ``(N,)``, 0 or 1, both present.
        probabilities: ``(N,)`` out-of-sample probabilities of label 1.

    Raises:
        ValueError: Fewer than two labels, or no probabilities.
    """
    from cleanlab.filter import find_label_issues

    given = np.asarray(labels, dtype=np.int64)
    _refuse_invalid(given, [probabilities])
    found = find_label_issues(given, _of_both_labels(probabilities), filter_by=FILTER, n_jobs=1, verbose=False)
    return np.asarray(found, dtype=np.bool_)


def estimated_noise(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> EstimatedNoise:
    """Noise by the confident joint of given and true labels, calibrated to the number of each given label.

    Arguments and errors as ``suspected_labels``.
    """
    from cleanlab.count import estimate_joint

    given = np.asarray(labels, dtype=np.int64)
    _refuse_invalid(given, [probabilities])
    joint = np.asarray(estimate_joint(given, _of_both_labels(probabilities)), dtype=np.float64)
    shares = joint / joint.sum(axis=1, keepdims=True)
    return EstimatedNoise(float(joint[0, 1] + joint[1, 0]), float(shares[0, 1]), float(shares[1, 0]))


def noise_if_shuffled(
    labels: npt.ArrayLike, fold: Integers, score: Callable[[Integers], npt.ArrayLike | None], *, seed: int
) -> float | None:
    """The overall estimate for the same records with shuffled labels: what is estimated where scores know nothing.

    Args:
        labels: ``(N,)`` given labels.
        fold: ``(N,)`` within which labels are shuffled; all the same: over all records.
        score: ``(N,)`` out-of-sample probabilities of label 1, given shuffled labels; ``None`` where there are none.
        seed: Of the shuffle.

    Returns:
        ``None`` where it cannot be said.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    shuffled = np.array(labels, dtype=np.int64)
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        shuffled[rows] = random.permutation(shuffled[rows])
    probabilities = score(shuffled)
    if probabilities is None:
        return None
    overall = estimated_noise(shuffled, probabilities).overall
    return overall if math.isfinite(overall) else None


def percentiles_within(fold: Integers, values: Floats) -> Floats:
    """``(N,)`` share of its fold that lies below each value, equal ones counting half; in (0, 1), NaN for a NaN.

    Values of two folds come from two models, so that the least of all may be those of one fold alone.
    """
    from scipy.stats import rankdata

    found = np.full(len(values), np.nan)
    for number in np.unique(fold):
        rows = np.flatnonzero((fold == number) & ~np.isnan(values))
        found[rows] = (rankdata(values[rows]) - 0.5) / max(len(rows), 1)
    return found


def _of_both_labels(probabilities: npt.ArrayLike) -> Floats:
    """``(N, 2)``, as cleanlab wants them."""
    of_label_1 = np.asarray(probabilities, dtype=np.float64)
    return np.stack([1.0 - of_label_1, of_label_1], axis=-1)


def _refuse_invalid(labels: npt.NDArray[np.int64], probabilities: Sequence[npt.ArrayLike]) -> None:
    if set(np.unique(labels).tolist()) != {0, 1}:
        raise ValueError(f"trust in labels needs both labels 0 and 1, got {np.unique(labels).tolist()}")
    if not probabilities:
        raise ValueError("trust in labels needs the probabilities of at least one model")
    for each in probabilities:
        values = np.asarray(each, dtype=np.float64)
        if values.shape != labels.shape or not np.all((values >= 0.0) & (values <= 1.0)):  # NaN is no probability
            raise ValueError("expected one probability in [0, 1] for each label")
