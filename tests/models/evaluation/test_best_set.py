"""What must hold of the set whatever the scores, and how often it errs in sweeps whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.best_set import best_set, probability_better
from models.evaluation.intervals import draw_resamples
from models.evaluation.seed_resamples import mean_f1, resampled_mean_f1

LEVELS = st.sampled_from([0.5, 0.8, 0.9, 0.95])


@st.composite
def swept(draw):
    """Scores of answers on shared records, as a sweep has them."""
    num, num_files = draw(st.integers(1, 6)), draw(st.integers(2, 30))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    labels = np.append(random.random(num_files - 1) < 0.4, True)
    skills = random.choice([0.0, 0.5, 0.7, 0.9, 1.0], size=(num, 1, 1))
    answers = np.where(random.random((num, 1, num_files)) < skills, labels, ~labels)
    files = [str(file) for file in range(num_files)]
    resamples = draw_resamples(files, num_resamples=60, seed=1)
    return mean_f1(labels, answers), resampled_mean_f1(resamples, labels, answers, seed=1)


@given(swept(), LEVELS)
def test_the_highest_score_is_always_in_the_set(scores, confidence):
    points, draws = scores
    assert best_set(points, draws, confidence=confidence).members[points == points.max()].all()


@given(swept(), LEVELS, st.randoms())
def test_the_order_of_candidates_changes_nothing(scores, confidence, random):
    points, draws = scores
    order = random.sample(range(len(points)), len(points))
    whole = best_set(points, draws, confidence=confidence)
    permuted = best_set(points[order], draws[:, order], confidence=confidence)
    assert (permuted.members == whole.members[order]).all()
    assert permuted.statistics == pytest.approx(whole.statistics[order])


@given(swept(), LEVELS)
def test_a_second_best_one_leaves_no_clear_winner(scores, confidence):
    points, draws = scores
    best = int(points.argmax())
    found = best_set(np.append(points, points[best]), np.column_stack([draws, draws[:, best]]), confidence=confidence)
    assert not found.has_clear_winner
    assert found.members[best]
    assert found.members[-1]


@given(swept(), LEVELS)
def test_more_confidence_never_excludes_more(scores, confidence):
    points, draws = scores
    less = best_set(points, draws, confidence=confidence).members
    more = best_set(points, draws, confidence=min(0.99, confidence + 0.04)).members
    assert (more >= less).all()


@given(swept(), st.floats(0.1, 10), st.floats(-5, 5))
def test_the_scale_of_the_scores_does_not_matter(scores, factor, shift):
    points, draws = scores
    whole = best_set(points, draws, confidence=0.9)
    moved = best_set(factor * points + shift, factor * draws + shift, confidence=0.9)
    assert moved.statistics == pytest.approx(whole.statistics, abs=1e-6)


def test_statistic_and_critical_value_are_those_of_the_formula():
    random = np.random.default_rng(0)
    points = np.array([0.70, 0.72, 0.60])
    draws = points + random.normal(size=(399, 3)) * [0.02, 0.03, 0.04]
    found = best_set(points, draws, confidence=0.95)
    for one in range(3):
        others = [other for other in range(3) if other != one]
        errors = [np.std(draws[:, other] - draws[:, one]) for other in others]
        behind = [points[other] - points[one] for other in others]
        largest = sorted(
            max((row[other] - row[one] - gap) / error for other, gap, error in zip(others, behind, errors, strict=True))
            for row in draws
        )
        expected = max(gap / error for gap, error in zip(behind, errors, strict=True))
        assert found.statistics[one] == pytest.approx(expected)
        assert found.critical_values[one] == pytest.approx(largest[389])  # the 390th of 399: 400 x 0.975


def test_a_candidate_alone_is_a_set_of_one():
    found = best_set([0.7], np.full((50, 1), 0.7), confidence=0.95)
    assert found.has_clear_winner
    assert found.statistics[0] == -math.inf


def test_candidates_with_the_same_answers_stay_together():
    draws = np.random.default_rng(0).normal(0.7, 0.05, size=(200, 1)) * np.ones((1, 3))
    found = best_set([0.7, 0.7, 0.7], draws, confidence=0.95)
    assert found.members.all()
    far = np.column_stack([draws, draws[:, :2] - 0.4 + np.random.default_rng(1).normal(0, 0.01, (200, 1))])
    assert best_set([0.7, 0.7, 0.7, 0.3, 0.3], far, confidence=0.95).members.tolist() == [True] * 3 + [False] * 2


def test_one_that_is_better_by_the_same_in_every_resample_wins():
    found = best_set([1.0, 0.0], np.tile([1.0, 0.0], (100, 1)), confidence=0.95)
    assert found.members.tolist() == [True, False]


def test_resamples_without_a_value_are_left_out():
    random = np.random.default_rng(0)
    points, draws = np.array([0.8, 0.6]), np.array([0.8, 0.6]) + 0.02 * random.normal(size=(100, 2))
    holes = np.concatenate([draws, [[math.nan, 0.5], [math.nan, math.nan]]])
    with_holes, without = (best_set(points, values, confidence=0.95) for values in (holes, draws))
    assert with_holes.critical_values.tolist() == without.critical_values.tolist()
    assert with_holes.members.tolist() == [True, False]


@pytest.mark.parametrize("num_resamples", [0, 1, 38])
def test_too_few_resamples_exclude_nobody(num_resamples):
    draws = np.array([0.9, 0.1]) + 0.001 * np.random.default_rng(0).normal(size=(num_resamples, 2))
    assert best_set([0.9, 0.1], draws, confidence=0.95).members.all()


def test_39_resamples_are_enough_to_exclude():
    draws = np.array([0.9, 0.1]) + 0.001 * np.random.default_rng(0).normal(size=(39, 2))
    assert best_set([0.9, 0.1], draws, confidence=0.95).members.tolist() == [True, False]


@pytest.mark.parametrize(
    ("points", "shape"), [([], (10, 0)), ([0.5, math.nan], (10, 2)), ([0.5, 0.6], (10, 3)), ([0.5, 0.6], (10,))]
)
def test_what_does_not_fit_is_an_error(points, shape):
    with pytest.raises(ValueError, match=r"\(B, N\)"):
        best_set(points, np.zeros(shape), confidence=0.95)


def test_of_two_equal_candidates_one_is_called_the_winner_in_at_most_alpha_and_nearly_so():
    """Where the bound is tight, with normal scores, so that only the rule is tested: 10 % at 0.9."""
    random = np.random.default_rng(7)
    found = []
    for _ in range(1500):
        points = random.normal(size=2)
        draws = points + random.normal(size=(199, 2))
        found.append(best_set(points, draws, confidence=0.9).has_clear_winner)
    assert 0.07 < np.mean(found) < 0.1 + 3 * math.sqrt(0.1 * 0.9 / 1500)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_the_probabilities_of_two_sides_make_one_and_a_tie_is_half(pairs):
    first, second = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    assert probability_better(first, second) + probability_better(second, first) == pytest.approx(1.0)
    expected = np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs])
    assert probability_better(first, second) == pytest.approx(expected)


def test_undefined_resamples_do_not_count_for_either_side():
    assert probability_better([1.0, math.nan, 1.0], [0.0, 0.0, math.nan]) == 1.0
    assert math.isnan(probability_better([math.nan], [0.0]))
