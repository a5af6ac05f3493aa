"""Settings of a sweep: the models, the grid of what is tried on each, and the rule by which some go on.

The stages set their own defaults; which trials come of these settings is in ``trials.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from models.settings.fields import INCIDENTAL, Settings
from models.settings.findings import FindingsSettings
from models.settings.rank import Keep
from models.settings.train import CheckpointSettings, ComputeSettings
from models.settings.transformer import TransformerSettings
from tasks.run_settings import RunSettings

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]


class Grid(Settings):
    """Values to try of each hyperparameter; every combination is a trial."""

    learning_rate: Annotated[tuple[PositiveFloat, ...] | None, Field(min_length=1)] = None
    """Peak learning rates of AdamW; empty: the model's own."""
    batch_size: Annotated[tuple[PositiveInt, ...] | None, Field(min_length=1)] = None
    """Records per optimiser step; empty: the model's own [records]."""
    epochs: Annotated[tuple[PositiveInt, ...] | None, Field(min_length=1)] = None
    """Passes over the training records at most; empty: the model's own [epochs]."""
    weight_decay: Annotated[tuple[NonNegativeFloat, ...] | None, Field(min_length=1)] = None
    """Decoupled weight decays; empty: the model's own."""
    dropout: Annotated[tuple[Annotated[float, Field(ge=0.0, lt=1.0)], ...] | None, Field(min_length=1)] = None
    """Shares of activations dropped in training; empty: the model's own."""
    warmup_steps: Annotated[tuple[NonNegativeInt, ...] | None, Field(min_length=1)] = None
    """Steps in which the learning rate rises; empty: the model's own [steps]."""

    @model_validator(mode="after")
    def _something_once(self) -> Grid:
        tried = {name: values for name in type(self).model_fields if (values := getattr(self, name)) is not None}
        if not tried:
            raise ValueError(f"an empty grid tries nothing; name at least one of {', '.join(type(self).model_fields)}")
        for name, values in tried.items():
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names a value twice ({list(values)}): a trial would be run twice")
        return self


class Candidate(Settings):
    """A model to try, and what is tried on it."""

    family: Name
    """Family of models that this one is of, such as codet5p for codet5p_220m."""
    settings: TransformerSettings
    """The model, with every hyperparameter that the grid does not name."""
    grid: Grid | None = None
    """What is tried on this model, in place of the sweep's grid; larger models take smaller batches."""


class SweepSettings(RunSettings):
    """Train every trial of a grid, rank them on validation, hand on the best."""

    STAGE: ClassVar[str] = "sweep"
    """Name of the stage in labels of runs and artifacts."""
    TAG: ClassVar[str] = ""
    """What labels of its trials say between model and hyperparameters."""

    findings: FindingsSettings
    """Findings to learn from; the tokenizer is each model's own, whatever is said here."""
    models: Annotated[dict[Name, Candidate], Field(min_length=1)]
    """Models to try, by name, such as {"codebert": {"family": "codebert", "settings": {"backbone":
    "microsoft/codebert-base"}}}."""
    grid: Grid | None = None
    """What is tried on each model that has no grid of its own."""
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] = (42,)
    """Seeds of each configuration; replicates, never something to choose by."""
    selection: Path | None = None
    """The selection.json of an earlier stage, which then says what is tried; empty: models and grids as listed here."""
    keep: Keep = Keep()
    """How many go on to the next stage."""
    max_failed_trials: NonNegativeInt = 1
    """Trials that may fail without ending the stage; they are shown, and not ranked."""
    num_resamples: PositiveInt = 2000
    """Bootstrap resamples over files."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Coverage of the intervals, and of the set of models that cannot be told apart from the best."""
    ranking_seed: NonNegativeInt = 42
    """Seed of resampling and baselines."""
    allow_network: Annotated[bool, INCIDENTAL] = False
    """Let weights and tokenizers of every model be fetched from the hub; off: folders and the local cache only."""
    compute: ComputeSettings = ComputeSettings()
    """Device, precision, ranks and threads of each trial."""
    checkpoints: CheckpointSettings = CheckpointSettings()
    """When training progress is saved."""
    slots: Annotated[PositiveInt, INCIDENTAL] = 1
    """Trials at a time on this machine, each with compute.num_threads threads [trials]."""

    @field_validator("seeds")
    @classmethod
    def _each_seed_once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"a seed is named twice ({list(seeds)}): a trial would be run twice")
        return seeds

    @model_validator(mode="after")
    def _findings_are_read_whole(self) -> SweepSettings:
        for name, candidate in self.models.items():
            if candidate.settings.max_seq_len < self.findings.max_seq_len:
                raise ValueError(
                    f"models.{name}.settings.max_seq_len {candidate.settings.max_seq_len} is below "
                    f"findings.max_seq_len {self.findings.max_seq_len}: the end of longer findings would never be "
                    "read; give the same"
                )
        return self
