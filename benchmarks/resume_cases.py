"""Small training runs for the certificate: each model kind, a T5 with its decoder, and one that draws by weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from benchmarks.tiny_data import BACKBONE_FOLDER, ENCODER_FOLDER, WEIGHTS_FILE
from models.settings.train import CheckpointSettings, ComputeSettings, ModelSettings, TrainSettings

CHECKPOINT_STEPS = 3
"""Steps between checkpoints: several in an epoch, so that every named point is reached at many steps."""

TINY_TRANSFORMER: dict[str, Any] = {
    "kind": "transformer",
    "max_seq_len": 64,
    "max_windows": 2,
    "learning_rate": 1e-3,
    "epochs": 5,
    "batch_size": 12,
    "token_budget": 400,
    "early_stopping_patience": 3,
}
TINY_GNN: dict[str, Any] = {
    "kind": "gnn",
    "hidden_dim": 16,
    "embedding_dim": 8,
    "num_layers": 2,
    "epochs": 5,
    "batch_size": 12,
    "node_budget": 600,
    "early_stopping_patience": 3,
    "plateau_patience": 0,
}
TINY_EMBEDDINGS: dict[str, Any] = {
    "kind": "embeddings",
    "small": {"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "feedforward_dim": 32},
    "embedding_dim": 8,
    "max_seq_len": 64,
    "learning_rate": 1e-3,
    "epochs": 5,
    "batch_size": 12,
    "token_budget": 400,
}
TINY_SMALL = {"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "feedforward_dim": 32}
TINY_RANKING: dict[str, Any] = {
    "learning_rate": 1e-3,
    "epochs": 5,
    "batch_size": 7,
    "early_stopping_patience": 3,
}
TINY_MODELS: dict[str, dict[str, Any]] = {
    "gnn": TINY_GNN,
    "gnn-drawn": TINY_GNN,
    "transformer": {
        **TINY_TRANSFORMER,
        "pretrained": "off",
        "small": {"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "feedforward_dim": 32},
        "pooling": "attention",
    },
    "transformer-t5": {
        **TINY_TRANSFORMER,
        "pretrained": "required",
        "backbone": BACKBONE_FOLDER,
        "reads_with": "encoder_decoder",
        "pooling": "eos",
        "schedule": "cosine",
        "warmup_steps": 8,
        "gradient_checkpointing": True,
    },
    "embeddings": TINY_EMBEDDINGS,
    "embeddings-separate": {**TINY_EMBEDDINGS, "towers": "separate", "token_budget": 100_000},
    "reranker": {
        "kind": "reranker",
        "encoder": ENCODER_FOLDER,
        "hidden_dim": 16,
        "candidate_budget": 24,
        **TINY_RANKING,
    },
    "cross-encoder": {
        "kind": "cross_encoder",
        "small": TINY_SMALL,
        "pooling": "mean",
        "max_seq_len": 64,
        "token_budget": 1000,
        **TINY_RANKING,
    },
    "patch-ranker": {
        "kind": "patch_ranker",
        "small": {**TINY_SMALL, "num_layers": 0},
        "hidden_dim": 16,
        "max_seq_len": 64,
        "token_budget": 1000,
        **TINY_RANKING,
    },
}
"""What makes each case small; a kind without one fails the certificate rather than being left out."""
RECORDS_OF = {"embeddings": "{}_pairs.jsonl"} | dict.fromkeys(
    ("reranker", "cross_encoder", "patch_ranker"), "{}_lists.jsonl"
)
"""What kinds learn from, by split; kinds that are not here: records."""
DRAWN_BY_WEIGHTS = ("gnn-drawn",)
"""Cases whose epochs are drawn with replacement."""


def cases() -> tuple[str, ...]:
    """Names of all cases."""
    return tuple(TINY_MODELS)


def tiny_run(case: str, data_path: Path, *, num_ranks: int) -> TrainSettings:
    """A run of a few seconds that evaluates, saves, lowers its rate and stops early as long ones do.

    Args:
        case: Name of the case.
        data_path: Folder with ``train.jsonl``, ``valid.jsonl``, their tokenizer, weights and a backbone.
        num_ranks: Processes that train together.
    """
    values = TINY_MODELS[case]
    for beside in ("backbone", "encoder"):
        if beside in values:
            values = {**values, beside: str(data_path / values[beside])}
    model: Any = TypeAdapter(ModelSettings).validate_python(values)
    records = RECORDS_OF.get(model.kind, "{}.jsonl")
    return TrainSettings(
        train_data=data_path / records.format("train"),
        val_data=data_path / records.format("valid"),
        weights=data_path / WEIGHTS_FILE if case in DRAWN_BY_WEIGHTS else None,
        weighting="sampling" if case in DRAWN_BY_WEIGHTS else "loss",
        model=model,
        seed=11,
        compute=ComputeSettings(device="cpu", precision="off", num_ranks=num_ranks, num_threads=1),
        checkpoints=CheckpointSettings(every_seconds=3600, every_steps=CHECKPOINT_STEPS, keep=2),
        log_every_seconds=0,
    )
