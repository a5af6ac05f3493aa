"""Losses that are a sum over records: a step is cut into micro-batches, and each is a part of its own."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from torch import Tensor

from models.training.objective import Examples, StepPart
from models.training.order import Indices


class CutExamples(Examples, Protocol):
    """Records that micro-batches are made of."""

    def cost(self, records: Indices) -> int:
        """What a micro-batch of ``records`` takes of a budget (nodes, padded tokens)."""
        ...

    def cut(self, records: Indices, budget: int) -> list[Indices]:
        """Micro-batches of ``records`` under a budget; a record above it stands alone."""
        ...


ExamplesType = TypeVar("ExamplesType", bound=CutExamples)


class SeparableLoss(abc.ABC, Generic[ExamplesType]):
    """A kind adds ``loss_sum``."""

    @abc.abstractmethod
    def loss_sum(self, examples: ExamplesType, records: Indices) -> Tensor:
        """Sum over ``records`` of weight times loss: a scalar that carries gradients."""

    def step_parts(
        self,
        examples: ExamplesType,
        records: Indices,  # noqa: ARG002
        *,
        own: Indices,
        budget: int,
        total_weight: float,
    ) -> Iterator[StepPart]:
        """One part for each micro-batch of this rank."""
        for part in examples.cut(own, budget):
            loss = self.loss_sum(examples, part) / total_weight
            yield StepPart(loss, loss.detach())

    def heaviest_part(self, examples: ExamplesType, records: Indices, *, budget: int) -> StepPart:
        """The micro-batch that takes most of the budget."""
        fullest = max(examples.cut(records, budget), key=examples.cost)
        return next(self.step_parts(examples, fullest, own=fullest, budget=budget, total_weight=1.0))
