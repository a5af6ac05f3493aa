"""The ``train`` job: what every kind of model is told, and the union of the kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from models.settings.contrastive import EmbeddingsSettings
from models.settings.fields import IN_BUILD_KEY, INCIDENTAL, InputPath, Settings
from models.settings.gnn import GnnSettings
from models.settings.reranking import CrossEncoderSettings, PatchRankerSettings, RerankerSettings
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.settings.transformer import TransformerSettings

ModelSettings = Annotated[
    GnnSettings
    | TransformerSettings
    | EmbeddingsSettings
    | RerankerSettings
    | CrossEncoderSettings
    | PatchRankerSettings,
    Field(discriminator="kind"),
]
"""Union of all model kinds, discriminated on ``kind``; a new kind is added here and in ``models.jobs.registry``."""
READ_TOKENS = frozenset({"transformer", "embeddings", "cross_encoder", "patch_ranker"})
"""Model kinds that read tokens themselves."""
READ_TEXTS = frozenset({"embeddings", "reranker", "cross_encoder", "patch_ranker"})
"""Model kinds whose training records are pairs or lists that name texts."""
TEXTS_FILE = "texts.jsonl"
"""Where texts lie beside pairs and lists."""


class ComputeSettings(Settings):
    """What the job runs on. Part of the build key: other values may give other bytes."""

    device: Annotated[Literal["auto", "cpu", "cuda"], IN_BUILD_KEY] = "auto"
    """Device; auto takes a GPU where there is one."""
    precision: Annotated[Literal["auto", "off", "bf16", "fp16"], IN_BUILD_KEY] = "auto"
    """Mixed precision; auto is off on the CPU, bf16 where the GPU has it natively."""
    num_ranks: Annotated[PositiveInt, IN_BUILD_KEY] = 1
    """Processes that train together [processes]."""
    num_threads: Annotated[PositiveInt, IN_BUILD_KEY] = 1
    """Threads of each process [threads]."""


class CheckpointSettings(Settings):
    """When progress is saved. Decides nothing of the result."""

    every_seconds: Annotated[PositiveFloat, INCIDENTAL] = 60.0
    """Longest time between checkpoints [s]; a checkpoint is also made after each evaluation."""
    every_steps: Annotated[PositiveInt | None, INCIDENTAL] = None
    """Also after this many optimiser steps [steps]; empty: by time only."""
    keep: Annotated[PositiveInt, INCIDENTAL] = 2
    """Newest generations kept beside the best one."""
    overlap_steps: Annotated[PositiveInt | None, INCIDENTAL] = None
    """Steps that training may go on while a checkpoint is on its way to S3 [steps]; empty: as many as it takes. With it
    a machine that vanishes costs at most one interval and so many steps."""


class TrainSettings(Settings):
    """Train one model with one seed."""

    kind: Literal["train"] = "train"
    train_data: InputPath
    """Records to learn from: a .jsonl of the preprocess job; pairs or lists, for models of these."""
    val_data: InputPath
    """Records for early stopping, learning rate and threshold."""
    test_data: InputPath | None = None
    """Sealed test records, opened once (and logged) after training has ended; empty: not opened."""
    tokenizer: InputPath | None = None
    """Folder of the tokenizer that made the records, for models that read tokens; empty: the one beside train_data."""
    texts: InputPath | None = None
    """The texts that pairs and lists name, for models of these; empty: texts.jsonl beside train_data."""
    weights: InputPath | None = None
    """Weight of each training record: a .jsonl of id and weight; empty: all the same."""
    weighting: Literal["loss", "sampling"] = "loss"
    """What a weight does: multiply the record's loss, relative to the others of its step (a step is divided by its own
    total weight), or say how often the record is drawn (with replacement)."""
    folds: InputPath | None = None
    """Directory of a finished folds run, to leave one fold of training out; empty: all records are learnt from."""
    left_out_fold: NonNegativeInt | None = None
    """The fold that is left out; together with folds."""
    model: ModelSettings = GnnSettings()
    """Kind of model, its architecture and its optimisation."""
    seed: NonNegativeInt = 42
    """Base seed; initialisation, data order and dropout derive their own from it."""
    quick_test: bool = False
    """First 100 records of each file and 1 epoch (recorded)."""
    compute: ComputeSettings = ComputeSettings()
    """Device, precision, ranks and threads."""
    checkpoints: CheckpointSettings = CheckpointSettings()
    """When progress is saved."""
    log_every_seconds: Annotated[NonNegativeFloat, INCIDENTAL] = 2.0
    """Least time between two step events [s]."""

    @model_validator(mode="after")
    def _folds_with_the_one_left_out(self) -> TrainSettings:
        if (self.folds is None) != (self.left_out_fold is None):
            raise ValueError("folds and left_out_fold belong together: give the folds run and the fold to leave out")
        return self

    @model_validator(mode="after")
    def _sampling_by_weights(self) -> TrainSettings:
        if self.weighting == "sampling" and self.weights is None:
            raise ValueError("weighting: sampling draws records by their weights; give weights, or weighting loss")
        return self

    @model_validator(mode="after")
    def _encoder_of_a_reranker(self) -> TrainSettings:
        if isinstance(self.model, RerankerSettings) and self.model.encoder is None:
            raise ValueError("model.encoder: a reranker compares vectors; give the directory of an embeddings run")
        return self

    @model_validator(mode="before")
    @classmethod
    def _what_lies_beside_the_records(cls, given: Any) -> Any:
        """Names what a model will read beside its records, so that its content is in the run key."""
        if not isinstance(given, dict) or "train_data" not in given:
            return given
        model = given.get("model", cls.model_fields["model"].default)
        kind = model.get("kind") if isinstance(model, dict) else getattr(model, "kind", None)
        beside = {}
        if kind in READ_TEXTS and given.get("texts") is None:
            beside["texts"] = str(Path(given["train_data"]).parent / TEXTS_FILE)
        if kind in READ_TOKENS and given.get("tokenizer") is None:
            holder = Path(given.get("texts") or beside.get("texts") or given["train_data"])
            beside["tokenizer"] = str(holder.parent / TOKENIZER_FOLDER)
        return {**given, **beside}
