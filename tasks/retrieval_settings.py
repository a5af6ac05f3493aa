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
SEEDED = ("balance", "candidates")
"""Parts that have a seed of their own; where it is not said it is the flow's."""
Seeds = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]


class TrainedFlowSettings(RunSettings):
    """What every flow of retrieval is told."""

    seed: NonNegativeInt = 1337
    """Seed of data, training, choice and resampling; where given, balance.seed and candidates.seed are their own."""
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
        own = {name: value for name, value in given.items() if name not in others}
        seeded = [part for part in SEEDED if part in cls.model_fields]
        return own | {part: _seeded(own.get(part, {}), own.get("seed")) for part in seeded}


class EmbeddingsFlowSettings(TrainedFlowSettings):
    """A dual encoder and its search (program without --config: from defaults; flow: from sample.yaml)."""

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
    """Rerankers over what an encoder finds (program without --config: from defaults; flow: from sample.yaml)."""

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

    @model_validator(mode="after")
    def _texts_are_in_tokens_of_the_cross_encoder(self) -> RerankerFlowSettings:
        """Texts are tokenised for the encoder alone, so that flows of one file tokenise them once."""
        wanted = self.cross_encoder
        if "cross_encoder" not in self.rerankers or wanted.pretrained == "off" or self.records.tokenizer is not None:
            return self
        if self.embeddings.pretrained == "off" or self.embeddings.backbone != wanted.backbone:
            raise ValueError(
                f"cross_encoder.pretrained: {wanted.backbone} reads tokens of its own, and texts are tokenised for the "
                f"encoder; give records.tokenizer ({wanted.backbone}), or embeddings.pretrained with the same backbone"
            )
        return self

    @model_validator(mode="after")
    def _a_full_list_fits(self) -> RerankerFlowSettings:
        """A list is learnt from whole: fewer triples than one has would only be refused after the encoder learnt."""
        for name in self.rerankers:
            given: RerankerSettings | CrossEncoderSettings = getattr(self, name)
            if given.max_triples is not None and given.max_triples < self.list_size - 1:
                raise ValueError(
                    f"--max-triples ({name}.max_triples) {given.max_triples}: a list of --list-size {self.list_size} "
                    f"candidates has {self.list_size - 1} triples at least, and lists are not divided; give at least "
                    "so many, or shorter lists"
                )
        return self


class PatchRankerFlowSettings(TrainedFlowSettings):
    """Patch rankers by project left out (program without --config: from defaults; flow: from sample.yaml)."""

    candidates: CandidatesSettings
    """Candidate patches, and how their edits become text and features; the data are the one thing that must be said.
    Without a tokenizer that of a pretrained encoder is taken, where that can be had."""
    patch_ranker: PatchRankerSettings = PatchRankerSettings()
    """The ranker and how it is optimised."""
    seeds: Seeds | None = None
    """Seeds of rerankers and patch rankers: replicates, none is chosen; empty: seed alone."""

    @model_validator(mode="after")
    def _quick_test_is_the_one_of_this_flow(self) -> PatchRankerFlowSettings:
        if self.candidates.quick_test and not self.quick_test:
            raise ValueError("candidates.quick_test: say quick_test, which is that of every job here; leave it out")
        return self

    @field_validator("seeds")
    @classmethod
    def _each_seed_once(cls, named: tuple[object, ...] | None) -> tuple[object, ...] | None:
        return _once(named)


class RetrievalFlowSettings(RerankerFlowSettings, PatchRankerFlowSettings):
    """Encoder, rerankers and patch rankers (program without --config: from defaults; flow: from sample.yaml)."""


def seeds_of(settings: RerankerFlowSettings | PatchRankerFlowSettings) -> tuple[int, ...]:
    """The seeds of what ranks."""
    return settings.seeds or (settings.seed,)


def _seeded(part: Any, seed: Any) -> Any:
    """A part of the settings as given, with the seed of the flow where it has none of its own."""
    if not isinstance(seed, int):
        return part
    if isinstance(part, BalanceSettings | CandidatesSettings):
        return part if "seed" in part.model_fields_set else part.model_copy(update={"seed": seed})
    return {"seed": seed, **part} if isinstance(part, Mapping) else part


def _once(named: tuple[object, ...] | None) -> tuple[object, ...] | None:
    if named is not None and len(set(named)) < len(named):
        raise ValueError(f"each is named once, got {', '.join(map(str, named))}")
    return named
