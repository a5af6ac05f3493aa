"""Curves against scikit-learn; bins hold every record once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from models.evaluation.curves import calibration_bins, describe_scores, expected_calibration_error, roc_points, thin
from models.evaluation.metrics import ranking_of, steps_of

BOTH = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0])), min_size=2, max_size=40
).filter(lambda scored: {label for label, _ in scored} == {0, 1})


@given(BOTH)
def test_the_roc_curve_is_scikit_learns(scored):
    labels, scores = np.array([label for label, _ in scored]), np.array([score for _, score in scored])
    false_rates, true_rates, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert roc_points(steps_of(ranking_of(labels, scores))) == pytest.approx(
        np.stack([false_rates, true_rates], axis=-1)
    )


@given(BOTH)
def test_bins_hold_every_record_once_and_equal_scores_stay_together(scored):
    labels, scores = np.array([label for label, _ in scored]), np.array([score for _, score in scored])
    bins = calibration_bins(labels, scores)
    assert sum(entry["num_records"] for entry in bins) == len(scored)
    assert len(bins) <= len(set(scores.tolist()))
    means = [entry["mean_probability"] for entry in bins]
    assert means == sorted(means)


def test_ece_by_hand():
    bins = [
        {"num_records": 3, "mean_probability": 0.2, "positive_share": 0.5},
        {"num_records": 1, "mean_probability": 0.9, "positive_share": 1.0},
    ]
    assert expected_calibration_error(bins) == pytest.approx((3 * 0.3 + 1 * 0.1) / 4)


def test_thinning_keeps_the_ends_and_the_limit():
    points = np.arange(2000.0).reshape(1000, 2)
    thinned = thin(points)
    assert len(thinned) == 200
    assert thinned[0].tolist() == [0.0, 1.0]
    assert thinned[-1].tolist() == [1998.0, 1999.0]


def test_the_histogram_counts_every_record_of_either_label():
    histogram = describe_scores([0, 1, 1], [0.0, 1.0, 0.51])["histogram"]
    assert (histogram["label_0"].sum(), histogram["label_1"].sum()) == (1, 2)
