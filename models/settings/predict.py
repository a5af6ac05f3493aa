"""The ``predict`` job: per-record probabilities of a trained model."""

from __future__ import annotations

from typing import Literal

from models.settings.fields import InputPath, Settings
from models.settings.train import ComputeSettings


class PredictSettings(Settings):
    """Score the validation split, and on request the sealed test split."""

    kind: Literal["predict"] = "predict"
    model_run: InputPath
    """Directory of the finished training run."""
    data: InputPath
    """Directory of the finished preprocess run."""
    splits: tuple[Literal["train", "valid"], ...] = ("valid",)
    """Splits to score."""
    open_test: str | None = None
    """Purpose of opening the sealed test split, written into openings.jsonl; empty: it stays sealed."""
    compute: ComputeSettings = ComputeSettings()
    """Device, precision and threads; scoring is the work of one process."""
