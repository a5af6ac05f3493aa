"""The steps of retrieval, once for plan and run: what is made of what, in order, and what runs side by side.

What a job is told is in ``retrieval_jobs``. Each function takes the place where jobs are run (``RunJobs``) or only
foreseen (``ForeseeJobs``), and gives the runs in both cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from models.jobs.labels import label_of
from models.settings.fields import Settings
from models.settings.retrieval import ExportSettings
from models.settings.train import TrainSettings
from tasks import retrieval_jobs as jobs_of
from tasks.flow_jobs import FlowJobs
from tasks.foreseen_jobs import UNKNOWN_KEY
from tasks.foreseen_runs import ForeseenRuns
from tasks.jobs import RunReference
from tasks.retrieval_settings import (
    EmbeddingsFlowSettings,
    PatchRankerFlowSettings,
    RerankerFlowSettings,
    RerankerName,
    TrainedFlowSettings,
    seeds_of,
)
from tasks.slots import Chain, run_chains

T = TypeVar("T")
EACH_PROJECT = "each-project"
"""Stands in a plan for the projects of the candidates, before the candidates are made."""


class JobPlace(Protocol):
    """Where the jobs of a flow are run, or foreseen."""

    def run(self, job: Settings, title: str | None = None) -> RunReference:
        """One job."""

    def run_side_by_side(self, chains: Mapping[str, Chain[T]]) -> dict[str, T]:
        """Chains of jobs; what each returns."""


class RunJobs:
    """Jobs are run, or found finished.

    Args:
        jobs: Of the flow.
        slots: Chains at a time.
    """

    def __init__(self, jobs: FlowJobs, slots: int) -> None:
        self._jobs = jobs
        self._slots = slots

    def run(self, job: Settings, title: str | None = None) -> RunReference:
        """One job."""
        return self._jobs.run(job, title=title)

    def run_side_by_side(self, chains: Mapping[str, Chain[T]]) -> dict[str, T]:
        """Chains of jobs; what each returns."""
        return run_chains(chains, self._jobs.submit, num_slots=self._slots).of_all()


class ForeseeJobs:
    """Jobs are only noted.

    Args:
        settings: Of the flow.
    """

    def __init__(self, settings: TrainedFlowSettings) -> None:
        self._foreseen = ForeseenRuns(settings)

    @property
    def jobs(self) -> list[Settings]:
        """Those noted so far, in order."""
        return self._foreseen.jobs

    def run(self, job: Settings, title: str | None = None) -> RunReference:  # noqa: ARG002  as where it is run
        """One job; its run may be nowhere yet."""
        path = self._foreseen.add(job)
        kind = str(getattr(job, "kind"))  # noqa: B009  every job has one; Settings itself does not
        return RunReference(
            kind=kind, label=label_of(job), run_key=UNKNOWN_KEY, run_path=path, manifest_sha256="", numbers={}
        )

    def run_side_by_side(self, chains: Mapping[str, Chain[T]]) -> dict[str, T]:
        """Chains of jobs, one after the other."""
        return {name: self._driven(chain) for name, chain in chains.items()}

    def _driven(self, chain: Chain[T]) -> T:
        job = next(chain)
        while True:
            try:
                job = chain.send(self.run(job))
            except StopIteration as end:
                result: T = end.value
                return result


@dataclass(frozen=True)
class EncoderRuns:
    """The finished runs of the encoder.

    Args:
        balance: Functions, balanced and paired.
        pairs: The same as tokens.
        train: The encoder, that which learned from hard negatives where it was trained twice.
        embed: Vectors, of sealed texts too where they were opened.
        retrieve: How well each system finds texts.
    """

    balance: RunReference
    pairs: RunReference
    train: RunReference
    embed: RunReference
    retrieve: RunReference


@dataclass(frozen=True)
class RankedRuns:
    """A trained model and what it says of lists."""

    train: RunReference
    score: RunReference


@dataclass(frozen=True)
class RerankerRuns:
    """The finished runs of rerankers: ``runs`` by name, then seed."""

    mine: RunReference
    runs: dict[RerankerName, dict[int, RankedRuns]]
    judge: RunReference


@dataclass(frozen=True)
class PatchRuns:
    """The finished runs of patch ranking: ``runs`` by the project left out, then seed; ``boost`` by project."""

    candidates: RunReference
    runs: dict[str, dict[int, RankedRuns]]
    boost: dict[str, RunReference]
    judge: RunReference


def encoder_steps(settings: EmbeddingsFlowSettings, place: JobPlace) -> EncoderRuns:
    """Data, encoder and search."""
    balanced = place.run(settings.balance, title="balance functions")
    paired = place.run(jobs_of.pairs_job(settings, balanced.run_path), title="tokenise and pair")
    trained = place.run(jobs_of.embeddings_job(settings, paired.run_path))
    if settings.hard_negatives:
        trained = _with_hard_negatives(settings, place, paired, trained)
    embed = jobs_of.embed_job(settings, trained.run_path, paired.run_path, for_measuring=True)
    embedded = place.run(embed, title="embed what is searched")
    retrieved = place.run(jobs_of.retrieve_job(settings, paired.run_path, embedded.run_path))
    return EncoderRuns(balanced, paired, trained, embedded, retrieved)


def _with_hard_negatives(
    settings: EmbeddingsFlowSettings, place: JobPlace, paired: RunReference, first: RunReference
) -> RunReference:
    embed = jobs_of.embed_job(settings, first.run_path, paired.run_path, for_measuring=False)
    embedded = place.run(embed, title="embed what is learnt from")
    mined = place.run(jobs_of.mine_job(settings, paired.run_path, embedded.run_path), title="mine hard negatives")
    again = jobs_of.embeddings_job(settings, paired.run_path, mined.run_path)
    return place.run(again, title=f"train embeddings seed {settings.seed} with hard negatives")


def reranker_steps(settings: RerankerFlowSettings, place: JobPlace, encoder: EncoderRuns) -> RerankerRuns:
    """Rerankers over what the encoder finds."""
    mine = jobs_of.mine_job(settings, encoder.pairs.run_path, encoder.embed.run_path)
    mined = place.run(mine, title="mine lists for rerankers")
    chains = {
        f"{name} seed {seed}": _train_and_rerank(settings, name, seed, encoder, mined)
        for name in settings.rerankers
        for seed in seeds_of(settings)
    }
    done = iter(place.run_side_by_side(chains).values())
    runs = {name: {seed: next(done) for seed in seeds_of(settings)} for name in settings.rerankers}
    scored = {name: {seed: run.score.run_path for seed, run in own.items()} for name, own in runs.items()}
    judge = jobs_of.reranking_judge_job(settings, encoder.retrieve.run_path, scored)
    return RerankerRuns(mined, runs, place.run(judge, title="judge rerankers"))


def _train_and_rerank(
    settings: RerankerFlowSettings, name: RerankerName, seed: int, encoder: EncoderRuns, mined: RunReference
) -> Chain[RankedRuns]:
    pairs_path = encoder.pairs.run_path
    trained = yield jobs_of.reranker_job(
        settings, name, seed, pairs_path=pairs_path, mined_path=mined.run_path, encoder_path=encoder.train.run_path
    )
    scored = yield jobs_of.rerank_job(settings, trained.run_path, encoder.retrieve.run_path, pairs_path)
    return RankedRuns(trained, scored)


def patch_steps(settings: PatchRankerFlowSettings, place: JobPlace) -> PatchRuns:
    """Candidates, rankers that leave one project out, trees that do the same, and the judgement of all projects."""
    candidates = place.run(jobs_of.candidates_job(settings), title="candidate patches")
    projects = projects_in(candidates.run_path)
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
        {project: {seed: run.score.run_path for seed, run in own.items()} for project, own in runs.items()},
        {project: run.run_path for project, run in boosted.items()},
    )
    return PatchRuns(candidates, runs, boosted, place.run(judge, title="judge patch rankers"))


def _train_and_score(
    settings: PatchRankerFlowSettings, candidates_path: Path, project: str, seed: int
) -> Chain[RankedRuns]:
    trained = yield jobs_of.patch_ranker_job(settings, candidates_path, project, seed)
    scored = yield jobs_of.patch_score_job(settings, trained.run_path, candidates_path, project)
    return RankedRuns(trained, scored)


def _boosted(settings: PatchRankerFlowSettings, candidates_path: Path, project: str) -> Chain[RunReference]:
    return (yield jobs_of.boost_job(settings, candidates_path, project))


def projects_in(candidates_path: Path) -> list[str]:
    """Projects of a candidates run, sorted; one that stands for all while it is not made."""
    folder = candidates_path / jobs_of.PROJECTS
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else [EACH_PROJECT]


def export_steps(
    settings: TrainedFlowSettings, place: JobPlace, trained: Mapping[str, RunReference]
) -> dict[str, RunReference]:
    """Weights under the seed's names, by what was trained; nothing where nobody asks for them (artifacts_dir)."""
    if settings.artifacts_dir is None:
        return {}
    return {
        name: place.run(ExportSettings(model_run=run.run_path), title=f"export {name}") for name, run in trained.items()
    }


def exported_reranker(runs: RerankerRuns) -> dict[str, RunReference]:
    """The reranker that is exported: the first that was asked for, with its first seed."""
    name, by_seed = next(iter(runs.runs.items()))
    return {name: next(iter(by_seed.values())).train}


def exported_patch_ranker(runs: PatchRuns) -> dict[str, RunReference]:
    """The patch ranker that is exported: of the first seed, that which learned from most bugs."""
    trained = [next(iter(by_seed.values())).train for by_seed in runs.runs.values()]
    return {"patch_ranker": max(trained, key=lambda run: run.numbers.get("num_train", 0))}


def trainings(jobs: Sequence[Settings]) -> list[TrainSettings]:
    """Those among the jobs: what could forbid a launch is looked at before any begins."""
    return [job for job in jobs if isinstance(job, TrainSettings)]
