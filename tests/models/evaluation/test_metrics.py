"""Twin: scikit-learn. Definitions of the empty and one-label cases."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from models.evaluation.metrics import (
    as_json,
    auroc,
    average_precision,
    confusion_of,
    metrics_at,
    predictions_at,
    ranking_of,
    steps_of,
)

# Few distinct values, so that ties are the rule.
SCORED = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.75, 1.0])), min_size=1, max_size=40
)
THRESHOLDS = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.75, 1.0])


def sklearn_twin(labels: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """The same metrics by scikit-learn, with our definitions where it has none."""
    answers = (scores >= threshold).astype(int)
    has_positive, has_both = bool(labels.any()), len(set(labels.tolist())) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "f1": sklearn_metrics.f1_score(labels, answers, zero_division=0) if has_positive else math.nan,
            "precision": sklearn_metrics.precision_score(labels, answers, zero_division=0),
            "recall": sklearn_metrics.recall_score(labels, answers) if has_positive else math.nan,
            "accuracy": sklearn_metrics.accuracy_score(labels, answers),
            "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(labels, answers) if has_both else math.nan,
            "mcc": sklearn_metrics.matthews_corrcoef(labels, answers),
            "false_positive_reduction": (
                sklearn_metrics.recall_score(labels, answers, pos_label=0) if (labels == 0).any() else math.nan
            ),
            "auroc": sklearn_metrics.roc_auc_score(labels, scores) if has_both else math.nan,
            "auprc": sklearn_metrics.average_precision_score(labels, scores) if has_positive else math.nan,
            "brier": sklearn_metrics.brier_score_loss(labels, scores, labels=[0, 1]),
        }


@given(SCORED, THRESHOLDS)
def test_every_metric_equals_scikit_learns(scored, threshold):
    labels, scores = np.array([label for label, _ in scored]), np.array([score for _, score in scored])
    expected = sklearn_twin(labels, scores, threshold)
    found = metrics_at(labels, scores, threshold)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


@given(SCORED, st.data())
def test_weighted_ranking_metrics_equal_those_of_repeated_records(scored, data):
    labels, scores = np.array([label for label, _ in scored]), np.array([score for _, score in scored])
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(scored), max_size=len(scored))))
    repeated = np.repeat(np.arange(len(scored)), weights)
    ranking = ranking_of(labels, scores)
    weighted = steps_of(ranking, weights[ranking.order].astype(float))
    plain = steps_of(ranking_of(labels[repeated], scores[repeated]))
    for metric in (auroc, average_precision):
        assert float(metric(weighted)) == pytest.approx(float(metric(plain)), abs=1e-12, nan_ok=True)


def test_no_records_leave_every_metric_undefined():
    assert all(math.isnan(value) for value in metrics_at([], [], 0.5).values())


def test_one_label_leaves_the_metrics_that_need_both_undefined():
    found = metrics_at([0, 0], [0.2, 0.9], 0.5)
    undefined = {name for name, value in found.items() if math.isnan(value)}
    assert undefined == {"f1", "recall", "balanced_accuracy", "auroc", "auprc"}
    assert found["accuracy"] == found["false_positive_reduction"] == 0.5
    assert math.isnan(metrics_at([1, 1], [0.2, 0.9], 0.5)["false_positive_reduction"])


def test_a_probability_at_the_threshold_is_called_vulnerable():
    assert predictions_at([0.4999, 0.5, 0.6], 0.5).tolist() == [False, True, True]


def test_confusion_counts_lie_where_their_names_say():
    confusion = confusion_of([0, 0, 0, 1, 1, 0], [0, 1, 1, 1, 0, 0])
    assert {name: int(count) for name, count in confusion._asdict().items()} == {
        "true_negatives": 2,
        "false_positives": 2,
        "false_negatives": 1,
        "true_positives": 1,
    }


def test_json_has_null_for_undefined_and_six_decimals():
    assert as_json({"a": math.nan, "b": np.float64(1 / 3), "c": [np.int64(2), -0.0], "d": np.array([[1e-9]])}) == {
        "a": None,
        "b": 0.333333,
        "c": [2, 0.0],
        "d": [[0.0]],
    }
