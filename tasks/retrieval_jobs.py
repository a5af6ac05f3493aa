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
from tasks.retrieval_titles import title_of

TEXTS = "texts.jsonl"
TEST_TEXTS = "test_texts.jsonl"
LISTS = "lists.jsonl"
PROJECTS = "projects"
HELD_OUT = "held_out.jsonl"


def pairs_job(settings: EmbeddingsFlowSettings, balanced_path: Path) -> PairsSettings:
    """Functions to tokens, with the pairs among them."""
    told = _values(tokenizing_for(settings.records, settings.embeddings), Tokenizing)
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


def embed_for_mining_job(settings: EmbeddingsFlowSettings, encoder_path: Path, pairs_path: Path) -> EmbedSettings:
    """Vectors of the texts that are learnt from."""
    return EmbedSettings(model_run=encoder_path, data=pairs_path, compute=_of_one_process(settings))


def embed_for_measuring_job(settings: EmbeddingsFlowSettings, encoder_path: Path, pairs_path: Path) -> EmbedSettings:
    """Vectors of texts, of sealed ones where they are opened, and by the encoder before it learnt."""
    return EmbedSettings(
        model_run=encoder_path,
        data=pairs_path,
        with_untrained=True,
        open_test=settings.open_test or None,
        compute=_of_one_process(settings),
    )


def hard_negatives_job(settings: EmbeddingsFlowSettings, pairs_path: Path, vectors_path: Path) -> MineSettings:
    """Hard negatives for the encoder; nothing of the rerankers is in it, so that every flow finds the same run."""
    return MineSettings(data=pairs_path, vectors=vectors_path, depth=settings.depth, seed=settings.seed)


def lists_job(settings: RerankerFlowSettings, pairs_path: Path, vectors_path: Path) -> MineSettings:
    """The lists that rerankers learn from."""
    return MineSettings(
        data=pairs_path,
        vectors=vectors_path,
        depth=settings.depth,
        max_lists=settings.max_lists,
        list_size=settings.list_size,
        seed=settings.seed,
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
    settings: RerankerFlowSettings, purpose: str, model_path: Path, retrieved_path: Path, pairs_path: Path
) -> ScoreSettings:
    """Scores of what the encoder found among sealed texts; ``purpose`` is why they are opened.

    There is none for validation: it chose the reranker, and judges no one.
    """
    return ScoreSettings(
        model_run=model_path,
        lists=retrieved_path / LISTS,
        texts=pairs_path / TEST_TEXTS,
        purpose=purpose,
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
    changes = _values(tokenizing_for(settings.candidates, settings.patch_ranker), Tokenizing)
    return settings.candidates.model_copy(update={**changes, "quick_test": settings.quick_test})


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


def tokenizing_for(told: Tokenizing, encoder: TextEncoder) -> Tokenizing:
    """How texts become tokens: as told, or as the pretrained encoder reads them, where it can be had.

    Raises:
        WeightsMissing: an encoder is required and is not at hand. Not retried.
        StoreUnavailable: it is to be fetched, and the hub does not answer. Retried.
    """
    if told.tokenizer is not None or encoder.pretrained == "off":
        return told
    from models.data.backbone_files import choose_backbone

    files = choose_backbone(encoder).files
    if files is None:
        return told
    own = {"tokenizer": files.name, "tokenizer_revision": files.revision}
    return told.model_copy(update={**own, "allow_network": encoder.allow_network})


def _judged(name: str, scores: Mapping[int, Sequence[Path]]) -> JudgedSystem:
    return JudgedSystem(title=title_of(name), scores={str(seed): tuple(paths) for seed, paths in scores.items()})


def _of_one_process(settings: TrainedFlowSettings) -> ComputeSettings:
    return settings.compute.model_copy(update={"num_ranks": 1})


def _values(settings: Tokenizing, settings_class: type[Tokenizing]) -> dict[str, object]:
    """The fields of a class, by name, as settings have them."""
    return {name: getattr(settings, name) for name in settings_class.model_fields}
