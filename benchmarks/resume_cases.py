"""Small training runs for the kill certificate, one for each registered model kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from models.jobs.registry import OBJECTIVE_MODULES
from models.settings.train import CheckpointSettings, ComputeSettings, ModelSettings, TrainSettings

CHECKPOINT_STEPS = 3
"""Steps between checkpoints: several in an epoch, so that every named point is reached at many steps."""

TINY_MODELS: dict[str, dict[str, Any]] = {
    "gnn": {
        "hidden_dim": 16,
        "embedding_dim": 8,
        "num_layers": 2,
        "epochs": 5,
        "batch_size": 12,
        "node_budget": 600,
        "early_stopping_patience": 3,
        "plateau_patience": 0,
    },
}
"""What makes each kind small; a kind without an entry fails the certificate rather than being left out."""


def registered_kinds() -> tuple[str, ...]:
    """Every model kind of the program."""
    return tuple(OBJECTIVE_MODULES)


def tiny_run(kind: str, data_path: Path, *, num_ranks: int) -> TrainSettings:
    """A run of a few seconds that evaluates, saves, lowers its rate and stops early as long ones do.

    Args:
        kind: Model kind.
        data_path: Folder with ``train.jsonl`` and ``valid.jsonl`` of a preprocess run.
        num_ranks: Processes that train together.
    """
    model: Any = TypeAdapter(ModelSettings).validate_python({"kind": kind, **TINY_MODELS[kind]})
    return TrainSettings(
        train_data=data_path / "train.jsonl",
        val_data=data_path / "valid.jsonl",
        model=model,
        seed=11,
        compute=ComputeSettings(device="cpu", precision="off", num_ranks=num_ranks, num_threads=1),
        checkpoints=CheckpointSettings(every_seconds=3600, every_steps=CHECKPOINT_STEPS, keep=2),
        log_every_seconds=0,
    )
