"""The ``rank`` job: finished trials compared on validation, and which of them go on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from models.settings.decision import Argmax, FrozenThreshold, RankingRule
from models.settings.fields import InputPath, Settings


class RankedTrial(Settings):
    """One finished training run, and what it is a trial of."""

    run: InputPath
    """Directory of the finished training run; its predictions_valid.jsonl is what is ranked."""
    family: str
    """Family of models, such as codet5p."""
    model: str
    """Model within the family, such as codet5p_220m."""
    configuration: str
    """Model and hyperparameters without the seed, such as codet5p_220m_lr2e-5_bs8_ep3_wd0.01."""
    seed: NonNegativeInt
    """Seed of the run; trials of one configuration differ in nothing else."""


class Keep(Settings):
    """How many go on to the next stage."""

    num: PositiveInt = 1
    """How many, best first."""
    by: Literal["family", "model", "configuration"] = "model"
    """What is counted: the best configuration of each family or of each model, or configurations."""


class RankSettings(Settings):
    """Rank trials on validation; no test file is given, so none can be read."""

    kind: Literal["rank"] = "rank"
    stage: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    """What the ranking is for, such as stage3; part of its label."""
    train_data: InputPath
    """Records that the trials learnt from, for the baselines: a .jsonl of the findings or preprocess job."""
    val_data: InputPath
    """Records that the trials are ranked on."""
    trials: Annotated[dict[str, RankedTrial], Field(min_length=1)]
    """Finished trials by label."""
    failed: dict[str, str] = Field(default_factory=dict)
    """What each trial that failed said in one line, by label; not ranked, but told."""
    num_planned: PositiveInt | None = None
    """Trials that were planned; empty: those given and those that failed."""
    decision: RankingRule = Argmax()
    """How a probability becomes an answer."""
    keep: Keep = Keep()
    """How many go on."""
    no_clear_winner: Literal["best", "cheapest", "stop"] = "best"
    """Who comes first where others cannot be told apart from the best: the best F1 all the same, the cheapest of those
    that cannot be told apart, or nobody (nothing goes on: no selection is written)."""
    num_resamples: PositiveInt = 2000
    """Bootstrap resamples over files (groups), and over seeds where there are several."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Coverage of the intervals, and of the set of configurations that cannot be told apart from the best."""
    seed: NonNegativeInt = 42
    """Seed of resampling and baselines."""

    @model_validator(mode="after")
    def _every_trial_was_planned(self) -> RankSettings:
        both = self.trials.keys() & self.failed.keys()
        if both:
            raise ValueError(f"failed: {', '.join(sorted(both))} is also in trials; a trial that failed is not ranked")
        told = len(self.trials) + len(self.failed)
        if self.num_planned is not None and self.num_planned < told:
            raise ValueError(f"num_planned: {self.num_planned}, but {told} trials are given; expected at least as many")
        return self

    @model_validator(mode="after")
    def _same_seeds_for_each(self) -> RankSettings:
        seeds: dict[str, list[int]] = {}
        for trial in self.trials.values():
            seeds.setdefault(trial.configuration, []).append(trial.seed)
        for configuration, own in seeds.items():
            if len(set(own)) < len(own):
                raise ValueError(f"trials: {configuration} has a seed twice ({sorted(own)})")
        if isinstance(self.decision, FrozenThreshold) and len({tuple(sorted(own)) for own in seeds.values()}) > 1:
            raise ValueError(f"trials: every configuration needs the same seeds to be paired, got {seeds}")
        return self
