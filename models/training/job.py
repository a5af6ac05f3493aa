"""The ``train`` job: put a run together, resume it, fit, and leave the best weights, their history and scores."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import distributed, nn

from models.errors import DataInvalid, MemoryExhausted
from models.jobs.compute import resolved_compute
from models.jobs.contract import PROGRESS_FILE, JobContext, JobResult
from models.jobs.keys import deciding, run_key
from models.jobs.layout import BUILD_FILE, CHECKPOINTS_FOLDER
from models.settings.optimisation import Optimisation
from models.settings.train import TrainSettings
from models.store.checkpoints import CheckpointStore
from models.store.filesystem import LocalFilesystem, write_synced
from models.store.mirrored import MirroredCheckpointStore
from models.store.remote_checkpoints import MirroredLog
from models.training import state
from models.training.checkpointing import PROGRESS_KEY, Checkpointing, Stateful
from models.training.gradients import FlatGradients
from models.training.memory import fitting_budget, largest_records, least_budget
from models.training.objective import Examples, Objective, Story
from models.training.order import num_steps_in_epoch
from models.training.process import open_process
from models.training.scoring import open_sealed, write_predictions
from models.training.seeding import derived_seed, seed_everything
from models.training.state import Position
from models.training.trainer import NUM_EXTRA, Pace, Trainer
from models.training.training_records import learnt_from

HISTORY_FILE = "history.json"
QUICK_TEST_RECORDS = 100
TENSORS_KEPT_BY_ADAMW = 2


def run(settings: TrainSettings, context: JobContext, *, objective_class: type[Objective]) -> JobResult:
    """Train one model with one seed; resumes from the newest good checkpoint of this run.

    Raises:
        Interrupted: asked to stop; a checkpoint was made. Retried.
        NumericsError: loss or gradient is not finite. Not retried.
        MemoryExhausted: not even one record at a time fits. Not retried.
        SettingsInvalid: the model cannot be had, or does not fit the records. Not retried.
        DataInvalid: the records cannot be trained on. Not retried.
    """
    started = time.monotonic()
    context.events.phase("load")
    compute = resolved_compute(settings)
    accelerator = open_process(compute, context)
    trainer = assemble(settings, context, accelerator, objective_class)
    context.record.update(resume(trainer, started))
    context.events.notice(f"on {compute.device}, mixed precision {compute.precision}, {compute.num_ranks} rank(s)")
    for notice in (*trainer.objective.notices, *trainer.stateful.schedule.notices):
        context.events.notice(notice, "warning")
    try:
        position = trainer.fit()
    finally:
        context.record.update(_record_of(trainer))
    best = load_best(trainer) if context.rank == 0 else b""
    numbers = _numbers(settings, position, trainer)
    files: tuple[str, ...] = ()
    if context.rank == 0:
        files = export_best(settings, trainer, numbers, best)
        files += (_predict(trainer, trainer.val, "valid"),)
        if settings.test_data is not None:
            files += _predict_test(settings, trainer, context)
    return JobResult(numbers=numbers, files=files, record=context.record)


def assemble(
    settings: TrainSettings, context: JobContext, accelerator: Accelerator, objective_class: type[Objective]
) -> Trainer:
    """Load the data, build the model with its own seed, and everything around it."""
    limit = QUICK_TEST_RECORDS if settings.quick_test else None
    seed_everything(derived_seed(settings.seed, "initialisation"))
    objective = objective_class.untrained(settings, context)
    loaded = objective.load(settings.train_data, limit=limit)
    val = objective.load(settings.val_data, limit=limit)
    _refuse_overlap(settings, loaded, val)
    learnt = learnt_from(settings, loaded)
    train = learnt.examples
    objective.model.to(accelerator.device)
    model_settings = objective.resolve(settings.model, train, accelerator.device.type)
    if settings.quick_test:
        model_settings = model_settings.model_copy(update={"epochs": 1})
    optimizer = _adamw(objective.model, model_settings)
    num_steps = num_steps_in_epoch(len(train), model_settings.batch_size) * model_settings.epochs
    stateful = Stateful(
        objective.model, optimizer, objective.schedule(optimizer, num_steps=num_steps), accelerator.scaler
    )
    return Trainer(
        objective=objective,
        settings=model_settings,
        seed=settings.seed,
        train=train,
        draw_weights=learnt.draw_weights,
        val=val,
        stateful=stateful,
        gradients=FlatGradients(objective.model.parameters(), num_extra=NUM_EXTRA),
        checkpointing=Checkpointing(
            _store(settings, context),
            settings.checkpoints,
            accelerator,
            context.rank,
            context.num_ranks,
            is_one_disk=context.hosts is None,
        ),
        accelerator=accelerator,
        context=context,
        pace=Pace(settings.log_every_seconds),
        position=Position(batch_size=model_settings.batch_size, micro_budget=objective.budget),
        told_of_records=learnt.numbers,
    )


def _store(settings: TrainSettings, context: JobContext) -> CheckpointStore:
    """The checkpoints of the run; those of rank 0 also go to the mirror, if there is one."""
    root, keep = context.run_path / CHECKPOINTS_FOLDER, settings.checkpoints.keep
    identity = _identity(settings, context.run_path)
    if context.mirror is None or context.rank > 0:
        return CheckpointStore(root, attempt=context.attempt, keep=keep, identity=identity)
    return MirroredCheckpointStore(
        root,
        context.mirror,
        attempt=context.attempt,
        keep=keep,
        identity=identity,
        log=MirroredLog(context.run_path / PROGRESS_FILE, PROGRESS_FILE, size_key=PROGRESS_KEY),
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
    seconds = round(time.monotonic() - started, 3)
    return {"resumed_at_step": trainer.position.step, "skipped_checkpoints": skipped, "seconds_to_start": seconds}


def probe_memory(trainer: Trainer) -> None:
    """Try the worst step before the first and halve the micro-batch until it fits; leaves no trace in the state.

    Raises:
        MemoryExhausted: not even one record at a time fits, on this rank or another. Not retried.
    """
    worst = largest_records(trainer.train, trainer.position.batch_size)
    if trainer.draw_weights is not None:
        worst = np.full_like(worst, worst[0])  # the largest may be drawn again and again
    random_states = state.rng_to_bytes()
    # What the optimiser will keep for each parameter from the first step on.
    kept = [torch.empty_like(p) for p in trainer.gradients.parameters for _ in range(TENSORS_KEPT_BY_ADAMW)]

    def try_step(budget: int) -> None:
        with trainer.accelerator.autocast():
            part = trainer.objective.heaviest_part(trainer.train, worst, budget=budget)
        part.surrogate.backward()  # type: ignore[no-untyped-call]

    asked, smallest = trainer.position.micro_budget, least_budget(trainer.train)
    fitting = fitting_budget(try_step, asked, smallest)
    del kept
    agreed = _smallest_over_ranks(fitting or 0, trainer.accelerator)
    if agreed == 0:
        raise MemoryExhausted(step=0, budget=smallest)
    trainer.position.micro_budget = agreed
    if agreed != asked:
        trainer.context.events.notice(f"micro-batches hold {agreed} instead of {asked}: memory", "warning")
    trainer.gradients.clear()
    state.load_rng(*random_states)


def _smallest_over_ranks(budget: int, accelerator: Accelerator) -> int:
    """One budget for all ranks: the checkpoint keeps one."""
    if not distributed.is_initialized():
        return budget
    agreed = torch.tensor(budget, device=accelerator.device)
    distributed.all_reduce(agreed, op=distributed.ReduceOp.MIN)
    return int(agreed)


def load_best(trainer: Trainer) -> bytes:
    """Put the best weights into the model, which all that follows speaks of; gives them as the checkpoint has them."""
    best = trainer.checkpointing.newest().read_best(state.MODEL_FILE)
    state.load_model(trainer.stateful.model, best)
    return best


def export_best(settings: TrainSettings, trainer: Trainer, numbers: dict[str, Any], best: bytes) -> tuple[str, ...]:
    """The best weights in the form that others load, and the history, beside the run."""
    run_path = trainer.context.run_path
    story = Story(
        question=deciding(settings),
        best=numbers["best"],
        facts=trainer.objective.facts(trainer.train),
    )
    history = {"epochs": trainer.position.history, "sample_digests": trainer.position.sample_digests}
    files = trainer.objective.export(best, run_path, story)
    files[HISTORY_FILE] = json.dumps(history, indent=1, sort_keys=True).encode()
    disk = LocalFilesystem()
    for name, content in files.items():
        (run_path / name).parent.mkdir(exist_ok=True)
        write_synced(disk, run_path / name, content, temp_folder=run_path / ".temp")
    return tuple(files)


def _predict_test(settings: TrainSettings, trainer: Trainer, context: JobContext) -> tuple[str, ...]:
    """Scores of the sealed records by the best weights, after training has ended."""
    assert settings.test_data is not None
    path = open_sealed(
        settings.test_data,
        context,
        weights=[context.run_path / name for name in trainer.objective.WEIGHTS_FILES],
        purpose="after training",
        run_key=run_key(settings),
    )
    limit = QUICK_TEST_RECORDS if settings.quick_test else None
    return (_predict(trainer, trainer.objective.load(path, limit=limit), "test"),)


def _predict(trainer: Trainer, examples: Examples, split: str) -> str:
    """The file with the scores of these records by the weights that the model holds."""
    trainer.context.events.phase("eval")
    budget = trainer.position.micro_budget
    return write_predictions(trainer.objective, examples, split, trainer.context, trainer.accelerator, budget=budget)


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
        "halvings": position.halvings,
        "num_skipped_steps": position.num_skipped_steps,
        "num_train": len(trainer.train),
        **trainer.told_of_records,
        "num_val": len(trainer.val),
        "num_parameters": sum(p.numel() for p in trainer.stateful.model.parameters()),
        "quick_test": settings.quick_test,
        "sample_digest": position.sample_digest,
        "schedule": trainer.stateful.schedule.facts,
        **trainer.objective.facts(trainer.train),
    }


def _record_of(trainer: Trainer) -> dict[str, Any]:
    seconds = time.monotonic() - trainer.pace.started
    return {
        "seconds_training": round(seconds, 3),
        "seconds_saving": round(trainer.checkpointing.seconds_saving, 3),
        "seconds_evaluating": round(trainer.pace.seconds_evaluating, 3),
        "num_checkpoints": trainer.checkpointing.num_saved,
        **trainer.checkpointing.upload_record(),
        "samples_per_second": round(trainer.pace.num_records / max(seconds, 1e-9), 2),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
