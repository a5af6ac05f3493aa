"""Which module runs which kind of job.

Names, not imports: a kind's import closure must not hold the other kinds, or editing one would rebuild all.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from models.errors import SettingsInvalid
from models.jobs.contract import JobContext, JobResult
from models.settings.audit import AuditSettings
from models.settings.balance import BalanceSettings
from models.settings.collect import CollectSettings
from models.settings.compare import CompareSettings
from models.settings.evaluate import EvaluateSettings
from models.settings.fields import Settings
from models.settings.findings import FindingsSettings
from models.settings.folds import FoldsSettings
from models.settings.fuse import FuseSettings
from models.settings.predict import PredictSettings
from models.settings.preprocess import PreprocessSettings
from models.settings.probe import ProbeSettings
from models.settings.rank import RankSettings
from models.settings.retrieval import (
    BoostSettings,
    CandidatesSettings,
    EmbedSettings,
    ExportSettings,
    JudgeSettings,
    MineSettings,
    PairsSettings,
    RetrieveSettings,
    ScoreSettings,
)
from models.settings.train import TrainSettings
from models.settings.weigh import WeighSettings

JobSettings = Annotated[
    CollectSettings
    | PreprocessSettings
    | FindingsSettings
    | AuditSettings
    | FoldsSettings
    | TrainSettings
    | ProbeSettings
    | PredictSettings
    | WeighSettings
    | FuseSettings
    | RankSettings
    | EvaluateSettings
    | CompareSettings
    | BalanceSettings
    | PairsSettings
    | CandidatesSettings
    | EmbedSettings
    | MineSettings
    | RetrieveSettings
    | ScoreSettings
    | BoostSettings
    | JudgeSettings
    | ExportSettings,
    Field(discriminator="kind"),
]

ENTRY_MODULES = {
    "collect": "models.data.collecting",
    "preprocess": "models.data.preprocessing",
    "findings": "models.data.findings_preprocessing",
    "audit": "models.evaluation.audit.job",
    "folds": "models.data.folds",
    "train": "models.training.job",
    "probe": "models.data.probing",
    "predict": "models.training.prediction",
    "weigh": "models.evaluation.out_of_fold.weighing_job",
    "fuse": "models.evaluation.out_of_fold.fusion_job",
    "rank": "models.evaluation.ranking_job",
    "evaluate": "models.evaluation.job",
    "compare": "models.evaluation.comparison.job",
    "balance": "models.data.balanced.job",
    "pairs": "models.data.retrieval.pairing",
    "candidates": "models.data.retrieval.candidates",
    "embed": "models.training.embedding",
    "mine": "models.evaluation.retrieval.mining",
    "retrieve": "models.evaluation.retrieval.job",
    "score": "models.training.list_scoring",
    "boost": "models.evaluation.retrieval.boosting",
    "judge": "models.evaluation.retrieval.judging",
    "export": "models.training.export",
}

OBJECTIVE_MODULES = {
    "gnn": "models.training.gnn",
    "transformer": "models.training.transformer",
    "embeddings": "models.training.embeddings",
    "reranker": "models.training.reranker",
    "cross_encoder": "models.training.cross_encoder",
    "patch_ranker": "models.training.patch_ranker",
}
"""Module of each model kind; it defines ``OBJECTIVE``, a class that keeps ``models.training.objective.Objective``."""

Entry = Callable[[Settings, JobContext], JobResult]


def entry_modules(settings: Settings) -> tuple[str, ...]:
    """The modules whose import closure decides this job's bytes."""
    kind = str(getattr(settings, "kind"))  # noqa: B009  every job has one; Settings itself does not
    modules = [ENTRY_MODULES[kind]]
    model_kind = model_kind_of(settings)
    if model_kind is not None:
        modules.append(OBJECTIVE_MODULES[model_kind])
    return tuple(modules)


def model_kind_of(settings: Settings) -> str | None:
    """The model's kind, where the job has a model: its own, or that of the run it reads."""
    if isinstance(settings, TrainSettings):
        return settings.model.kind
    if isinstance(settings, OfTrainedModel):
        return train_settings_of(settings).model.kind
    return None


OfTrainedModel = PredictSettings | EmbedSettings | ScoreSettings | ExportSettings
"""Jobs that read the model of a finished training run, in ``model_run``."""


def train_settings_of(settings: OfTrainedModel) -> TrainSettings:
    """Settings of the training run that ``settings`` reads.

    Raises:
        SettingsInvalid: ``model_run`` is not a training run. Not retried.
    """
    path = settings.model_run / "settings.json"
    try:
        found = parse_job(path.read_bytes())
    except FileNotFoundError:
        raise SettingsInvalid(f"model_run: {settings.model_run} has no settings.json; give a run directory") from None
    if not isinstance(found, TrainSettings):
        raise SettingsInvalid(f"model_run: {settings.model_run} is not a training run")
    return found


def entry_of(settings: Settings) -> Entry:
    """The function that runs this job; jobs with a model are given the objective of its kind."""
    module, *objective_module = entry_modules(settings)
    if objective_module:
        objective_class = importlib.import_module(objective_module[0]).OBJECTIVE
        return functools.partial(importlib.import_module(module).run, objective_class=objective_class)
    entry: Entry = importlib.import_module(module).run
    return entry


def parse_job(content: bytes | str) -> Settings:
    """Settings of any kind from their JSON.

    Raises:
        SettingsInvalid: unknown kind or key, or a value out of bounds. Not retried.
    """
    try:
        settings: Settings = TypeAdapter(JobSettings).validate_json(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()[:5]
        )
        raise SettingsInvalid(f"job settings: {problems}") from None
    return settings
