"""The ``fuse`` job: several models' scores into one, learned on out-of-fold scores only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from models.settings.fields import InputPath, Settings
from models.settings.weigh import OutOfFold


class FuseSettings(Settings):
    """Learn how to join models on scores of records they never saw; apply it to models refit on all of training."""

    kind: Literal["fuse"] = "fuse"
    data: InputPath
    """Directory of the finished preprocess run."""
    folds: InputPath
    """Directory of the finished folds run."""
    out_of_fold: OutOfFold
    """For each model, directories of the finished predict runs of its fold models, one a fold."""
    bases: dict[str, InputPath] = Field(default_factory=dict)
    """For each model, directory of the finished predict run of the model refit on all training records; empty: only
    the gain on out-of-fold scores is measured."""
    method: Literal["average", "stacker"] = "average"
    """average: one weight per model, none negative, summing to 1, times a common scale; stacker: regularised logistic
    regression; both on logits that validation brings to one scale."""
    regularisation: PositiveFloat = 1.0
    """Inverse strength C of the stacker's regularisation."""
    num_resamples: PositiveInt = 2000
    """Bootstrap resamples over groups, for the gain."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Coverage of the intervals."""
    seed: NonNegativeInt = 42
    """Seed of the resampling."""
