"""The ``predict`` job: per-record probabilities of a trained model."""

from __future__ import annotations

from typing import Annotated, Literal

from models.settings.fields import IN_BUILD_KEY, InputPath, Settings


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
    num_threads: Annotated[int, IN_BUILD_KEY] = 1
    """Threads [threads]."""
