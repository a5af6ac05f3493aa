"""The steps of retrieval, once for plan and run: what is made of what, in order, and what runs side by side.

What a job is told is in ``retrieval_jobs``. Each function takes the place where jobs are run or only foreseen
(``retrieval_places``), and gives the runs in both cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from models.settings.fields import Settings
from models.settings.retrieval import ExportSettings
from models.settings.train import TrainSettings
from tasks import retrieval_jobs as jobs_of
from tasks.jobs import RunReference
from tasks.report_provenance import read_json
from tasks.retrieval_places import JobPlace
from tasks.retrieval_runs import EncoderRuns, PatchRuns, RerankerRuns, RetrievalRuns
from tasks.retrieval_settings import (
    EmbeddingsFlowSettings,
    PatchRankerFlowSettings,
    RerankerFlowSettings,
    RerankerName,
    RetrievalFlowSettings,
    TrainedFlowSettings,
    seeds_of,
)
from tasks.slots import Chain

EACH_PROJECT = "each-judged-project"
"""Stands in a plan for the projects that are left out, before the candidates are made."""
CANDIDATES_FILE = "candidates_metadata.json"
"""Of a candidates run: says which projects have a bug that can be ordered well or badly."""


class RankedRuns(NamedTuple):
    """A trained reranker and what it says of lists; ``None``: of lists that stayed sealed it says nothing."""

    train: RunReference
    score: RunReference | None


def encoder_steps(settings: EmbeddingsFlowSettings, place: JobPlace) -> EncoderRuns:
    """Data, encoder and search."""
    balanced = place.run(settings.balance, title="balance functions")
    paired = place.run(jobs_of.pairs_job(settings, balanced.run_path), title="tokenise and pair")
    trained = place.run(jobs_of.embeddings_job(settings, paired.run_path))
    if settings.hard_negatives:
        trained = _with_hard_negatives(settings, place, paired, trained)
    embed = jobs_of.embed_for_measuring_job(settings, trained.run_path, paired.run_path)
    embedded = place.run(embed, title="embed what is searched")
    retrieved = place.run(jobs_of.retrieve_job(settings, paired.run_path, embedded.run_path))
    return EncoderRuns(balanced, paired, trained, embedded, retrieved)


def _with_hard_negatives(
    settings: EmbeddingsFlowSettings, place: JobPlace, paired: RunReference, first: RunReference
) -> RunReference:
    embed = jobs_of.embed_for_mining_job(settings, first.run_path, paired.run_path)
    embedded = place.run(embed, title="embed what is learnt from")
    mine = jobs_of.hard_negatives_job(settings, paired.run_path, embedded.run_path)
    mined = place.run(mine, title="mine hard negatives")
    again = jobs_of.embeddings_job(settings, paired.run_path, mined.run_path)
    return place.run(again, title=f"train embeddings seed {settings.seed} with hard negatives")


def reranker_steps(settings: RerankerFlowSettings, place: JobPlace, encoder: EncoderRuns) -> RerankerRuns:
    """Rerankers over what the encoder finds."""
    mine = jobs_of.lists_job(settings, encoder.pairs.run_path, encoder.embed.run_path)
    mined = place.run(mine, title="mine lists for rerankers")
    chains = {
        f"{name} seed {seed}": _train_and_rerank(settings, name, seed, encoder, mined)
        for name in settings.rerankers
        for seed in seeds_of(settings)
    }
    done = iter(place.run_side_by_side(chains).values())
    runs = {name: {seed: next(done) for seed in seeds_of(settings)} for name in settings.rerankers}
    trained = {name: {seed: run.train for seed, run in own.items()} for name, own in runs.items()}
    return RerankerRuns(mined, trained, _judged_rerankers(settings, place, encoder, runs))


def _train_and_rerank(
    settings: RerankerFlowSettings, name: RerankerName, seed: int, encoder: EncoderRuns, mined: RunReference
) -> Chain[RankedRuns]:
    pairs_path = encoder.pairs.run_path
    trained = yield jobs_of.reranker_job(
        settings, name, seed, pairs_path=pairs_path, mined_path=mined.run_path, encoder_path=encoder.train.run_path
    )
    if not settings.open_test:
        return RankedRuns(trained, None)
    found_path = encoder.retrieve.run_path
    scored = yield jobs_of.rerank_job(settings, settings.open_test, trained.run_path, found_path, pairs_path)
    return RankedRuns(trained, scored)


def _judged_rerankers(
    settings: RerankerFlowSettings,
    place: JobPlace,
    encoder: EncoderRuns,
    runs: Mapping[RerankerName, Mapping[int, RankedRuns]],
) -> RunReference | None:
    """The judgement, where sealed lists were scored."""
    if not settings.open_test:
        return None
    scored = {
        name: {seed: run.score.run_path for seed, run in own.items() if run.score is not None}
        for name, own in runs.items()
    }
    return place.run(jobs_of.reranking_judge_job(settings, encoder.retrieve.run_path, scored), title="judge rerankers")


def patch_steps(settings: PatchRankerFlowSettings, place: JobPlace) -> PatchRuns:
    """Candidates, rankers that leave one project out, trees that do the same, and the judgement of all projects."""
    candidates = place.run(jobs_of.candidates_job(settings), title="candidate patches")
    projects, not_left_out = projects_in(candidates.run_path)
    chains = {
        f"{project} seed {seed}": _train_and_score(settings, candidates.run_path, project, seed)
        for project in projects
        for seed in seeds_of(settings)
    }
    done = iter(place.run_side_by_side(chains).values())
    runs = {project: {seed: next(done) for seed in seeds_of(settings)} for project in projects}
    trees = {project: _boosted(settings, candidates.run_path, project) for project in projects}
    boosted = place.run_side_by_side(trees)
    judge = jobs_of.patch_judge_job(
        settings,
        candidates.run_path,
        {project: {seed: score.run_path for seed, (_, score) in own.items()} for project, own in runs.items()},
        {project: run.run_path for project, run in boosted.items()},
    )
    trained = {project: {seed: train for seed, (train, _) in own.items()} for project, own in runs.items()}
    return PatchRuns(candidates, trained, place.run(judge, title="judge patch rankers"), not_left_out)


def _train_and_score(
    settings: PatchRankerFlowSettings, candidates_path: Path, project: str, seed: int
) -> Chain[tuple[RunReference, RunReference]]:
    """A ranker and what it says of the project that was left out."""
    trained = yield jobs_of.patch_ranker_job(settings, candidates_path, project, seed)
    scored = yield jobs_of.patch_score_job(settings, trained.run_path, candidates_path, project)
    return trained, scored


def _boosted(settings: PatchRankerFlowSettings, candidates_path: Path, project: str) -> Chain[RunReference]:
    return (yield jobs_of.boost_job(settings, candidates_path, project))


def projects_in(candidates_path: Path) -> tuple[list[str], tuple[str, ...]]:
    """Projects of a candidates run, sorted: those that are left out in turn, and those of which nothing can be judged.

    While the run is not made, one stands for all of the first.
    """
    if not (candidates_path / CANDIDATES_FILE).is_file():
        return [EACH_PROJECT], ()
    projects = read_json(candidates_path / CANDIDATES_FILE)["projects"]
    judged = {name for name, division in projects.items() if division["held_out"]["num_mixed"]}
    return sorted(judged), tuple(sorted(projects.keys() - judged))


def encoder_alone(settings: EmbeddingsFlowSettings, place: JobPlace) -> RetrievalRuns:
    """The steps of ``flows.embeddings``."""
    return RetrievalRuns(encoder=encoder_steps(settings, place))


def encoder_and_rerankers(settings: RerankerFlowSettings, place: JobPlace) -> RetrievalRuns:
    """The steps of ``flows.reranker``."""
    encoder = encoder_steps(settings, place)
    return RetrievalRuns(encoder=encoder, rerankers=reranker_steps(settings, place, encoder))


def patch_rankers_alone(settings: PatchRankerFlowSettings, place: JobPlace) -> RetrievalRuns:
    """The steps of ``flows.patch_ranker``."""
    return RetrievalRuns(patches=patch_steps(settings, place))


def all_steps(settings: RetrievalFlowSettings, place: JobPlace) -> RetrievalRuns:
    """The steps of ``flows.retrieval``: of each flow before it the same."""
    found = encoder_and_rerankers(settings, place)
    return replace(found, patches=patch_steps(settings, place))


def export_steps(settings: TrainedFlowSettings, place: JobPlace, runs: RetrievalRuns) -> dict[str, RunReference]:
    """Weights under the seed's names, by what was trained; nothing where nobody asks for them (artifacts_dir)."""
    if settings.artifacts_dir is None:
        return {}
    return {
        name: place.run(ExportSettings(model_run=run.run_path), title=f"export {name}")
        for name, run in exported_models(runs).items()
    }


def exported_models(runs: RetrievalRuns) -> dict[str, RunReference]:
    """The trainings that are exported, by model: of the rerankers the first that was asked for, with its first seed."""
    found = {"embeddings": runs.encoder.train} if runs.encoder else {}
    if runs.rerankers:
        name, by_seed = next(iter(runs.rerankers.train.items()))
        found[name] = next(iter(by_seed.values()))
    if runs.patches:
        found["patch_ranker"] = exported_patch_ranker(runs.patches)[1]
    return found


def exported_patch_ranker(runs: PatchRuns) -> tuple[str, RunReference]:
    """The project that the exported patch ranker left out, and its training: of the first seed, with most bugs."""
    num_bugs = dict.fromkeys(runs.train, 0)
    if EACH_PROJECT not in runs.train:
        divided = read_json(runs.candidates.run_path / CANDIDATES_FILE)["projects"]
        num_bugs = {project: divided[project]["train"]["num_bugs"] for project in runs.train}
    project = max(num_bugs, key=lambda name: num_bugs[name])
    return project, next(iter(runs.train[project].values()))


def trainings(jobs: Sequence[Settings]) -> list[TrainSettings]:
    """Those among the jobs: what could forbid a launch is looked at before any begins."""
    return [job for job in jobs if isinstance(job, TrainSettings)]
