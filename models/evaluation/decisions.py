"""How a probability becomes an answer: the threshold of each system under a decision rule.

Fixed (argmax, constant answers), chosen on validation (best F1, or the best of a grid), or frozen by an earlier
ranking. What is chosen gets labels and scores; what is frozen gets names only (``frozen_thresholds``), so it cannot be
tuned. A record is answered 1 when its probability is at least the threshold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.evaluation.baselines import Baseline
from models.evaluation.curves import thin
from models.evaluation.frozen_thresholds import MATCH_RULE, SEED_RULE, FrozenRanking, FrozenSource
from models.evaluation.metrics import Floats, as_json
from models.evaluation.threshold_sweep import GRID_TIE_RULE, sweep
from models.evaluation.thresholds import TIE_RULE, best_f1_threshold
from models.settings.decision import Argmax, BestF1, DecisionRule, FrozenThreshold, ThresholdSweep
from models.settings.evaluate import TrialName

ARGMAX_THRESHOLD = math.nextafter(0.5, 1.0)
ARGMAX_RULE = (
    "1 where label 1 is the likelier of the two: where its probability is above 0.5, that is at least the next number "
    "after 0.5; two equal probabilities give 0, as argmax takes the first of equals"
)
CHOOSES = ("best_f1", "sweep")
"""Kinds of rules that choose on validation, so that numbers there are optimistic."""

ChoosingRule = Argmax | BestF1 | ThresholdSweep


@dataclass(frozen=True)
class Settled:
    """A system's threshold and what settled it.

    Args:
        value: A record is answered 1 from here on.
        source: In words.
        curve: ``(T, 2)`` thresholds tried and the F1 of each, or ``None`` where nothing was tried.
        frozen_by: Where a frozen one comes from.
    """

    value: float
    source: str
    curve: Floats | None = None
    frozen_by: FrozenSource | None = None

    def to_json(self) -> dict[str, Any]:
        """As in ``evaluation.json``; ``value`` keeps every digit: rounded it might cut elsewhere."""
        curve = {} if self.curve is None else {"f1_curve": as_json(self.curve)}
        frozen = {} if self.frozen_by is None else {"frozen_by": self.frozen_by.to_json()}
        return {"value": self.value, "source": self.source, **curve, **frozen}


def settle(
    rule: DecisionRule,
    labels: npt.ArrayLike,
    scores: Mapping[str, Floats],
    baselines: Sequence[Baseline],
    trials: Mapping[str, TrialName],
) -> dict[str, Settled]:
    """A threshold for each system.

    Args:
        rule: Of the job.
        labels: ``(N,)`` of validation.
        scores: ``(N,)`` probabilities of label 1 on validation, by system; a frozen rule takes none of them.
        baselines: Which of the systems are baselines; a fixed threshold of theirs stays under every rule.
        trials: What each model is a trial of; a frozen rule finds its threshold by that.

    Raises:
        DataInvalid: The ranking that froze the thresholds is not as it was written. Not retried.
    """
    if isinstance(rule, FrozenThreshold):
        ranking = FrozenRanking(rule.ranking)
        settled = {
            name: settle_frozen(ranking.of_trial(trial.configuration, trial.model)) for name, trial in trials.items()
        }
        return settled | settle_frozen_baselines(ranking, baselines)
    fixed = {baseline.name: baseline.threshold for baseline in baselines}
    return {
        name: settle_chosen(rule_of_baselines(rule), labels, probabilities, fixed=fixed[name])
        if name in fixed
        else settle_chosen(rule, labels, probabilities)
        for name, probabilities in scores.items()
    }


def rule_of_baselines(rule: ChoosingRule) -> ChoosingRule:
    """The rule for baselines beside models: the same, but no argmax.

    A regression on rare labels seldom says 1 by itself. At the threshold of its best F1 on validation it is as strong
    as it gets, and a model that beats it there has beaten it.
    """
    return BestF1() if isinstance(rule, Argmax) else rule


def settle_chosen(
    rule: ChoosingRule, labels: npt.ArrayLike, scores: npt.ArrayLike, *, fixed: float | None = None
) -> Settled:
    """A threshold from labels ``(N,)`` and scores ``(N,)`` of validation.

    Args:
        rule: How it is chosen.
        labels: 0 or 1, at least one of them 1.
        scores: Probabilities of label 1.
        fixed: The system's own threshold, which no rule changes.
    """
    if fixed is not None:
        return Settled(fixed, "fixed")
    if isinstance(rule, Argmax):
        return Settled(ARGMAX_THRESHOLD, "argmax")
    if isinstance(rule, ThresholdSweep):
        swept = sweep(labels, scores, rule.grid())
        tried = f"best F1 on validation, of {rule.low:g} to {rule.high:g} by {rule.step:g}"
        return Settled(swept.chosen.threshold, tried, np.array([(point.threshold, point.f1) for point in swept.curve]))
    chosen = best_f1_threshold(labels, scores)
    curve = thin(np.stack([chosen.thresholds, chosen.curve], axis=-1))
    return Settled(chosen.value, "best F1 on validation", curve)


def settle_frozen(source: FrozenSource) -> Settled:
    """A threshold that an earlier ranking settled; it sees no label and no score."""
    said = f"frozen by {source.stage} for {source.configuration} (matched by {source.matched_by})"
    return Settled(source.threshold, said, frozen_by=source)


def settle_frozen_baselines(ranking: FrozenRanking, baselines: Sequence[Baseline]) -> dict[str, Settled]:
    """Of baselines: their own where it is fixed, else what the earlier ranking settled.

    Raises:
        DataInvalid: The ranking has no such baseline. Not retried.
    """
    return {
        baseline.name: settle_frozen(ranking.of_baseline(baseline.name))
        if baseline.threshold is None
        else Settled(baseline.threshold, "fixed")
        for baseline in baselines
    }


def rule_text(rule: DecisionRule) -> str:
    """The rule in words, for the record."""
    if isinstance(rule, Argmax):
        return ARGMAX_RULE
    if isinstance(rule, ThresholdSweep):
        return GRID_TIE_RULE
    if isinstance(rule, FrozenThreshold):
        return f"{MATCH_RULE}; {SEED_RULE}"
    return TIE_RULE
