"""The jobs around encoders and rankers: pairs, candidates, embed, mine, retrieve, score, boost, judge, export."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from models.settings.fields import InputPath, Settings
from models.settings.tokenizing import Tokenizing
from models.settings.train import ComputeSettings

SystemName = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Confidence = Annotated[float, Field(gt=0.5, lt=1.0)]


class PairsSettings(Tokenizing):
    """Tokenise a balanced data set, and name the pairs of texts that do the same."""

    kind: Literal["pairs"] = "pairs"
    data: InputPath
    """Directory of the finished balance run."""
    max_seq_len: Annotated[int, Field(ge=8, le=16384)] = 512
    """Longest token sequence kept, special tokens included; the end of a longer one is cut off [tokens]."""
    quick_test: bool = False
    """First 100 texts of each split, and the pairs among them (recorded)."""


class CandidatesSettings(Tokenizing):
    """Candidate patches, grouped by bug: their edits as text and as features, one set of lists for each project."""

    kind: Literal["candidates"] = "candidates"
    data: InputPath
    """Patches: .jsonl or .jsonl.gz of {"project", "bug_id", "before", "after", "label"} (1: correct), optionally
    "patch_id"."""
    max_seq_len: Annotated[int, Field(ge=16, le=16384)] = 256
    """Longest token sequence of an edit, special tokens included [tokens]."""
    context_lines: NonNegativeInt = 3
    """Unchanged lines around each change that belong to its text [lines]."""
    valid_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Share of the other projects' bugs with both correct and wrong patches that choose the epoch while one project is
    left out, one at least; all other bugs are learnt from."""
    seed: NonNegativeInt = 1337
    """Seed of that choice."""
    quick_test: bool = False
    """A hundred bugs, whatever the order of the file (recorded)."""


class EmbedSettings(Settings):
    """Embed texts with a trained encoder, and where asked with the same encoder as it was before training."""

    kind: Literal["embed"] = "embed"
    model_run: InputPath
    """Directory of the finished embeddings run."""
    data: InputPath
    """Directory of the finished pairs run."""
    with_untrained: bool = False
    """Also embed with the encoder's weights from before its first step: what training must beat."""
    open_test: str | None = None
    """Purpose of opening the sealed test texts, written into openings.jsonl; empty: they stay sealed."""
    compute: ComputeSettings = ComputeSettings()
    """Device, precision and threads; embedding is the work of one process."""


class MineSettings(Settings):
    """Hard negatives by a trained encoder, and the lists of candidates that a reranker learns from."""

    kind: Literal["mine"] = "mine"
    data: InputPath
    """Directory of the finished pairs run."""
    vectors: InputPath
    """Directory of the finished embed run: the nearest texts that do something else are hard negatives."""
    num_negatives: Annotated[int, Field(ge=1, le=50)] = 5
    """Hard negatives of each pair [texts]."""
    skip_nearest: NonNegativeInt = 2
    """Nearest texts that are passed over, for they may do the same without saying so [texts]."""
    depth: Annotated[int, Field(ge=2, le=1000)] = 50
    """Nearest texts in a list of validation, as a reranker will meet them [texts]."""
    list_size: Annotated[int, Field(ge=2, le=1000)] = 16
    """Candidates of a list of training at most, relevant ones included [texts]."""
    max_lists: PositiveInt | None = None
    """Queries that lists are made for at most, of each split; empty: all [lists]."""
    seed: NonNegativeInt = 1337
    """Seed of what is chosen where there is more."""


class RetrieveSettings(Settings):
    """Search the sealed texts exactly with each system, and say how well, beside BM25 and an untrained encoder."""

    kind: Literal["retrieve"] = "retrieve"
    data: InputPath
    """Directory of the finished pairs run."""
    vectors: InputPath
    """Directory of the finished embed run; what is not there (test, untrained) is not measured."""
    split: Literal["valid", "test"] = "test"
    """Texts that are searched, each for the others that do the same; test needs vectors that were opened."""
    ks: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (1, 5, 10)
    """Depths at which recall and nDCG are told [texts]."""
    depth: Annotated[int, Field(ge=2, le=1000)] = 50
    """Nearest texts by the encoder that are left as lists for rerankers [texts]."""
    max_queries: PositiveInt | None = None
    """Queries at most, drawn by the seed; the pool stays whole. Empty: all [queries]."""
    num_resamples: PositiveInt = 10_000
    """Bootstrap resamples over groups."""
    confidence: Confidence = 0.95
    """Coverage of the intervals."""
    seed: NonNegativeInt = 1337
    """Seed of queries and resampling."""


class ScoreSettings(Settings):
    """Score the candidates of lists with a trained reranker or patch ranker."""

    kind: Literal["score"] = "score"
    model_run: InputPath
    """Directory of the finished training run."""
    lists: InputPath
    """Lists of candidates: a .jsonl of a mine, retrieve or candidates run."""
    texts: InputPath
    """The texts that the lists name: a .jsonl beside its columnar copy."""
    purpose: str
    """Why, for the log of openings: no score here may choose anything."""
    compute: ComputeSettings = ComputeSettings()
    """Device, precision and threads; scoring is the work of one process."""


class BoostSettings(Settings):
    """The baseline of patch ranking: gradient-boosted trees over the features of the edit alone."""

    kind: Literal["boost"] = "boost"
    train_lists: InputPath
    """Lists to learn from."""
    valid_lists: InputPath
    """Lists that say when to stop."""
    held_out_lists: InputPath
    """Lists to score, of no bug that was learnt from."""
    num_leaves: Annotated[int, Field(ge=2, le=1024)] = 7
    """Leaves of a tree [leaves]."""
    learning_rate: PositiveFloat = 0.05
    """Weight of a tree."""
    num_trees: PositiveInt = 300
    """Trees at most [trees]."""
    early_stopping_rounds: PositiveInt = 30
    """Trees without a better validation before it stops [trees]."""
    seed: NonNegativeInt = 1337
    """Seed of LightGBM; each tree sees all lists and features, so that nothing is drawn by it."""


class JudgedSystem(Settings):
    """One system's scores of the judged lists."""

    title: str
    """What people call it."""
    scores: Annotated[dict[str, tuple[InputPath, ...]], Field(min_length=1)]
    """By seed, directories of finished score or boost runs that together score every list once."""


class JudgeSettings(Settings):
    """Judge orders of candidates: metrics of several systems on the same lists, with intervals and differences."""

    kind: Literal["judge"] = "judge"
    lists: Annotated[tuple[InputPath, ...], Field(min_length=1)]
    """Files of lists that are judged together; lists with one label are counted and not judged."""
    systems: dict[SystemName, JudgedSystem] = Field(default_factory=dict)
    """Scores by system; each is compared with every baseline and every other system, corrected for their number."""
    baselines: Annotated[tuple[Literal["first_stage", "size", "random"], ...], Field(min_length=1)] = ("random",)
    """What systems must beat: the order of the first stage, the smaller edit first, the mean of all random orders."""
    ks: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (1, 5, 10)
    """Depths at which recall and nDCG are told [candidates]."""
    num_resamples: PositiveInt = 10_000
    """Bootstrap resamples over groups."""
    confidence: Confidence = 0.95
    """Coverage of the intervals."""
    seed: NonNegativeInt = 1337
    """Seed of resampling."""


class ExportSettings(Settings):
    """A trained encoder, reranker or patch ranker under the file names of the seed: weights as .pt, meta as JSON."""

    kind: Literal["export"] = "export"
    model_run: InputPath
    """Directory of the finished training run."""
