"""The dual encoder: towers, loss and optimisation of ``model.kind: embeddings``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from models.settings.optimisation import WarmedUpOptimisation
from models.settings.text_encoder import SmallEncoder, TextEncoder

EMBEDDING_LAYER = SmallEncoder(num_layers=0)
"""What stands in for a pretrained encoder: a learned embedding layer."""


class EmbeddingsSettings(TextEncoder, WarmedUpOptimisation):
    """Dual encoder: texts that do the same lie near each other. Symmetric InfoNCE over the pairs of a step."""

    kind: Literal["embeddings"] = "embeddings"
    towers: Literal["shared", "separate"] = "shared"
    """One encoder for both texts of a pair, or one each (two begin alike)."""
    embedding_dim: PositiveInt = 256
    """Width of an embedding; a linear projection of the pooled state, of length 1 [numbers]."""
    temperature: Annotated[float, Field(gt=0.0, le=1.0)] = 0.07
    """What similarities are divided by in the loss, at first; learned as its logarithm, and never below 0.01."""
    learn_temperature: bool = True
    """Whether it is learned; off: it stays."""
    max_pairs: PositiveInt | None = None
    """First pairs of the training file that are learnt from; empty: all [pairs]."""
    pretrained: Literal["auto", "required", "off"] = "off"
    """required: no training without the backbone's weights; auto: where they cannot be had, the small encoder is
    trained from nothing instead (said and recorded); off: always the small encoder."""
    small: SmallEncoder = EMBEDDING_LAYER
    """What is trained from nothing where no pretrained encoder is used; by default a learned embedding layer."""
    pooling: Literal["cls", "attention", "mean", "eos"] = "mean"
    """One state of all tokens: the first token's, a learned weighting, the mean, or the last end-of-text token's."""
    max_seq_len: Annotated[int, Field(ge=8, le=16384)] = 256
    """Longest text the encoder reads, special tokens included; the rest of a longer one is not read [tokens]."""
    epochs: PositiveInt = 10
    """Passes over the training pairs at most [epochs]."""
    batch_size: PositiveInt = 16
    """Pairs per optimiser step, exactly; all of them are each other's negatives, whatever the memory [pairs]."""
    learning_rate: PositiveFloat = 5e-4
    """Peak learning rate of AdamW."""
    weight_decay: NonNegativeFloat = 0.01
    """Decoupled weight decay; biases, norms and the temperature are left out."""
    warmup_steps: NonNegativeInt | None = 100
    """Steps in which the learning rate rises, at most half of all; none: warmup_ratio says it [steps]."""
    early_stopping_patience: PositiveInt = 3
    """Evaluations without a better MRR on validation before training stops [epochs]."""
    token_budget: PositiveInt = 16384
    """Tokens whose states are kept at once, padding counted; a larger step is read twice, its gradient cached between
    (gradient cache), and is the same step [tokens]."""
