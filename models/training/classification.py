"""What all classifiers share: cross entropy with a weight per record, scores, metrics of the vulnerable class."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.training.order import Indices
from models.training.separable import ExamplesType, SeparableLoss


class Classification(SeparableLoss[ExamplesType]):
    """Two classes; label 1 is the vulnerable one. A kind adds model, loading and ``logits``."""

    model: nn.Module
    budget: int

    @abc.abstractmethod
    def logits(self, examples: ExamplesType, records: Indices) -> Tensor:
        """``(len(records), 2)`` in the order of ``records``."""

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def loss_sum(self, examples: ExamplesType, records: Indices) -> Tensor:
        """Sum over records of weight times cross entropy."""
        logits = self.logits(examples, records).float()
        labels = torch.from_numpy(examples.labels[records].astype(np.int64)).to(logits.device)
        losses = functional.cross_entropy(logits, labels, reduction="none")
        weights = torch.from_numpy(examples.weights[records].astype(np.float32)).to(logits.device)
        return (losses * weights).sum()

    @torch.no_grad()
    def scores(self, examples: ExamplesType, records: Indices, *, budget: int) -> Tensor:
        """Logits without gradients, cut into micro-batches under the budget."""
        self.model.eval()
        result = torch.zeros(len(records), 2)
        place = {int(record): row for row, record in enumerate(records)}
        for part in examples.cut(records, budget):
            rows = torch.tensor([place[int(record)] for record in part])
            result[rows] = self.logits(examples, part).float().cpu()
        self.model.train()
        return result

    def metrics(self, examples: ExamplesType, scores: npt.NDArray[np.float32]) -> dict[str, float]:
        """Loss, accuracy, precision, recall and F1 of label 1 at the larger score; F1 is what is selected on."""
        labels = examples.labels.astype(np.int64)
        wide = scores.astype(np.float64)
        top = wide.max(axis=1, keepdims=True)
        log_probabilities = wide - top - np.log(np.exp(wide - top).sum(axis=1, keepdims=True))
        loss = -log_probabilities[np.arange(len(labels)), labels].mean()
        predicted = wide.argmax(axis=1)
        hits = float(((predicted == 1) & (labels == 1)).sum())
        num_predicted, num_positive = float((predicted == 1).sum()), float((labels == 1).sum())
        f1 = 2 * hits / (num_predicted + num_positive) if num_predicted + num_positive else 0.0
        return {
            "val_loss": float(loss),
            "val_accuracy": float((predicted == labels).mean()),
            "val_precision": hits / num_predicted if num_predicted else 0.0,
            "val_recall": hits / num_positive if num_positive else 0.0,
            "val_f1_vulnerable": f1,
            "selection": f1,
        }

    def predictions(self, examples: ExamplesType, scores: npt.NDArray[np.float32]) -> list[dict[str, Any]]:  # noqa: ARG002
        """Probability of label 1, and both logits."""
        logits = scores.astype(np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = odds[:, 1] / odds.sum(axis=1)
        return [
            {"probability": float(probability), "logits": row.tolist()}
            for probability, row in zip(probabilities, logits, strict=True)
        ]
