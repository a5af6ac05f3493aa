"""The ``weigh`` job: how far each training label is trusted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from models.settings.fields import InputPath, Settings

Treatment = Literal["confidence", "prune", "random"]
OutOfFold = Annotated[dict[str, tuple[InputPath, ...]], Field(min_length=1)]


class NoiseRules(Settings):
    """How far a label is trusted."""

    min_weight: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Least weight of confidence before it is normalised."""
    num_hard: PositiveInt = 50
    """Records shown with their code: those trusted least of their fold [records]."""
    planted: InputPath | None = None
    """Known wrong labels, to measure how well they are found: a .jsonl of source and idx; nothing learns from it."""


class WeighSettings(NoiseRules):
    """Weigh training records by how far out-of-fold scores confirm their labels; never validation or test."""

    kind: Literal["weigh"] = "weigh"
    data: InputPath
    """Directory of the finished preprocess run."""
    folds: InputPath
    """Directory of the finished folds run."""
    out_of_fold: OutOfFold
    """For each model, directories of the finished predict runs of its fold models, one a fold; each scored what its
    model left out, and validation to calibrate its scores."""
    treatment: Treatment = "confidence"
    """confidence: weights from label quality, clipped and normalised to mean 1 in each class; prune: weight 0 for
    labels that confident learning takes for wrong; random: the weights of confidence, shuffled within each class."""
    seed: NonNegativeInt = 42
    """Seed of the shuffling and of the intervals."""
