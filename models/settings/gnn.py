"""The graph network: architecture and optimisation of ``model.kind: gnn``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from models.settings.optimisation import Optimisation


class GnnSettings(Optimisation):
    """Graph network over syntax trees."""

    kind: Literal["gnn"] = "gnn"
    architecture: Literal["gcn", "typed"] = "gcn"
    """gcn: plain graph convolutions, edge types ignored; typed: over typed and reversed edges."""
    vocab_size: PositiveInt = 1000
    """Rows of the node embedding; node ids are below it [ids]."""
    embedding_dim: PositiveInt = 128
    """Width of a node embedding."""
    hidden_dim: PositiveInt = 256
    """Width of a hidden layer."""
    num_layers: PositiveInt = 4
    """Graph convolutions [layers]."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.3
    """Share of activations dropped in training."""
    epochs: PositiveInt = 100
    """Passes over the training records at most [epochs]."""
    batch_size: PositiveInt = 32
    """Records per optimiser step, exactly; the last step of an epoch takes what is left [records]."""
    learning_rate: PositiveFloat = 1e-3
    """Peak learning rate of AdamW."""
    weight_decay: NonNegativeFloat = 1e-4
    """Decoupled weight decay; biases and norms are left out."""
    early_stopping_patience: PositiveInt = 10
    """Evaluations without a better F1 of label 1 before training stops [epochs]."""
    plateau_factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """The learning rate is multiplied by this when F1 of label 1 stands still."""
    plateau_patience: NonNegativeInt = 5
    """Evaluations without a better F1 before the learning rate falls [epochs]."""
    auto_batch_size: bool = False
    """Lower batch_size to what the memory model recommends for the device."""
    node_budget: PositiveInt = 24_000
    """Nodes per micro-batch at most; cuts a step into parts and changes no record of it [nodes]."""
