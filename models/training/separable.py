"""Losses that are a sum over records: a step is cut into micro-batches, and each is a part of its own."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Generic, TypeVar

from torch import Tensor

from models.training.objective import Examples, StepPart
from models.training.order import Indices

ExamplesType = TypeVar("ExamplesType", bound=Examples)


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
