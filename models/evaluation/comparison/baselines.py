"""The baselines of a comparison: fitted on the training records of ``data``, and its words on the others' as well.

Systems of two phases may learn from different training records. A baseline that saw more than a system is no fair
reference for it, so each training set has a text baseline of its own, and each description says what it was fitted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from models.evaluation.baselines import Baseline, fit_baselines, words_logistic
from models.evaluation.comparison.same_records import TrainingSet

NOT_FITTED = ("always_1",)
METHOD = (
    "fitted on all training records of data; the text baseline (tfidf_lr) likewise on those of each same_data that "
    "differ (tfidf_lr_other): read a system beside the one that learnt from what it learnt from"
)


def fit_on_every_training_set(training_sets: Sequence[TrainingSet], *, seed: int) -> list[Baseline]:
    """Every baseline on the first training set, then the text baseline on each other one.

    Args:
        training_sets: The first is that of ``data``.
        seed: Seed of the regressions' solver.
    """
    first, *others = training_sets
    fitted = [_told(baseline, first) for baseline in fit_baselines(first.records, seed=seed)]
    for number, other in enumerate((each for each in others if each.differs), start=1):
        words = words_logistic(other.records, seed=seed)
        name = f"{words.name}_other{number if number > 1 else ''}"
        title = f"{words.title} (the other {len(other.records)} training records)"
        fitted.append(_told(replace(words, name=name, title=title), other))
    return fitted


def _told(baseline: Baseline, of: TrainingSet) -> Baseline:
    if baseline.name in NOT_FITTED:
        return baseline
    told = f"{baseline.description}; from the {len(of.records)} training records of {of.name}"
    return replace(baseline, description=told)
