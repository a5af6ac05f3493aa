"""Folds of the audit and what is measured by them, each by a second route."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from models.evaluation.audit.folds import auroc_within_folds, group_folds, project_folds, random_folds
from models.evaluation.audit.groups import shuffled_purity
from models.evaluation.intervals import draw_resamples


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=2, max_size=60), st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_group_folds_tear_no_group_apart(rows: list[tuple[int, int]], seed: int) -> None:
    labels, groups = (np.array(column) for column in zip(*rows, strict=True))
    folds = group_folds(labels.astype(np.int8), groups, 5, seed)
    of_label = [len(set(groups[labels == label].tolist())) for label in (0, 1)]
    if folds is None:
        assert min(of_label) < 2
    else:
        assert all(len(set(folds[groups == group].tolist())) == 1 for group in groups.tolist())


def test_random_folds_share_out_labels_and_projects_are_held_out_whole() -> None:
    labels = np.array([0, 1] * 20, dtype=np.int8)
    folds = random_folds(labels, 5, 0)
    assert folds is not None
    assert [int(labels[folds == fold].sum()) for fold in range(5)] == [4] * 5
    assert random_folds(np.array([0, 0, 1], dtype=np.int8), 5, 0) is None
    projects = np.arange(40) // 20
    by_project = project_folds(labels, projects, 5)
    assert by_project is not None
    assert len(set(by_project[:20].tolist())) == len(set(by_project[20:].tolist())) == 1
    assert project_folds(labels, np.zeros(40, np.int64), 5) is None


def test_the_auroc_within_folds_is_the_mean_of_the_folds_weighted_by_their_pairs() -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 200).astype(np.int8)
    scores, folds = random.random(200).round(1) + 0.2 * labels, random.integers(0, 4, 200)
    resamples = draw_resamples([str(row) for row in range(200)], num_resamples=50, seed=0)
    found = auroc_within_folds(labels, scores, folds, resamples)
    pairs = [int((labels[folds == f] == 0).sum() * (labels[folds == f] == 1).sum()) for f in range(4)]
    aurocs = [roc_auc_score(labels[folds == f], scores[folds == f]) for f in range(4)]
    assert found.value == pytest.approx(np.average(aurocs, weights=pairs))
    assert found.low < found.value < found.high


def test_shuffled_purity_is_what_the_hypergeometric_distribution_says() -> None:
    labels, sizes = np.array([1.0] * 30 + [0.0] * 70), np.array([2] * 20 + [3] * 20)
    group_of = np.repeat(np.arange(40), sizes)
    pure = [(comb(30, size) + comb(70, size)) / comb(100, size) for size in sizes.tolist()]
    assert shuffled_purity(labels, group_of, sizes, seed=0).mean() == pytest.approx(np.mean(pure), abs=0.02)
