"""The ``predict`` job: scores of a finished model on validation records and, on request, on the sealed test."""

from __future__ import annotations

from models.errors import SettingsInvalid
from models.jobs.compute import resolved_compute
from models.jobs.contract import MANIFEST_FILE, JobContext, JobResult
from models.jobs.keys import run_key
from models.jobs.registry import train_settings_of
from models.settings.predict import PredictSettings
from models.store.manifest import read_manifest, verify_manifest
from models.training.objective import Objective
from models.training.process import open_process
from models.training.scoring import open_sealed, write_predictions


def run(settings: PredictSettings, context: JobContext, *, objective_class: type[Objective]) -> JobResult:
    """Score the asked splits with the best weights of ``model_run``.

    Raises:
        SettingsInvalid: the training run is not finished, or several ranks are asked for. Not retried.
        ObjectCorrupt: its weights are not those it wrote. Not retried.
    """
    if settings.compute.num_ranks != 1:
        raise SettingsInvalid("compute.num_ranks: a prediction runs in one process; give 1")
    context.events.phase("load")
    if not (settings.model_run / MANIFEST_FILE).exists():
        raise SettingsInvalid(f"model_run: {settings.model_run} is not finished (no {MANIFEST_FILE}); finish it first")
    verify_manifest(settings.model_run)
    model_manifest = read_manifest(settings.model_run)
    assert model_manifest is not None
    trained = train_settings_of(settings)
    accelerator = open_process(resolved_compute(settings), context)
    objective = objective_class.trained(trained.model, settings.model_run)
    objective.model.to(accelerator.device)
    context.events.phase("predict")
    files: list[str] = []
    counts: dict[str, int] = {}
    for split in settings.splits:
        examples = objective.load(settings.data / f"{split}.jsonl", limit=None)
        files.append(write_predictions(objective, examples, split, context, accelerator, budget=objective.budget))
        counts[split] = len(examples)
    if settings.open_test:
        path = open_sealed(
            settings.data / "test.jsonl",
            context,
            weights=[settings.model_run / name for name in objective.WEIGHTS_FILES],
            purpose=settings.open_test,
            run_key=run_key(settings),
        )
        examples = objective.load(path, limit=None)
        files.append(write_predictions(objective, examples, "test", context, accelerator, budget=objective.budget))
        counts["test"] = len(examples)
    numbers = {
        "num_records": counts,
        "model_kind": trained.model.kind,
        "model_run_key": model_manifest.run_key,
    }
    return JobResult(numbers=numbers, files=tuple(files))
