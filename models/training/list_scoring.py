"""The ``score`` job: scores of the candidates of lists that the model never saw, by a trained reranker or patch ranker.

Lists and texts may be sealed, so their opening is logged before they are read, whatever they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from accelerate import Accelerator

from models.data.job_progress import Progress
from models.errors import SettingsInvalid
from models.evaluation.result_files import write_rows
from models.jobs.compute import resolved_compute
from models.jobs.contract import MANIFEST_FILE, JobContext, JobResult
from models.jobs.keys import run_key
from models.jobs.registry import train_settings_of
from models.settings.retrieval import ScoreSettings
from models.store.manifest import read_manifest, verify_manifest
from models.training.known_lists import known_lists
from models.training.objective import Objective
from models.training.process import open_process
from models.training.ranked_lists import RankedLists
from models.training.ranking import Ranking
from models.training.scoring import open_sealed

SCORES_FILE = "scores.jsonl"
LISTS_AT_ONCE = 64
"""Between two looks at whether the job was asked to leave."""


def run(settings: ScoreSettings, context: JobContext, *, objective_class: type[Objective]) -> JobResult:
    """Score the lists in the order of their file.

    Raises:
        SettingsInvalid: The model is no ranker, its run is not finished, or several ranks are asked for. Not retried.
        DataInvalid: The model was trained or selected on a list or its group, a text is missing, or the lists have
            other features than it knows. Not retried.
        ObjectCorrupt: Its weights are not those it wrote. Not retried.
        StoreUnavailable: An opening could not be logged; lists and texts stay closed. Retried.
        Interrupted: The job was asked to leave; it begins anew. Retried.
    """
    if settings.compute.num_ranks != 1:
        raise SettingsInvalid("compute.num_ranks: scoring runs in one process; give 1")
    context.enter("load")
    trained = train_settings_of(settings)
    accelerator, objective = _trained_ranker(settings, context, objective_class, trained.model)
    _log_openings(settings, context, objective)
    objective.read_texts(settings.texts)
    examples = objective.load(settings.lists, limit=None)
    known = known_lists(trained, settings.model_run)
    known.refuse(settings.lists, examples.lists)
    for name in known.not_checked:
        context.events.notice(
            f"{name}: the file that {settings.model_run} was trained with is gone or changed; whether the model saw "
            "these lists was not checked there",
            "warning",
        )
    context.enter("predict")
    rows = list(_scored(objective, examples, context, accelerator))
    numbers = {
        "num_lists": len(examples),
        "num_mixed_lists": int(examples.is_mixed.sum()),
        "num_candidates": int(examples.num_candidates.sum()),
        "model_kind": trained.model.kind,
        "model_run_key": _run_key_of(settings.model_run),
        "seed": trained.seed,
        "not_checked_for_leaks": known.not_checked,
    }
    return JobResult(numbers=numbers, files=(write_rows(context.run_path, SCORES_FILE, rows),))


def _trained_ranker(
    settings: ScoreSettings, context: JobContext, objective_class: type[Objective], model_settings: Any
) -> tuple[Accelerator, Ranking]:
    """Device, and the best model of the run on it."""
    if not issubclass(objective_class, Ranking):
        raise SettingsInvalid(
            f"model_run: {settings.model_run} trained a model of kind {model_settings.kind}, which ranks no "
            "candidates; give a run of model.kind reranker, cross_encoder or patch_ranker"
        )
    if not (settings.model_run / MANIFEST_FILE).exists():
        raise SettingsInvalid(f"model_run: {settings.model_run} is not finished (no {MANIFEST_FILE}); finish it first")
    verify_manifest(settings.model_run)
    accelerator = open_process(resolved_compute(settings), context)
    objective = objective_class.trained(model_settings, settings.model_run)
    objective.model.to(accelerator.device)
    return accelerator, objective


def _log_openings(settings: ScoreSettings, context: JobContext, objective: Ranking) -> None:
    """One line for the lists and one for the texts."""
    weights = [settings.model_run / name for name in objective.WEIGHTS_FILES]
    key = run_key(settings)
    for path in (settings.lists, settings.texts):
        open_sealed(path, context, weights=weights, purpose=settings.purpose, run_key=key, split=path.stem)


def _scored(
    objective: Ranking, examples: RankedLists, context: JobContext, accelerator: Accelerator
) -> Iterator[dict[str, Any]]:
    """A row of each list: id, group, candidates, which are relevant, scores."""
    progress = Progress(context, len(examples), "lists")
    for begin in range(0, len(examples), LISTS_AT_ONCE):
        context.leave_if_asked(begin)
        part = examples.only(np.arange(begin, min(begin + LISTS_AT_ONCE, len(examples)), dtype=np.int64))
        scores = _scores(objective, part, accelerator)
        for entry, said in zip(part.lists, objective.predictions(part, scores), strict=True):
            yield {"id": entry.list_id, "group": entry.group, **said}
        progress.step(len(part))


def _scores(objective: Ranking, examples: RankedLists, accelerator: Accelerator) -> npt.NDArray[np.float32]:
    everything = np.arange(len(examples), dtype=np.int64)
    with accelerator.autocast():
        scores: npt.NDArray[np.float32] = objective.scores(examples, everything, budget=objective.budget).numpy()
    return scores


def _run_key_of(run_path: Path) -> str:
    manifest = read_manifest(run_path)
    assert manifest is not None
    return manifest.run_key
