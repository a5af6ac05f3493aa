"""The transformer classifier: backbone, head and optimisation of ``model.kind: transformer``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from models.settings.fields import IN_BUILD_KEY, INCIDENTAL, NAMED_INPUT, Settings
from models.settings.optimisation import Optimisation

CODEBERT = "microsoft/codebert-base"
PINNED_REVISIONS = {CODEBERT: "3b0952feddeffad0063f274080e3c23d75e7eb39"}
"""Commit on the hub of each backbone that is used by name without a revision."""


class SmallEncoder(Settings):
    """The encoder that is trained from nothing where no pretrained one is used."""

    family: Literal["roberta", "t5"] = "roberta"
    """Class of the encoder: learned positions and post-norm, or relative positions and pre-norm."""
    hidden_dim: PositiveInt = 256
    """Width of a hidden state; a multiple of num_heads."""
    num_layers: PositiveInt = 4
    """Encoder layers [layers]."""
    num_heads: PositiveInt = 4
    """Attention heads of each layer [heads]."""
    feedforward_dim: PositiveInt = 1024
    """Width inside the feed-forward part of a layer."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> SmallEncoder:
        if self.hidden_dim % self.num_heads:
            raise ValueError(f"hidden_dim {self.hidden_dim} cannot be shared by num_heads {self.num_heads}")
        return self


class TransformerSettings(Optimisation):
    """Sequence classifier over the tokens of a function."""

    kind: Literal["transformer"] = "transformer"
    backbone: Annotated[str, NAMED_INPUT] = CODEBERT
    """Hub name or folder of a pretrained encoder (RoBERTa, BERT, T5 … classes) with its tokenizer."""
    revision: Annotated[str | None, Field(pattern=r"^[0-9a-f]{40}$")] = None
    """Commit of the backbone on the hub; empty: that pinned here for microsoft/codebert-base, or what the cache has."""
    pretrained: Literal["auto", "required", "off"] = "auto"
    """required: no training without the backbone's weights; auto: where they cannot be had, the small encoder is
    trained from nothing instead (said and recorded); off: always the small encoder."""
    allow_network: Annotated[bool, INCIDENTAL] = False
    """Let a hub name be fetched; off: only folders and the local cache."""
    small: SmallEncoder = SmallEncoder()
    """The encoder that is trained from nothing where no pretrained one is used."""
    pooling: Literal["cls", "attention", "mean"] = "cls"
    """One state of all tokens: the first token's, a learned weighting, or the mean."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """Share of activations dropped in training, in backbone and head."""
    max_seq_len: Annotated[int, Field(ge=8, le=16384)] = 512
    """Longest sequence the encoder reads at once, special tokens included [tokens]."""
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
    warmup_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """Share of all steps in which the learning rate rises linearly; then it falls linearly to 0."""
    early_stopping_patience: PositiveInt = 2
    """Evaluations without a better F1 of label 1 before training stops [epochs]."""
    gradient_checkpointing: Annotated[bool, IN_BUILD_KEY] = False
    """Keep only layer inputs and compute the rest again for the gradient: less memory, about a third slower."""
    token_budget: PositiveInt = 8192
    """Tokens per micro-batch at most, padding counted; cuts a step into parts and changes no record of it [tokens]."""
