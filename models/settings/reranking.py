"""The rerankers: ``model.kind: reranker`` (over embeddings) and ``cross_encoder`` (over both texts at once)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from models.settings.contrastive import EMBEDDING_LAYER
from models.settings.fields import InputPath
from models.settings.optimisation import WarmedUpOptimisation
from models.settings.text_encoder import SmallEncoder, TextEncoder


class RerankerSettings(WarmedUpOptimisation):
    """A small network over the embeddings of query and candidate: both, their product and their distance."""

    kind: Literal["reranker"] = "reranker"
    encoder: InputPath | None = None
    """Directory of the finished embeddings run whose vectors are compared; must be given."""
    hidden_dim: PositiveInt = 256
    """Width of the hidden layer."""
    num_layers: PositiveInt = 2
    """Hidden layers [layers]."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """Share of activations dropped in training."""
    max_triples: PositiveInt | None = None
    """Query, relevant and other candidate: so many are learnt from at most, whole lists at a time; empty: all."""
    epochs: PositiveInt = 10
    """Passes over the training lists at most [epochs]."""
    batch_size: PositiveInt = 16
    """Lists per optimiser step, exactly; the last step of an epoch takes what is left [lists]."""
    learning_rate: PositiveFloat = 5e-4
    """Peak learning rate of AdamW."""
    weight_decay: NonNegativeFloat = 0.01
    """Decoupled weight decay; biases and norms are left out."""
    warmup_steps: NonNegativeInt | None = 100
    """Steps in which the learning rate rises, at most half of all; none: warmup_ratio says it [steps]."""
    early_stopping_patience: PositiveInt = 3
    """Evaluations without a better MRR on validation before training stops [epochs]."""
    candidate_budget: PositiveInt = 8192
    """Candidates per micro-batch at most; cuts a step into parts and changes no list of it [candidates]."""


class CrossEncoderSettings(TextEncoder, WarmedUpOptimisation):
    """A reranker that reads query and candidate together, as one text."""

    kind: Literal["cross_encoder"] = "cross_encoder"
    max_triples: PositiveInt | None = None
    """Query, relevant and other candidate: so many are learnt from at most, whole lists at a time; empty: all."""
    pretrained: Literal["auto", "required", "off"] = "off"
    """required: no training without the backbone's weights; auto: where they cannot be had, the small encoder is
    trained from nothing instead (said and recorded); off: always the small encoder."""
    small: SmallEncoder = SmallEncoder(hidden_dim=128, num_layers=2, feedforward_dim=512)
    """The encoder that is trained from nothing where no pretrained one is used."""
    max_seq_len: Annotated[int, Field(ge=16, le=16384)] = 256
    """Longest sequence of both texts together, special tokens included; each gets half of the room, and what the other
    leaves [tokens]."""
    epochs: PositiveInt = 10
    """Passes over the training lists at most [epochs]."""
    batch_size: PositiveInt = 16
    """Lists per optimiser step, exactly; the last step of an epoch takes what is left [lists]."""
    learning_rate: PositiveFloat = 5e-4
    """Peak learning rate of AdamW."""
    weight_decay: NonNegativeFloat = 0.01
    """Decoupled weight decay; biases and norms are left out."""
    warmup_steps: NonNegativeInt | None = 100
    """Steps in which the learning rate rises, at most half of all; none: warmup_ratio says it [steps]."""
    early_stopping_patience: PositiveInt = 3
    """Evaluations without a better MRR on validation before training stops [epochs]."""


class PatchRankerSettings(TextEncoder, WarmedUpOptimisation):
    """Ranks candidate patches of one bug by the text of the edit and by its features."""

    kind: Literal["patch_ranker"] = "patch_ranker"
    hidden_dim: PositiveInt = 64
    """Width of the hidden layer over pooled text and features."""
    reads: Literal["text_and_features", "text", "features"] = "text_and_features"
    """What a candidate is judged by; one alone tells what the other adds."""
    pointwise_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of the loss that judges each candidate alone, which is all that a bug with one label teaches; the rest is
    listwise."""
    pretrained: Literal["auto", "required", "off"] = "off"
    """required: no training without the backbone's weights; auto: where they cannot be had, the small encoder is
    trained from nothing instead (said and recorded); off: always the small encoder."""
    small: SmallEncoder = EMBEDDING_LAYER.model_copy(update={"hidden_dim": 64})
    """What is trained from nothing where no pretrained encoder is used; by default a learned embedding layer."""
    pooling: Literal["cls", "attention", "mean", "eos"] = "mean"
    """One state of all tokens: the first token's, a learned weighting, the mean, or the last end-of-text token's."""
    max_seq_len: Annotated[int, Field(ge=8, le=16384)] = 256
    """Longest text of an edit that is read, special tokens included [tokens]."""
    epochs: PositiveInt = 20
    """Passes over the training bugs at most [epochs]."""
    batch_size: PositiveInt = 16
    """Bugs per optimiser step, exactly; the last step of an epoch takes what is left [bugs]."""
    learning_rate: PositiveFloat = 5e-3
    """Peak learning rate of AdamW."""
    weight_decay: NonNegativeFloat = 0.01
    """Decoupled weight decay; biases and norms are left out."""
    warmup_steps: NonNegativeInt | None = 100
    """Steps in which the learning rate rises, at most half of all; none: warmup_ratio says it [steps]."""
    early_stopping_patience: PositiveInt = 5
    """Evaluations without a better MRR on validation before training stops [epochs]."""
