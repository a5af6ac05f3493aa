"""What the flows of retrieval are told: data, encoder, rerankers, patch rankers, seeds, and what is measured.

One file may describe all of them (``configs/retrieval/sample.yaml``): each flow takes its own parts of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from models.settings.balance import BalanceSettings
from models.settings.contrastive import EmbeddingsSettings
from models.settings.fields import INCIDENTAL
from models.settings.reranking import CrossEncoderSettings, PatchRankerSettings, RerankerSettings
from models.settings.retrieval import CandidatesSettings, Confidence
from models.settings.tokenizing import Tokenizing
from models.settings.train import CheckpointSettings, ComputeSettings
from tasks.run_settings import RunSettings

RerankerName = Literal["reranker", "cross_encoder"]
Seeds = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]


class TrainedFlowSettings(RunSettings):
    """What every flow of retrieval is told."""

    seed: NonNegativeInt = 1337
    """Seed of training, choice and resampling; that of the data set is its own (balance.seed)."""
    num_resamples: PositiveInt = 10_000
    """Bootstrap resamples over groups."""
    confidence: Confidence = 0.95
    """Coverage of the intervals."""
    quick_test: bool = False
    """First 100 records of each file and 1 epoch (recorded); the numbers then mean nothing."""
    compute: ComputeSettings = ComputeSettings()
    """Device, precision, ranks and threads of training; embedding and scoring take all but the ranks."""
    checkpoints: CheckpointSettings = CheckpointSettings()
    """When training progress is saved."""
    slots: Annotated[PositiveInt, INCIDENTAL] = 1
    """Trainings at a time on this machine, each with compute.num_threads threads [jobs]."""
    artifacts_dir: Annotated[Path | None, INCIDENTAL] = None
    """Folder that gets data set, weights and vocabulary under the seed's file names, at the end; empty: none does."""

    @model_validator(mode="before")
    @classmethod
    def _without_parts_of_other_flows(cls, given: Any) -> Any:
        """Passes over what a file of the whole says of other flows; a key that no flow knows is refused as ever."""
        if not isinstance(given, Mapping):
            return given
        others = RetrievalFlowSettings.model_fields.keys() - cls.model_fields.keys()
        return {name: value for name, value in given.items() if name not in others}


class EmbeddingsFlowSettings(TrainedFlowSettings):
    """A balanced data set of real functions, a dual encoder, and how well it finds functions that do the same."""

    balance: BalanceSettings = BalanceSettings()
    """Repositories or a collection, how their functions are labelled, balanced, split and paired."""
    records: Tokenizing = Tokenizing()
    """How functions become tokens. Without a tokenizer that of a pretrained encoder is taken, where that can be had."""
    embeddings: EmbeddingsSettings = EmbeddingsSettings()
    """The dual encoder and how it is optimised."""
    hard_negatives: bool = False
    """Train twice: the second time beside the texts that the first encoder takes for the same, and that are not."""
    open_test: str | None = "retrieval: final measurement"
    """Purpose of opening the sealed test texts, written into openings.jsonl; empty: validation is searched instead."""
    depth: Annotated[int, Field(ge=2, le=1000)] = 50
    """Nearest texts that are handed to rerankers [texts]."""
    max_queries: PositiveInt | None = None
    """Queries that are measured at most, drawn by the seed; the pool stays whole. Empty: all [queries]."""


class RerankerFlowSettings(EmbeddingsFlowSettings):
    """Rerankers over what an encoder finds, and the gain of their order."""

    rerankers: Annotated[tuple[RerankerName, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True})] = (
        "reranker",
        "cross_encoder",
    )
    """Rerankers to train."""
    reranker: RerankerSettings = RerankerSettings()
    """The small network over two embeddings; its encoder is the one of this flow."""
    cross_encoder: CrossEncoderSettings = CrossEncoderSettings()
    """The encoder that reads both texts together."""
    max_lists: PositiveInt | None = None
    """Queries of each split that rerankers learn from and are chosen by at most; empty: all [lists]."""
    list_size: Annotated[int, Field(ge=2, le=1000)] = 16
    """Candidates of a list of training at most, relevant ones included [texts]."""
    seeds: Seeds | None = None
    """Seeds of rerankers and patch rankers: replicates, none is chosen; empty: seed alone."""

    @field_validator("rerankers", "seeds")
    @classmethod
    def _each_once(cls, named: tuple[object, ...] | None) -> tuple[object, ...] | None:
        return _once(named)

    @model_validator(mode="after")
    def _encoder_is_the_one_of_this_flow(self) -> RerankerFlowSettings:
        if self.reranker.encoder is not None:
            raise ValueError("reranker.encoder: this flow trains the encoder itself (embeddings); leave it out")
        return self


class PatchRankerFlowSettings(TrainedFlowSettings):
    """Rankers of candidate patches, each measured on a project that it did not learn from."""

    candidates: CandidatesSettings
    """Candidate patches, and how their edits become text and features; the data are the one thing that must be said.
    Without a tokenizer that of a pretrained encoder is taken, where that can be had."""
    patch_ranker: PatchRankerSettings = PatchRankerSettings()
    """The ranker and how it is optimised."""
    seeds: Seeds | None = None
    """Seeds of rerankers and patch rankers: replicates, none is chosen; empty: seed alone."""

    @field_validator("seeds")
    @classmethod
    def _each_seed_once(cls, named: tuple[object, ...] | None) -> tuple[object, ...] | None:
        return _once(named)


class RetrievalFlowSettings(RerankerFlowSettings, PatchRankerFlowSettings):
    """Encoder, rerankers and patch rankers, with one report."""


def seeds_of(settings: RerankerFlowSettings | PatchRankerFlowSettings) -> tuple[int, ...]:
    """The seeds of what ranks."""
    return settings.seeds or (settings.seed,)


def _once(named: tuple[object, ...] | None) -> tuple[object, ...] | None:
    if named is not None and len(set(named)) < len(named):
        raise ValueError(f"each is named once, got {', '.join(map(str, named))}")
    return named
