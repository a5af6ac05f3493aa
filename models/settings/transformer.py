"""The transformer classifier: head, windows and optimisation of ``model.kind: transformer``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from models.settings.optimisation import WarmedUpOptimisation
from models.settings.text_encoder import TextEncoder


class TransformerSettings(TextEncoder, WarmedUpOptimisation):
    """Sequence classifier over the tokens of a function."""

    kind: Literal["transformer"] = "transformer"
    max_windows: PositiveInt = 1
    """Windows in which a longer record is read, their logits averaged; 1: its first max_seq_len tokens only."""
    window_overlap: Annotated[float, Field(ge=0.0, le=0.5)] = 0.125
    """Share of a window that it has in common with the one before it."""
    epochs: PositiveInt = 5
    """Passes over the training records at most [epochs]."""
    batch_size: PositiveInt = 16
    """Records per optimiser step, exactly; the last step of an epoch takes what is left [records]."""
    learning_rate: PositiveFloat = 2e-5
    """Peak learning rate of AdamW."""
    weight_decay: NonNegativeFloat = 0.01
    """Decoupled weight decay; biases and norms are left out."""
    early_stopping_patience: PositiveInt = 2
    """Evaluations without a better F1 of label 1 before training stops [epochs]."""
