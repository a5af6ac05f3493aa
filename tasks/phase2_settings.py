"""What phase 2 is told: data, models, how labels are weighed, how models are fused, seeds, and what is measured."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator, model_validator

from models.settings.collect import CollectSettings
from models.settings.fields import INCIDENTAL, Settings
from models.settings.gnn import GnnSettings
from models.settings.preprocess import RecordMaking
from models.settings.train import CheckpointSettings, ComputeSettings
from models.settings.transformer import TransformerSettings
from models.settings.weigh import NoiseRules
from tasks.run_settings import RunSettings

ModelName = Literal["transformer", "gnn"]
ProbeName = Literal["rename", "reformat", "pairs"]
UNWEIGHTED: Final[Literal["none"]] = "none"


class FusionRules(Settings):
    """How models are fused."""

    method: Literal["average", "stacker"] = "average"
    """average: one weight per model, learned on out-of-fold scores; stacker: regularised logistic regression."""
    regularisation: PositiveFloat = 1.0
    """Inverse strength C of the stacker's regularisation."""
    across_projects: bool = True
    """Also measure the gain with whole projects left out: one more set of fold trainings for each model."""


class Phase2Settings(RunSettings):
    """Phase 2: collect noisy data, weigh labels, retrain, fuse, and compare with Phase 1 over seeds."""

    collect: CollectSettings
    """Clean data, noisy collections and before/after pairs; the clean folder is the one thing that must be said."""
    records: RecordMaking = RecordMaking()
    """How functions become records; the same for Phase 1 and Phase 2."""
    models: Annotated[tuple[ModelName, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True})] = (
        "transformer",
        "gnn",
    )
    """Models to train; two are fused."""
    transformer: TransformerSettings = TransformerSettings()
    """The transformer and how it is optimised; a pretrained one needs its own tokenizer in records.tokenizer."""
    gnn: GnnSettings = GnnSettings()
    """The graph network and how it is optimised."""
    num_folds: Annotated[int, Field(ge=2, le=50)] = 5
    """Folds of the out-of-fold scores: so many trainings for each model [folds]."""
    fold_seed: NonNegativeInt = 42
    """The one seed of the folds and of the trainings that leave one out."""
    noise: NoiseRules = NoiseRules()
    """How far a label is trusted."""
    weighting: Literal["loss", "sampling"] = "loss"
    """What a weight does: multiply the record's loss, or say how often the record is drawn."""
    treatments: tuple[Literal["prune", "random"], ...] = ("prune", "random")
    """What confidence weights are compared with, beside no weights."""
    compared_on: tuple[ModelName, ...] = ("gnn",)
    """Models that are also trained without weights and with the other treatments; each costs one training a seed."""
    fusion: FusionRules = FusionRules()
    """How models are fused, where there are two."""
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] = (1, 2, 3, 4, 5)
    """Seeds of every system: replicates, none is chosen."""
    probes: tuple[ProbeName, ...] = ("rename", "reformat", "pairs")
    """What is asked beside the test split: functions renamed, reformatted, and before/after pairs where there are."""
    open_test: str | None = "phase 2: final measurement"
    """Purpose of opening the sealed test split, written into openings.jsonl; empty: it stays sealed."""
    num_resamples: PositiveInt = 10_000
    """Bootstrap resamples over seeds and groups."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Coverage of the intervals."""
    quick_test: bool = False
    """First 100 usable records of each split and 1 epoch (recorded); the numbers then mean nothing."""
    compute: ComputeSettings = ComputeSettings()
    """Device, precision, ranks and threads of training; prediction takes all but the ranks."""
    checkpoints: CheckpointSettings = CheckpointSettings()
    """When training progress is saved."""
    slots: Annotated[PositiveInt, INCIDENTAL] = 1
    """Trainings at a time on this machine, each with compute.num_threads threads [jobs]."""

    @field_validator("models", "compared_on", "treatments", "seeds", "probes")
    @classmethod
    def _each_once(cls, named: tuple[object, ...]) -> tuple[object, ...]:
        if len(set(named)) < len(named):
            raise ValueError(f"each is named once, got {', '.join(map(str, named))}")
        return named

    @model_validator(mode="after")
    def _fits_together(self) -> Phase2Settings:
        if unknown := sorted(set(self.compared_on) - set(self.models)):
            raise ValueError(f"compared_on: {unknown[0]} is not among models ({', '.join(self.models)})")
        if not self.collect.sources:
            raise ValueError("collect.sources: phase 2 needs a noisy collection; name one, or run phase 1")
        return self
