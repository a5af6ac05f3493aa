"""Temperatures against scikit-learn's regression, and fits that mean nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.out_of_fold.scored_rows import log_losses, sigmoid
from models.evaluation.out_of_fold.temperature import HIGHEST, LOWEST, fit_temperature


def drawn(seed, factor, size=400):
    """Labels drawn by their own log-odds, and these log-odds times a factor: the right temperature is the factor."""
    random = np.random.default_rng(seed)
    true = random.normal(0.3, 1.5, size)
    return (random.random(size) < sigmoid(true)).astype(np.int8), factor * true


@pytest.mark.parametrize("factor", [0.2, 1.0, 3.0, 8.0])
def test_temperature_and_bias_are_those_of_an_unregularised_regression(factor):
    from sklearn.linear_model import LogisticRegression

    labels, scores = drawn(5, factor)
    expected = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(scores[:, None], labels)
    found = fit_temperature(labels, scores)
    assert 1.0 / found.value == pytest.approx(expected.coef_[0, 0], rel=1e-3)
    assert found.bias == pytest.approx(expected.intercept_[0], abs=1e-3)
    assert found.apply(scores) == pytest.approx(expected.decision_function(scores[:, None]), abs=1e-2)
    assert found.log_loss_after == pytest.approx(log_losses(labels, found.apply(scores)).mean())
    assert found.log_loss_after <= found.log_loss_before
    assert found.doubt == ""


def test_an_offset_of_a_models_scores_is_taken_out():
    labels, scores = drawn(2, 1.0)
    plain, moved = fit_temperature(labels, scores), fit_temperature(labels, 3.0 * scores + 7.0)
    assert moved.apply(3.0 * scores + 7.0) == pytest.approx(plain.apply(scores), abs=1e-5)


def test_scores_that_are_too_sure_by_a_factor_are_divided_by_it():
    labels, scores = drawn(1, 4.0, size=40_000)
    assert fit_temperature(labels, scores).value == pytest.approx(4.0, rel=0.05)


@given(st.integers(0, 1000), st.floats(0.3, 3.0))
def test_scaling_the_scores_scales_the_temperature(seed, factor):
    labels, scores = drawn(seed, 1.0, size=200)
    one, other = fit_temperature(labels, scores), fit_temperature(labels, factor * scores)
    assert other.value == pytest.approx(factor * one.value, rel=1e-4)
    assert other.log_loss_after == pytest.approx(one.log_loss_after, abs=1e-9)


def test_one_label_or_one_score_gives_temperature_1_and_a_word():
    found = fit_temperature([1, 1, 1], [0.1, 0.2, 0.3])
    assert (found.value, found.bias, found.doubt) == (1.0, 0.0, "every validation label is 1: temperature 1 is taken")
    found = fit_temperature([0, 1, 1], [0.4, 0.4, 0.4])
    assert (found.value, found.doubt) == (1.0, "every validation score is the same: temperature 1 is taken")


def test_a_temperature_at_a_bound_says_so():
    separated = fit_temperature([0, 0, 1, 1], [-2.0, -1.0, 1.0, 2.0])
    assert separated.value == pytest.approx(LOWEST, rel=1e-3)
    assert "is the least allowed" in separated.doubt
    turned = fit_temperature([1, 1, 0, 0], [-2.0, -1.0, 1.0, 2.0])
    assert turned.value == pytest.approx(HIGHEST, rel=1e-3)
    assert "is the most allowed" in turned.doubt


@pytest.mark.parametrize("scores", [[], [0.0, float("nan")], [0.0, float("inf")]])
def test_scores_that_are_no_numbers_are_refused(scores):
    with pytest.raises(ValueError, match="finite log-odds"):
        fit_temperature([0, 1][: len(scores)], scores)


def test_log_losses_and_probabilities_stay_finite_and_right():
    assert sigmoid([0.0, 1000.0, -1000.0]).tolist() == [0.5, 1.0, 0.0]
    assert log_losses([1, 0, 1], [2.0, 2.0, -1000.0]) == pytest.approx(
        [-np.log(sigmoid(2.0)), -np.log(sigmoid(-2.0)), 1000]
    )
