from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score
from torch.nn import functional

from models.training.gnn import GraphObjective

pairs = st.tuples(st.integers(0, 1), st.floats(-9, 9, width=32), st.floats(-9, 9, width=32))


def metrics(labels: list[int], scores: Any) -> dict[str, float]:
    examples: Any = SimpleNamespace(labels=np.array(labels, dtype=np.int8))
    return GraphObjective.metrics(None, examples, np.array(scores, dtype=np.float32))  # type: ignore[arg-type]


@given(st.lists(pairs, min_size=1, max_size=30))
def test_metrics_are_those_of_scikit_learn_and_the_loss_that_of_torch(rows: list[tuple[int, float, float]]):
    labels, scores = [row[0] for row in rows], [row[1:] for row in rows]
    found = metrics(labels, scores)
    predicted = np.argmax(scores, axis=1)
    loss = functional.cross_entropy(torch.tensor(scores, dtype=torch.double), torch.tensor(labels))
    assert found["val_loss"] == pytest.approx(float(loss), abs=1e-9)
    assert found["val_accuracy"] == accuracy_score(labels, predicted)
    assert found["val_precision"] == pytest.approx(precision_score(labels, predicted, zero_division=0))
    assert found["val_recall"] == pytest.approx(recall_score(labels, predicted, zero_division=0))
    assert found["val_f1_vulnerable"] == pytest.approx(f1_score(labels, predicted, zero_division=0))
    assert found["selection"] == found["val_f1_vulnerable"]


def test_scores_of_any_size_give_a_finite_loss():
    assert metrics([0, 1], [[1e30, -1e30], [-1e30, 1e30]])["val_loss"] == 0.0
