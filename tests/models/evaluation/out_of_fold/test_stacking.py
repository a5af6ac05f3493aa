"""Fusions against brute force, against scikit-learn by hand, and where the answer is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.out_of_fold.scored_rows import log_losses
from models.evaluation.out_of_fold.stacking import Fuser, fit_fuser


def two_models(seed, skills=(1.5, 0.8), size=500):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, size).astype(np.int8)
    scores = np.stack([skill * (2 * labels - 1) + random.normal(0, 1.5, size) for skill in skills], axis=-1)
    return scores, labels


def average(scores, labels):
    return fit_fuser("average", scores, labels, regularisation=1.0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_average_has_the_weights_of_a_search_by_brute_force(seed):
    scores, labels = two_models(seed, skills=(0.5, 0.3))
    found = average(scores, labels)
    best = log_losses(labels, found.log_odds(scores)).mean()
    for weight, scale in itertools.product(np.linspace(0, 1, 101), np.linspace(0, 2, 81)):
        one = scale * (weight * scores[:, 0] + (1 - weight) * scores[:, 1]) + found.intercept
        loss = log_losses(labels, one).mean()
        assert best <= loss + 1e-8
        if abs(weight - found.weights[0]) > 0.2:  # the search sees which weight is right
            assert loss > best + 1e-4


def test_an_average_of_three_is_no_worse_than_any_on_a_grid():
    scores, labels = two_models(3, skills=(0.4, 0.3, 0.2))
    found = average(scores, labels)
    best = log_losses(labels, found.log_odds(scores)).mean()
    steps = np.linspace(0, 1, 51)
    for first, second in itertools.product(steps, steps):
        if first + second <= 1:
            weights = np.array([first, second, 1 - first - second])
            assert best <= log_losses(labels, (scores * weights).sum(axis=1)).mean() + 1e-10


def test_the_better_model_weighs_more_however_small_its_scores_are():
    """Planted: weights that sum to 1 without a scale would choose the model of the larger numbers."""
    scores, labels = two_models(0, skills=(2.5, 0.2))
    shrunk = scores / scores.std(axis=0) * 0.01
    found = average(shrunk, labels)
    assert found.weights[0] > 0.8
    assert found.scale > 50
    plain = average(100 * shrunk, labels)
    assert found.log_odds(shrunk) == pytest.approx(plain.log_odds(100 * shrunk), abs=1e-2)


def test_a_perfect_model_leaves_the_others_next_to_nothing_and_the_scale_finite():
    scores, labels = two_models(0, skills=(0.0, 0.0))
    found = average(np.stack([scores[:, 0], 2.0 * labels - 1], axis=-1), labels)
    assert found.weights[1] > 0.95
    assert np.isfinite(found.scale)


def test_a_fusion_that_is_one_model_or_none_says_so():
    scores, labels = two_models(4)
    against = average(np.stack([scores[:, 0], -scores[:, 1]], axis=-1), labels)
    assert against.weights.tolist() == [1.0, 0.0]
    assert against.doubts(["a", "b"]) == ["a has weight 1.000: the fusion is one model"]
    none = average(-scores, labels)
    assert none.scale == 0.0
    assert "no model tells labels out of fold" in none.doubts(["a", "b"])[0]
    idle = Fuser("average", np.array([0.4, 0.6, 0.0]), 0.0, 1.0)
    assert idle.doubts(["a", "b", "c"]) == ["c has weight 0: it takes no part in the fusion"]
    assert average(scores, labels).doubts(["a", "b"]) == []


def test_the_average_of_two_identical_models_is_the_model():
    scores, labels = two_models(1)
    twice = scores[:, [0, 0]]
    found = average(twice, labels)
    assert found.weights.tolist() == [0.5, 0.5]
    alone = average(scores[:, [0]], labels)
    assert (found.log_odds(twice) == alone.log_odds(scores[:, [0]])).all()


@given(st.integers(0, 10_000), st.integers(2, 4))
def test_weights_of_an_average_are_shares_and_no_worse_than_the_best_model(seed, num_models):
    scores, labels = two_models(seed, skills=np.random.default_rng(seed).uniform(-0.5, 1.5, num_models), size=60)
    found = average(scores, labels)
    assert (found.weights >= 0).all()
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-12)
    alone = min(log_losses(labels, average(own[:, None], labels).log_odds(own[:, None])).mean() for own in scores.T)
    assert log_losses(labels, found.log_odds(scores)).mean() <= alone + 1e-6


@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
def test_a_stacker_is_the_regression_of_scikit_learn_on_standardised_scores(strength):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores, labels = two_models(5)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=strength, tol=1e-10, max_iter=5000))
    expected = pipeline.fit(scores, labels).decision_function(scores)
    found = fit_fuser("stacker", scores, labels, regularisation=strength)
    assert found.log_odds(scores) == pytest.approx(expected, abs=1e-5)
    by_hand = found.intercept + found.weights[0] * scores[:, 0] + found.weights[1] * scores[:, 1]
    assert found.log_odds(scores) == pytest.approx(by_hand)


def test_the_scale_of_a_models_scores_does_not_change_the_stacker():
    scores, labels = two_models(6)
    scaled = scores * np.array([7.0, 0.1])
    plain, other = (fit_fuser("stacker", own, labels, regularisation=0.1) for own in (scores, scaled))
    assert other.log_odds(scaled) == pytest.approx(plain.log_odds(scores), abs=1e-6)


def test_a_model_that_says_one_thing_only_gets_no_weight_in_a_stacker(recwarn):
    scores, labels = two_models(7)
    constant = np.stack([scores[:, 0], np.full(len(labels), 0.7)], axis=-1)
    assert fit_fuser("stacker", constant, labels, regularisation=1.0).weights[1] == 0.0
    separable = np.stack([2.0 * labels - 1, 4.0 * labels - 2], axis=-1)
    assert np.isfinite(fit_fuser("stacker", separable, labels, regularisation=1.0).weights).all()
    assert len(recwarn) == 0


@pytest.mark.parametrize("method", ["average", "stacker"])
def test_one_label_and_scores_that_are_no_numbers_are_refused(method):
    scores, labels = two_models(8)
    with pytest.raises(ValueError, match="finite scores of both labels"):
        fit_fuser(method, scores, np.ones_like(labels), regularisation=1.0)
    scores[3, 0] = np.nan
    with pytest.raises(ValueError, match="finite scores of both labels"):
        fit_fuser(method, scores, labels, regularisation=1.0)


def test_probabilities_are_those_of_the_log_odds():
    fuser = Fuser("average", np.array([0.25, 0.75]), 0.5, 2.0)
    assert fuser.probabilities(np.array([[4.0, 0.0]])) == pytest.approx([1 / (1 + np.exp(-2.5))])
