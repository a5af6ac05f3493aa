"""The ``predict`` job: per-record probabilities of a trained model."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from models.settings.fields import InputPath, Settings
from models.settings.train import ComputeSettings

PredictedSplit = Literal["train", "valid", "held_out"]
ProbeName = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]


class PredictSettings(Settings):
    """Score the validation split, and on request the sealed test split."""

    kind: Literal["predict"] = "predict"
    model_run: InputPath
    """Directory of the finished training run."""
    data: InputPath
    """Directory of the finished preprocess run."""
    splits: tuple[PredictedSplit, ...] = ("valid",)
    """Splits to score; held_out is the fold of training that the model left out."""
    folds: InputPath | None = None
    """Directory of the folds run by which the model left a fold out; with held_out only, and it must be the same."""
    open_test: str | None = None
    """Purpose of opening the sealed test split, written into openings.jsonl; empty: it stays sealed."""
    probes: dict[ProbeName, InputPath] = Field(default_factory=dict)
    """Directories of finished probe runs by name, scored when the test split is opened, under the same purpose."""
    compute: ComputeSettings = ComputeSettings()
    """Device, precision and threads; scoring is the work of one process."""

    @model_validator(mode="after")
    def _folds_with_held_out(self) -> PredictSettings:
        if ("held_out" in self.splits) != (self.folds is not None):
            raise ValueError("splits: held_out and folds belong together: give both or neither")
        return self

    @model_validator(mode="after")
    def _probes_with_the_test_split(self) -> PredictSettings:
        if self.probes and not self.open_test:
            raise ValueError("probes hold sealed records: give open_test, the purpose of opening them")
        if taken := sorted(set(self.probes) & {"test", *get_args(PredictedSplit)}):
            raise ValueError(f"probes: {taken[0]!r} is the name of a split; name the probe otherwise")
        return self
