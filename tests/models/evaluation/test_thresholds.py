"""Twin: F1 by scikit-learn at every threshold; the written tie rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from models.evaluation.thresholds import best_f1_threshold, choose, confusion_at, distinct_thresholds

PROBABILITIES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 0.25, 1.0]))
SCORED = st.lists(st.tuples(st.integers(0, 1), PROBABILITIES), min_size=1, max_size=30).filter(
    lambda scored: any(label for label, _ in scored)
)


def split(scored):
    return np.array([label for label, _ in scored]), np.array([score for _, score in scored])


@given(SCORED)
def test_no_threshold_has_a_better_f1_than_the_chosen_one(scored):
    labels, scores = split(scored)
    chosen = best_f1_threshold(labels, scores)
    everywhere = [f1_score(labels, scores >= cut, zero_division=0) for cut in scores]
    assert chosen.f1 == pytest.approx(max(everywhere), abs=1e-12)
    assert f1_score(labels, scores >= chosen.value, zero_division=0) == pytest.approx(chosen.f1, abs=1e-12)


@given(SCORED)
def test_the_curve_is_what_scikit_learn_counts_at_each_threshold(scored):
    labels, scores = split(scored)
    chosen = best_f1_threshold(labels, scores)
    counted = [f1_score(labels, scores >= threshold, zero_division=0) for threshold in chosen.thresholds]
    assert chosen.curve == pytest.approx(counted, abs=1e-12)


@given(st.lists(PROBABILITIES, min_size=1, max_size=30))
def test_every_way_to_cut_is_tried_once(scores):
    thresholds = distinct_thresholds(scores)
    cuts = {tuple(np.array(scores) >= threshold) for threshold in thresholds}
    assert len(cuts) == len(thresholds) == len(set(scores))


def test_a_half_is_taken_where_it_cuts_as_well_as_the_best():
    assert best_f1_threshold([0, 0, 1, 1], [0.1, 0.3, 0.8, 0.9]).value == 0.5


def test_of_equal_thresholds_the_one_closest_to_a_half_wins():
    # Calling one record or all four gives F1 2/3 here; the cuts are represented by 0.05 and 0.75.
    chosen = choose([1, 0, 0, 1], [0.9, 0.6, 0.2, 0.1], [0.05, 0.75])
    assert chosen.curve.tolist() == pytest.approx([2 / 3, 2 / 3])
    assert chosen.value == 0.75


def test_of_two_at_one_distance_the_lower_wins():
    assert choose([1], [1.0], [0.75, 0.25]).value == 0.25


def test_neighbouring_floats_are_still_told_apart():
    low = 0.7
    high = np.nextafter(low, 1.0)
    assert best_f1_threshold([0, 1], [low, high]).f1 == 1.0


def test_a_grid_is_counted_like_a_loop():
    random = np.random.default_rng(0)
    labels, scores = random.integers(0, 2, 500), random.random(500).round(2)
    grid = np.linspace(0.3, 0.7, 41)
    confusion = confusion_at(labels, scores, grid)
    for row, threshold in enumerate(grid):
        called = scores >= threshold
        assert confusion.true_positives[row] == (called & (labels == 1)).sum()
        assert confusion.true_negatives[row] == (~called & (labels == 0)).sum()


def test_without_a_vulnerable_record_there_is_no_threshold():
    with pytest.raises(ValueError, match="at least one record of label 1"):
        best_f1_threshold([0, 0], [0.1, 0.2])
