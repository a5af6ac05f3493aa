"""The ``evaluate`` job: metrics with intervals beside honest baselines."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from models.settings.fields import InputPath, Settings


class EvaluateSettings(Settings):
    """Compare the predictions of one or more models with baselines on the same records."""

    kind: Literal["evaluate"] = "evaluate"
    data: InputPath
    """Directory of the finished preprocess run: labels, groups and texts."""
    predictions: dict[str, InputPath]
    """Directories of finished predict runs by the model's name in the tables."""
    num_resamples: PositiveInt = 2000
    """Bootstrap resamples over commits."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Coverage of the intervals."""
    seed: NonNegativeInt = 42
    """Seed of the resampling and of the baselines."""
