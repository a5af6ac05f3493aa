"""The ``evaluate`` job: metrics with intervals beside honest baselines."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from models.settings.decision import BestF1, DecisionRule, FrozenThreshold
from models.settings.fields import InputPath, Settings


class TrialName(Settings):
    """What a model is a trial of, in the words of rankings."""

    configuration: str
    """Model and hyperparameters without the seed, such as codet5p_220m_lr2e-5_bs8_ep3_wd0.01."""
    model: str
    """Model within its family, such as codet5p_220m."""


class EvaluateSettings(Settings):
    """Compare the predictions of one or more models with baselines on the same records."""

    kind: Literal["evaluate"] = "evaluate"
    data: InputPath
    """Directory of the finished preprocess or findings run: labels, groups and texts."""
    predictions: dict[str, InputPath]
    """Directories of finished predict runs by the model's name in the tables."""
    decision: DecisionRule = BestF1()
    """How a probability becomes an answer; thresholds are chosen on validation only, or were frozen before."""
    trials: dict[str, TrialName] = Field(default_factory=dict)
    """For a frozen decision, what each model of predictions is a trial of; by this its threshold is found."""
    num_resamples: PositiveInt = 2000
    """Bootstrap resamples over groups (commits, files)."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Coverage of the intervals."""
    seed: NonNegativeInt = 42
    """Seed of the resampling and of the baselines."""

    @model_validator(mode="after")
    def _trials_where_thresholds_are_found_by_them(self) -> EvaluateSettings:
        expected = self.predictions.keys() if isinstance(self.decision, FrozenThreshold) else set[str]()
        if wrong := sorted(self.trials.keys() ^ expected):
            raise ValueError(
                f"trials: {wrong[0]!r}; a frozen decision needs one for each model of predictions, another reads none"
            )
        return self
