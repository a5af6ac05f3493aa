"""What the engine asks of a model kind. A new kind is one objective and one settings class."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn
from torch.optim import Optimizer

from models.settings.optimisation import Optimisation
from models.training.order import Indices
from models.training.schedule import Schedule


class Examples(Protocol):
    """Records of one file as an objective holds them."""

    ids: list[str]
    labels: npt.NDArray[np.int8]
    groups: list[str]
    weights: npt.NDArray[np.float64]
    sizes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Number of records."""
        ...


class Objective(Protocol):
    """A model and how it learns.

    Attributes:
        model: The module that is trained.
        budget: Largest sum of ``sizes`` in a micro-batch.
    """

    model: nn.Module
    budget: int

    def __init__(self, settings: Any) -> None:
        """Build the model with the current random state; nothing is read."""
        ...

    def load(self, path: Path, *, limit: int | None) -> Examples:
        """Records of the file at ``path``, the first ``limit`` of them."""
        ...

    def resolve(self, settings: Any, examples: Examples, device: str) -> Optimisation:
        """Settings with what depends on data and device filled in (batch size)."""
        ...

    def schedule(self, optimizer: Optimizer, *, num_steps: int) -> Schedule:
        """How the learning rate moves over at most ``num_steps`` steps."""
        ...

    def loss_sum(self, examples: Examples, records: Indices) -> Tensor:
        """Sum over ``records`` of weight times loss: a scalar that carries gradients."""
        ...

    def scores(self, examples: Examples, records: Indices) -> Tensor:
        """``(len(records), C)`` scores without gradients, rows in the order of ``records``."""
        ...

    def metrics(self, examples: Examples, scores: npt.NDArray[np.float32]) -> dict[str, float]:
        """Validation metrics; ``selection`` among them is what early stopping maximises."""
        ...
