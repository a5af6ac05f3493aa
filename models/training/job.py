"""The ``train`` job: put a run together, resume it, fit, and leave the best weights with their history."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import distributed, nn

from models.data.sample_weights import read_weights
from models.errors import DataInvalid
from models.jobs.contract import JobContext, JobResult
from models.jobs.keys import run_key
from models.jobs.layout import BUILD_FILE, CHECKPOINTS_FOLDER
from models.settings.optimisation import Optimisation
from models.settings.train import TrainSettings
from models.store.checkpoints import CheckpointStore
from models.store.filesystem import LocalFilesystem, write_synced
from models.training import state
from models.training.checkpointing import PROGRESS_KEY, Checkpointing, Stateful
from models.training.gradients import FlatGradients
from models.training.memory import fitting_budget, largest_records
from models.training.objective import Examples, Objective
from models.training.order import cut_by_budget, num_steps_in_epoch
from models.training.process import open_process
from models.training.scoring import open_sealed, write_predictions
from models.training.seeding import derived_seed, seed_everything
from models.training.state import Position
from models.training.trainer import Pace, Trainer

BEST_FILE = "best_model.safetensors"
HISTORY_FILE = "history.json"
QUICK_TEST_RECORDS = 100


def run(settings: TrainSettings, context: JobContext, *, objective_class: type[Objective]) -> JobResult:
    """Train one model with one seed; resumes from the newest good checkpoint of this run.

    Raises:
        Interrupted: asked to stop; a checkpoint was made. Retried.
        NumericsError: loss or gradient is not finite. Not retried.
        DataInvalid: the records cannot be trained on. Not retried.
    """
    started = time.monotonic()
    context.events.phase("load")
    accelerator = open_process(settings.compute, context)
    trainer = assemble(settings, context, accelerator, objective_class)
    record = resume(trainer, started)
    position = trainer.fit()
    record |= _record_of(trainer)
    files = export_best(trainer, context) if context.rank == 0 else ()
    if settings.test_data is not None and context.rank == 0:
        files += _predict_test(settings, trainer, context)
    return JobResult(numbers=_numbers(settings, position, trainer), files=files, record=record)


def assemble(
    settings: TrainSettings, context: JobContext, accelerator: Accelerator, objective_class: type[Objective]
) -> Trainer:
    """Load the data, build the model with its own seed, and everything around it."""
    limit = QUICK_TEST_RECORDS if settings.quick_test else None
    seed_everything(derived_seed(settings.seed, "initialisation"))
    objective = objective_class(settings.model)
    train = objective.load(settings.train_data, limit=limit)
    val = objective.load(settings.val_data, limit=limit)
    _refuse_overlap(settings, train, val)
    if settings.weights is not None:
        train.weights = read_weights(settings.weights, train.ids)
    objective.model.to(accelerator.device)
    model_settings = objective.resolve(settings.model, train, accelerator.device.type)
    if settings.quick_test:
        model_settings = model_settings.model_copy(update={"epochs": 1})
    optimizer = _adamw(objective.model, model_settings)
    num_steps = num_steps_in_epoch(len(train), model_settings.batch_size) * model_settings.epochs
    stateful = Stateful(
        objective.model, optimizer, objective.schedule(optimizer, num_steps=num_steps), accelerator.scaler
    )
    store = CheckpointStore(
        context.run_path / CHECKPOINTS_FOLDER,
        attempt=context.attempt,
        keep=settings.checkpoints.keep,
        identity=_identity(settings, context.run_path),
    )
    return Trainer(
        objective=objective,
        settings=model_settings,
        seed=settings.seed,
        train=train,
        val=val,
        stateful=stateful,
        gradients=FlatGradients(objective.model.parameters(), num_extra=3),
        checkpointing=Checkpointing(store, settings.checkpoints, accelerator, context.rank, context.num_ranks),
        accelerator=accelerator,
        context=context,
        pace=Pace(settings.log_every_seconds),
        position=Position(batch_size=model_settings.batch_size, micro_budget=objective.budget),
    )


def resume(trainer: Trainer, started: float) -> dict[str, Any]:
    """Go on from the newest good generation, or begin; gives what the record should say of it."""
    seed_everything(derived_seed(trainer.seed, "dropout", trainer.context.rank))
    position, loaded = trainer.checkpointing.restore(trainer.stateful)
    skipped = trainer.checkpointing.skipped()
    trainer.context.events.cut_back(int(loaded.metadata[PROGRESS_KEY]) if loaded is not None else 0)
    for phrase in skipped:
        trainer.context.events.notice(f"checkpoint not used: {phrase}", "warning")
    if position is None or loaded is None:
        probe_memory(trainer)
    else:
        trainer.position = position
        trainer.context.events.notice(f"resumed at step {position.step} from {loaded.name}")
    trainer.objective.budget = trainer.position.micro_budget  # scores are cut as steps are
    seconds = round(time.monotonic() - started, 3)
    return {"resumed_at_step": trainer.position.step, "skipped_checkpoints": skipped, "seconds_to_start": seconds}


def probe_memory(trainer: Trainer) -> None:
    """Try the worst step before the first and halve the micro-batch until it fits; leaves no trace in the state."""
    worst = largest_records(trainer.train, trainer.position.batch_size)
    random_states = state.rng_to_bytes()

    def try_step(budget: int) -> None:
        parts = cut_by_budget(worst, trainer.train.sizes, budget)
        fullest = max(parts, key=lambda part: int(trainer.train.sizes[part].sum()))
        with trainer.accelerator.autocast():
            loss = trainer.objective.loss_sum(trainer.train, fullest)
        loss.backward()  # type: ignore[no-untyped-call]

    asked = trainer.position.micro_budget
    fitting = fitting_budget(try_step, asked, int(trainer.train.sizes[worst].max()))
    trainer.position.micro_budget = _smallest_over_ranks(fitting, trainer.accelerator)
    if trainer.position.micro_budget != asked:
        trainer.context.events.notice(
            f"micro-batches hold {trainer.position.micro_budget} instead of {asked}: memory", "warning"
        )
    trainer.gradients.clear()
    state.load_rng(*random_states)


def _smallest_over_ranks(budget: int, accelerator: Accelerator) -> int:
    """One budget for all ranks: the checkpoint keeps one."""
    if not distributed.is_initialized():
        return budget
    agreed = torch.tensor(budget, device=accelerator.device)
    distributed.all_reduce(agreed, op=distributed.ReduceOp.MIN)
    return int(agreed)


def export_best(trainer: Trainer, context: JobContext) -> tuple[str, ...]:
    """Best weights and history beside the run; the weights are the best generation's bytes."""
    loaded = trainer.checkpointing.newest()
    best = loaded.read_best(state.MODEL_FILE)
    state.load_model(trainer.stateful.model, best)
    disk = LocalFilesystem()
    history = json.dumps(
        {"epochs": trainer.position.history, "sample_digests": trainer.position.sample_digests},
        indent=1,
        sort_keys=True,
    )
    for name, content in ((BEST_FILE, best), (HISTORY_FILE, history.encode())):
        write_synced(disk, context.run_path / name, content, temp_folder=context.run_path / ".temp")
    return (BEST_FILE, HISTORY_FILE)


def _predict_test(settings: TrainSettings, trainer: Trainer, context: JobContext) -> tuple[str, ...]:
    """Scores of the sealed records by the best weights, after training has ended."""
    assert settings.test_data is not None
    path = open_sealed(
        settings.test_data,
        context,
        model_path=context.run_path / BEST_FILE,
        purpose="after training",
        run_key=run_key(settings),
    )
    limit = QUICK_TEST_RECORDS if settings.quick_test else None
    examples = trainer.objective.load(path, limit=limit)
    return (write_predictions(trainer.objective, examples, "test", context, trainer.accelerator),)


def _adamw(model: nn.Module, settings: Optimisation) -> torch.optim.AdamW:
    """AdamW without decay on biases, norms and other vectors."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=settings.learning_rate, fused=True)


def _identity(settings: TrainSettings, run_path: Path) -> dict[str, str]:
    """What a checkpoint must agree with before it is loaded."""
    build = (run_path / BUILD_FILE).read_bytes() if (run_path / BUILD_FILE).exists() else b""
    return {"run_key": run_key(settings), "build": state.digest(build)}


def _refuse_overlap(settings: TrainSettings, train: Examples, val: Examples) -> None:
    shared = set(train.ids) & set(val.ids)
    if shared:
        raise DataInvalid(
            settings.val_data,
            f"{len(shared)} records are also in {settings.train_data.name} (such as {min(shared)}); "
            "split the data so that no record is in both",
        )


def _numbers(settings: TrainSettings, position: Position, trainer: Trainer) -> dict[str, Any]:
    best = next(entry for entry in position.history if entry["step"] == position.best_step)
    return {
        "best": best,
        "num_epochs": len(position.history),
        "num_steps": position.step,
        "stop_reason": position.stop_reason,
        "batch_size": position.batch_size,
        "micro_budget": position.micro_budget,
        "num_train": len(trainer.train),
        "num_val": len(trainer.val),
        "num_parameters": sum(p.numel() for p in trainer.stateful.model.parameters()),
        "quick_test": settings.quick_test,
        "sample_digest": position.sample_digest,
    }


def _record_of(trainer: Trainer) -> dict[str, Any]:
    seconds = time.monotonic() - trainer.pace.started
    return {
        "seconds_training": round(seconds, 3),
        "seconds_saving": round(trainer.checkpointing.seconds_saving, 3),
        "seconds_evaluating": round(trainer.pace.seconds_evaluating, 3),
        "num_checkpoints": trainer.checkpointing.num_saved,
        "samples_per_second": round(trainer.pace.num_records / max(seconds, 1e-9), 2),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
