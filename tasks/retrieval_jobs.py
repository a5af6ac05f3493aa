"""The jobs of retrieval, as settings: what each step is told. Pure functions of settings and of where runs lie.

The order of the steps is in ``retrieval_steps``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from models.settings.reranking import CrossEncoderSettings, PatchRankerSettings, RerankerSettings
from models.settings.retrieval import (
    BoostSettings,
    CandidatesSettings,
    EmbedSettings,
    JudgedSystem,
    JudgeSettings,
    MineSettings,
    PairsSettings,
    RetrieveSettings,
    ScoreSettings,
)
from models.settings.text_encoder import TextEncoder
from models.settings.tokenizing import Tokenizing
from models.settings.train import ComputeSettings, TrainSettings
from tasks.retrieval_settings import (
    EmbeddingsFlowSettings,
    PatchRankerFlowSettings,
    RerankerFlowSettings,
    RerankerName,
    TrainedFlowSettings,
)

TEXTS = "texts.jsonl"
TEST_TEXTS = "test_texts.jsonl"
LISTS = "lists.jsonl"
PROJECTS = "projects"
HELD_OUT = "held_out.jsonl"
NOT_SEALED = "validation lists: nothing sealed is opened"
TITLES = {
    "reranker": "Reranker (MLP)",
    "cross_encoder": "Cross-encoder",
    "patch_ranker": "Patch ranker",
    "boosted_trees": "Boosted trees",
}
"""What people call a system."""


def pairs_job(settings: EmbeddingsFlowSettings, balanced_path: Path) -> PairsSettings:
    """Functions to tokens, with the pairs among them."""
    encoders: list[TextEncoder] = [settings.embeddings]
    if isinstance(settings, RerankerFlowSettings) and "cross_encoder" in settings.rerankers:
        encoders.append(settings.cross_encoder)
    told = _values(tokenizing_for(settings.records, encoders), Tokenizing)
    return PairsSettings(data=balanced_path, quick_test=settings.quick_test, **told)


def embeddings_job(
    settings: EmbeddingsFlowSettings, pairs_path: Path, learnt_path: Path | None = None
) -> TrainSettings:
    """The dual encoder; ``learnt_path`` is a mine run whose pairs have hard negatives."""
    folder = learnt_path or pairs_path
    return TrainSettings(
        train_data=folder / "train_pairs.jsonl",
        val_data=folder / "valid_pairs.jsonl",
        texts=pairs_path / TEXTS,
        model=settings.embeddings,
        seed=settings.seed,
        quick_test=settings.quick_test,
        compute=settings.compute,
        checkpoints=settings.checkpoints,
    )


def embed_job(
    settings: EmbeddingsFlowSettings, encoder_path: Path, pairs_path: Path, *, for_measuring: bool
) -> EmbedSettings:
    """Vectors of texts; for measuring, also of sealed ones and by the encoder before it learnt."""
    return EmbedSettings(
        model_run=encoder_path,
        data=pairs_path,
        with_untrained=for_measuring,
        open_test=(settings.open_test or None) if for_measuring else None,
        compute=_of_one_process(settings),
    )


def mine_job(settings: EmbeddingsFlowSettings, pairs_path: Path, vectors_path: Path) -> MineSettings:
    """Hard negatives, and the lists that rerankers learn from."""
    for_rerankers = {}
    if isinstance(settings, RerankerFlowSettings):
        for_rerankers = {"max_lists": settings.max_lists, "list_size": settings.list_size}
    return MineSettings(
        data=pairs_path, vectors=vectors_path, depth=settings.depth, seed=settings.seed, **for_rerankers
    )


def retrieve_job(settings: EmbeddingsFlowSettings, pairs_path: Path, vectors_path: Path) -> RetrieveSettings:
    """Exact search by each system."""
    return RetrieveSettings(
        data=pairs_path,
        vectors=vectors_path,
        split="test" if settings.open_test else "valid",
        depth=settings.depth,
        max_queries=settings.max_queries,
        num_resamples=settings.num_resamples,
        confidence=settings.confidence,
        seed=settings.seed,
    )


def reranker_job(
    settings: RerankerFlowSettings,
    name: RerankerName,
    seed: int,
    *,
    pairs_path: Path,
    mined_path: Path,
    encoder_path: Path,
) -> TrainSettings:
    """One reranker with one seed."""
    model: RerankerSettings | CrossEncoderSettings = settings.cross_encoder
    if name == "reranker":
        model = settings.reranker.model_copy(update={"encoder": encoder_path})
    return TrainSettings(
        train_data=mined_path / "train_lists.jsonl",
        val_data=mined_path / "valid_lists.jsonl",
        texts=pairs_path / TEXTS,
        model=model,
        seed=seed,
        quick_test=settings.quick_test,
        compute=settings.compute,
        checkpoints=settings.checkpoints,
    )


def rerank_job(
    settings: RerankerFlowSettings, model_path: Path, retrieved_path: Path, pairs_path: Path
) -> ScoreSettings:
    """Scores of what the encoder found."""
    return ScoreSettings(
        model_run=model_path,
        lists=retrieved_path / LISTS,
        texts=pairs_path / (TEST_TEXTS if settings.open_test else TEXTS),
        purpose=settings.open_test or NOT_SEALED,
        compute=_of_one_process(settings),
    )


def reranking_judge_job(
    settings: RerankerFlowSettings, retrieved_path: Path, scored: Mapping[RerankerName, Mapping[int, Path]]
) -> JudgeSettings:
    """Rerankers against the order that they were given."""
    return JudgeSettings(
        lists=(retrieved_path / LISTS,),
        systems={name: _judged(name, {seed: [path] for seed, path in runs.items()}) for name, runs in scored.items()},
        baselines=("first_stage",),
        num_resamples=settings.num_resamples,
        confidence=settings.confidence,
        seed=settings.seed,
    )


def candidates_job(settings: PatchRankerFlowSettings) -> CandidatesSettings:
    """Patches to lists, text and features."""
    changes = _values(tokenizing_for(settings.candidates, [settings.patch_ranker]), Tokenizing)
    quick_test = settings.quick_test or settings.candidates.quick_test
    return settings.candidates.model_copy(update={**changes, "quick_test": quick_test})


def patch_ranker_job(
    settings: PatchRankerFlowSettings, candidates_path: Path, project: str, seed: int
) -> TrainSettings:
    """A ranker that learns from all projects but one."""
    model: PatchRankerSettings = settings.patch_ranker
    return TrainSettings(
        train_data=candidates_path / PROJECTS / project / "train.jsonl",
        val_data=candidates_path / PROJECTS / project / "valid.jsonl",
        texts=candidates_path / TEXTS,
        model=model,
        seed=seed,
        quick_test=settings.quick_test,
        compute=settings.compute,
        checkpoints=settings.checkpoints,
    )


def patch_score_job(
    settings: PatchRankerFlowSettings, model_path: Path, candidates_path: Path, project: str
) -> ScoreSettings:
    """Scores of the project that the ranker did not learn from."""
    return ScoreSettings(
        model_run=model_path,
        lists=candidates_path / PROJECTS / project / HELD_OUT,
        texts=candidates_path / TEXTS,
        purpose=f"patch ranking: {project}, which was left out",
        compute=_of_one_process(settings),
    )


def boost_job(settings: PatchRankerFlowSettings, candidates_path: Path, project: str) -> BoostSettings:
    """The baseline of trees, with the same project left out."""
    folder = candidates_path / PROJECTS / project
    return BoostSettings(
        train_lists=folder / "train.jsonl",
        valid_lists=folder / "valid.jsonl",
        held_out_lists=folder / HELD_OUT,
        seed=settings.seed,
    )


def patch_judge_job(
    settings: PatchRankerFlowSettings,
    candidates_path: Path,
    ranked: Mapping[str, Mapping[int, Path]],
    boosted: Mapping[str, Path],
) -> JudgeSettings:
    """Rankers over all projects together, each project by those that did not learn from it.

    Args:
        settings: Of the flow.
        candidates_path: The candidates run.
        ranked: Score run by project and seed.
        boosted: Boost run by project.
    """
    seeds = next(iter(ranked.values()), {})
    by_seed = {seed: [runs[seed] for runs in ranked.values()] for seed in seeds}
    return JudgeSettings(
        lists=tuple(candidates_path / PROJECTS / project / HELD_OUT for project in ranked),
        systems={
            "patch_ranker": _judged("patch_ranker", by_seed),
            "boosted_trees": _judged("boosted_trees", {settings.seed: list(boosted.values())}),
        },
        baselines=("random", "size"),
        num_resamples=settings.num_resamples,
        confidence=settings.confidence,
        seed=settings.seed,
    )


def tokenizing_for(told: Tokenizing, encoders: Sequence[TextEncoder]) -> Tokenizing:
    """How texts become tokens: as told, or as the first pretrained encoder reads them, where it can be had.

    Raises:
        WeightsMissing: an encoder is required and is not at hand. Not retried.
        StoreUnavailable: it is to be fetched, and the hub does not answer. Retried.
    """
    if told.tokenizer is not None:
        return told
    for encoder in encoders:
        if encoder.pretrained == "off":
            continue
        from models.data.backbone_files import choose_backbone

        files = choose_backbone(encoder).files
        if files is not None:
            own = {"tokenizer": files.name, "tokenizer_revision": files.revision}
            return told.model_copy(update={**own, "allow_network": encoder.allow_network})
    return told


def _judged(name: str, scores: Mapping[int, Sequence[Path]]) -> JudgedSystem:
    return JudgedSystem(title=TITLES[name], scores={str(seed): tuple(paths) for seed, paths in scores.items()})


def _of_one_process(settings: TrainedFlowSettings) -> ComputeSettings:
    return settings.compute.model_copy(update={"num_ranks": 1})


def _values(settings: Tokenizing, settings_class: type[Tokenizing]) -> dict[str, object]:
    """The fields of a class, by name, as settings have them."""
    return {name: getattr(settings, name) for name in settings_class.model_fields}
