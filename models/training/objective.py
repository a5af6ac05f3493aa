"""What the engine asks of a model kind. A new kind is one objective and one settings class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn
from torch.optim import Optimizer

from models.jobs.contract import JobContext
from models.settings.optimisation import Optimisation
from models.settings.train import TrainSettings
from models.training.order import Indices
from models.training.schedule import Schedule


@dataclass(frozen=True)
class Story:
    """Where a trained model comes from, in JSON values without clocks and paths.

    Args:
        question: The settings that decide, each input by the sha256 of its content.
        best: The epoch whose weights were kept, with its validation metrics.
        facts: What the result says of the model.
    """

    question: dict[str, Any]
    best: dict[str, Any]
    facts: dict[str, Any]


class StepPart(NamedTuple):
    """A part of one optimiser step.

    Args:
        surrogate: Scalar whose backward pass adds this part's share of the step's gradient.
        loss: Scalar, this part's share of the step's loss, without gradients; of all parts of all ranks together it is
            the mean that is told.
    """

    surrogate: Tensor
    loss: Tensor


class Examples(Protocol):
    """Records of one file as an objective holds them.

    Attributes:
        ids: Of each record.
        labels: Of each record.
        groups: What each must not be separated from.
        weights: Of each in the loss.
        sizes: What each takes of a budget where it stands alone.
    """

    ids: list[str]
    labels: npt.NDArray[np.int8]
    groups: list[str]
    weights: npt.NDArray[np.float64]
    sizes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Number of records."""
        ...

    def only(self, rows: Indices) -> Self:
        """Some of the records, in the order of ``rows``; what is large is shared, not copied."""
        ...


class Objective(Protocol):
    """A model and how it learns.

    Attributes:
        model: The module that is trained.
        budget: Largest cost of a micro-batch, as asked for.
        notices: What a person must be told before training begins.
        WEIGHTS_FILES: The files of a finished run whose digests name the model.
    """

    model: nn.Module
    budget: int
    notices: tuple[str, ...]
    WEIGHTS_FILES: ClassVar[tuple[str, ...]]

    @classmethod
    def untrained(cls, settings: TrainSettings, context: JobContext) -> Self:
        """The model before its first step, made with the current random state.

        Args:
            settings: The run's; the model's are of this kind.
            context: Where the run lies.
        """
        ...

    @classmethod
    def trained(cls, settings: Any, run_path: Path) -> Self:
        """The best model of a finished run."""
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

    def step_parts(
        self, examples: Examples, records: Indices, *, own: Indices, budget: int, total_weight: float
    ) -> Iterator[StepPart]:
        """The parts of one optimiser step, one after the other; each is done with before the next is asked for.

        Args:
            examples: Where the records are.
            records: All records of the step, of all ranks.
            own: Those of this rank, as ``rank_share`` deals them.
            budget: Largest cost of what is kept for one backward pass.
            total_weight: Of ``records``; the step's loss is divided by it.
        """
        ...

    def heaviest_part(self, examples: Examples, records: Indices, *, budget: int) -> StepPart:
        """Of a step over ``records`` on this rank alone the part that takes most memory: what a budget is tried with.

        Asks no other rank for anything: each tries for itself.
        """
        ...

    def scores(self, examples: Examples, records: Indices, *, budget: int) -> Tensor:
        """``(len(records), C)`` scores without gradients, rows in the order of ``records``.

        Args:
            examples: Where the records are.
            records: Which.
            budget: Largest cost of a micro-batch.
        """
        ...

    def metrics(self, examples: Examples, scores: npt.NDArray[np.float32]) -> dict[str, float]:
        """Validation metrics; ``selection`` among them is what early stopping maximises."""
        ...

    def predictions(self, examples: Examples, scores: npt.NDArray[np.float32]) -> list[dict[str, Any]]:
        """What the predictions file says of each record beside its id, group and label; JSON values."""
        ...

    def facts(self, examples: Examples) -> dict[str, Any]:
        """What the result says of the model beside its metrics; small JSON values."""
        ...

    def export(self, weights: bytes, run_path: Path, story: Story) -> dict[str, bytes]:
        """The files by which others load the model.

        Args:
            weights: The best weights as the checkpoint has them; the model holds them too.
            run_path: The run directory.
            story: Where the model comes from, for its card.
        """
        ...
