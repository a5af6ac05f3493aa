"""How any model kind is optimised; the kinds set their own defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from models.settings.fields import Settings


class Optimisation(Settings):
    """How any model kind is optimised; each kind sets its own defaults."""

    epochs: PositiveInt
    """Passes over the training records at most [epochs]."""
    batch_size: PositiveInt
    """Records per optimiser step, exactly; the last step of an epoch takes what is left [records]."""
    learning_rate: PositiveFloat
    """Peak learning rate of AdamW."""
    weight_decay: NonNegativeFloat
    """Decoupled weight decay; biases and norms are left out."""
    max_grad_norm: PositiveFloat = 1.0
    """Gradient norm above which the gradient is scaled down."""
    early_stopping_patience: PositiveInt
    """Evaluations without a better validation metric before training stops [epochs]."""
    early_stopping_delta: NonNegativeFloat = 0.0
    """What counts as better, in the metric that is watched (F1 of label 1, or MRR)."""


class WarmedUpOptimisation(Optimisation):
    """With a learning rate that rises over some steps and falls to 0 over the rest."""

    schedule: Literal["linear", "cosine"] = "linear"
    """How the learning rate falls to 0 after its rise."""
    warmup_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """Share of all steps in which the learning rate rises linearly; read only where warmup_steps is none."""
    warmup_steps: NonNegativeInt | None = None
    """Steps of that rise, in place of the share; at most half of all steps are taken (said where fewer) [steps]."""
