"""The items of the project's first budget, with the figures it was made with, and which jobs belong to which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["1", "2"]
Unit = Literal["h", "GB-month"]

TRANSFORMER, GNN = "transformer", "gnn"
PREPROCESSING, NOISE, FUSION, EVALUATION = "preprocessing", "noise", "fusion", "evaluation"
STORED_DATA, STORED_MODELS = "stored data", "stored models"
OTHER, STORED = "other", "stored"
"""What the first budget does not know, and storage that was measured: data and models are not told apart."""
PLANNED_BUFFER_USD = 1.49
"""Left for experiments."""
PLANNED_TOTAL_USD = 100.0
"""What there was to spend."""


@dataclass(frozen=True)
class BudgetItem:
    """A row of the first budget.

    Args:
        phase: Of the project.
        key: Which kind of work.
        title: As it was written there.
        quantity: Hours of a machine, or GB kept for a month.
        unit: What ``quantity`` counts.
        usd: What it was planned to cost [USD].
    """

    phase: Phase
    key: str
    title: str
    quantity: float
    unit: Unit
    usd: float


ITEMS = (
    BudgetItem("1", TRANSFORMER, "Transformer (SageMaker)", 2, "h", 0.40),
    BudgetItem("1", GNN, "GNN (SageMaker)", 4, "h", 0.80),
    BudgetItem("1", STORED_DATA, "S3 Storage (data)", 5, "GB-month", 0.12),
    BudgetItem("1", STORED_MODELS, "S3 Storage (models)", 2, "GB-month", 0.05),
    BudgetItem("2", PREPROCESSING, "Data preprocessing", 2, "h", 0.40),
    BudgetItem("2", NOISE, "Noise reduction", 1, "h", 0.20),
    BudgetItem("2", TRANSFORMER, "Transformer retrain", 3, "h", 0.60),
    BudgetItem("2", GNN, "GNN retrain", 5, "h", 1.00),
    BudgetItem("2", FUSION, "Fusion training", 1, "h", 0.20),
    BudgetItem("2", EVALUATION, "Evaluation (5 seeds)", 2, "h", 0.40),
)
"""At $0.20 an hour and $0.023 a GB-month."""
KINDS = {
    "collect": PREPROCESSING,
    "preprocess": PREPROCESSING,
    "audit": PREPROCESSING,
    "folds": NOISE,
    "weigh": NOISE,
    "fuse": FUSION,
    "probe": EVALUATION,
    "predict": EVALUATION,
    "evaluate": EVALUATION,
    "compare": EVALUATION,
}
"""Where jobs other than trainings belong; of Phase 1 the first budget has trainings and storage only."""
ONLY_IN_PHASE_2 = {"collect", "folds", "weigh", "fuse", "compare"}
OF_PHASE_1 = {"preprocess", "train", "predict", "evaluate"}
WITHOUT_FOLD = "_without_fold"
"""In the label of a training that leaves a fold out."""


def key_of(kind: str, label: str, model_kind: str = "") -> str:
    """Which kind of work a job is; ``other`` where the first budget knows none.

    Args:
        kind: Of the job.
        label: What people call its run; a training that leaves a fold out is told by it.
        model_kind: Of the model it trains; empty: told by the label.
    """
    if kind != "train":
        return KINDS.get(kind, OTHER)
    if WITHOUT_FOLD in label:
        return NOISE
    return model_kind or (GNN if label.startswith(f"{GNN}_") else TRANSFORMER)


def phase_of(kinds: Iterable[str]) -> Phase | None:
    """The phase of a flow by the kinds of its jobs; ``None``: it is of another part of the project."""
    found = set(kinds)
    if found & ONLY_IN_PHASE_2:
        return "2"
    return "1" if "train" in found and found <= OF_PHASE_1 else None


def items_of(phase: Phase | None) -> tuple[BudgetItem, ...]:
    """The items of a phase, or all."""
    return tuple(item for item in ITEMS if phase in (None, item.phase))
