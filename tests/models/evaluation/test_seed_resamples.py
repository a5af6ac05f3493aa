"""Twin: a plain loop over the drawn files and seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from models.evaluation.intervals import draw_resamples, resampled_metrics
from models.evaluation.metrics import metrics_at
from models.evaluation.seed_resamples import (
    mean_f1,
    median_seed,
    resampled_mean_f1,
    resampled_mean_over_seeds,
    resampled_metrics_by_seed,
    seed_shares,
)


@pytest.fixture
def answered():
    """60 records in 25 files; two configurations of three seeds, one of one."""
    random = np.random.default_rng(4)
    labels = (random.random(60) < 0.4).astype(int)
    files = [f"file-{number}" for number in random.integers(0, 25, 60)]
    predictions = [(np.where(random.random((seeds, 60)) < 0.8, labels, 1 - labels)) for seeds in (3, 3, 1)]
    return labels, files, predictions


def test_a_configuration_scores_the_mean_over_its_seeds(answered):
    labels, _, predictions = answered
    expected = [np.mean([f1_score(labels, answers) for answers in own]) for own in predictions]
    assert mean_f1(labels, predictions) == pytest.approx(expected, abs=1e-12)


def test_resamples_equal_a_loop_over_drawn_files_and_seeds(answered):
    labels, files, predictions = answered
    resamples = draw_resamples(files, num_resamples=20, seed=1)
    found = resampled_mean_f1(resamples, labels, predictions, seed=7)
    assert found.shape == (20, 3)
    for row, counts in enumerate(resamples.counts):
        drawn = np.repeat(np.arange(60), counts[resamples.group_of])
        for column, own in enumerate(predictions):
            shares = seed_shares(len(own), num_resamples=20, seed=7)[row]
            by_seed = [f1_score(labels[drawn], answers[drawn]) for answers in own]
            assert found[row, column] == pytest.approx(shares @ by_seed, abs=1e-12)


def test_every_metric_equals_a_loop_over_drawn_files_and_seeds(answered):
    labels, files, _ = answered
    scores = np.clip(0.3 * labels + 0.7 * np.random.default_rng(8).random((3, 60)).round(1), 0, 1)
    thresholds = np.array([0.4, 0.5, 0.6])
    resamples = draw_resamples(files, num_resamples=15, seed=1)
    by_seed = resampled_metrics_by_seed(resamples, labels, scores, thresholds)
    shares = seed_shares(3, num_resamples=15, seed=7)
    for name, values in by_seed.items():
        found = resampled_mean_over_seeds(values, seed=7)
        for row, counts in enumerate(resamples.counts):
            drawn = np.repeat(np.arange(60), counts[resamples.group_of])
            expected = [
                metrics_at(labels[drawn], own[drawn], threshold)[name]
                for own, threshold in zip(scores, thresholds, strict=True)
            ]
            assert found[row] == pytest.approx(shares[row] @ expected, abs=1e-12)


def test_two_routes_to_the_mean_f1_agree_and_only_what_is_asked_for_is_measured(answered):
    labels, files, predictions = answered
    resamples = draw_resamples(files, num_resamples=50, seed=1)
    by_seed = resampled_metrics_by_seed(resamples, labels, predictions[0].astype(float), np.full(3, 0.5), ("f1",))
    assert list(by_seed) == ["f1"]
    expected = resampled_mean_f1(resamples, labels, [predictions[0]], seed=7)[:, 0]
    assert resampled_mean_over_seeds(by_seed["f1"], seed=7) == pytest.approx(expected, abs=1e-12)


def test_with_one_seed_it_is_the_bootstrap_of_evaluation(answered):
    labels, files, predictions = answered
    resamples = draw_resamples(files, num_resamples=50, seed=1)
    expected = resampled_metrics(resamples, labels, predictions[2][0].astype(float), 0.5)["f1"]
    assert resampled_mean_f1(resamples, labels, predictions, seed=0)[:, 2] == pytest.approx(expected, abs=1e-12)


def test_equal_configurations_are_equal_in_every_resample_and_the_draw_depends_on_the_seed(answered):
    labels, files, predictions = answered
    resamples = draw_resamples(files, num_resamples=50, seed=1)
    found = resampled_mean_f1(resamples, labels, [predictions[0], predictions[0].copy()], seed=3)
    assert (found[:, 0] == found[:, 1]).all()
    again = resampled_mean_f1(resamples, labels, predictions, seed=3)
    assert (again[:, 0] == found[:, 0]).all()  # whoever else takes part
    other = resampled_mean_f1(resamples, labels, predictions, seed=4)
    assert (other[:, 0] != again[:, 0]).any()
    assert (other[:, 2] == again[:, 2]).all()  # one seed: nothing of it to draw


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
def test_the_mean_over_drawn_seeds_varies_as_a_mean_of_so_many_seeds_does(num_seeds):
    values = np.random.default_rng(0).normal(size=num_seeds)
    shares = seed_shares(num_seeds, num_resamples=100_000, seed=1)
    assert shares.sum(axis=1) == pytest.approx(np.ones(100_000))
    assert (shares @ values).var() == pytest.approx(values.var(ddof=1) / num_seeds, rel=0.03)


def test_a_resample_without_label_1_has_no_value():
    labels, answers = np.array([1, 0, 0]), np.array([[1, 0, 1]])
    resamples = draw_resamples(["a", "b", "c"], num_resamples=60, seed=0)
    found = resampled_mean_f1(resamples, labels, [answers], seed=0)[:, 0]
    assert (np.isnan(found) == (resamples.counts[:, 0] == 0)).all()
    assert np.isnan(found).any()


def test_one_file_cannot_be_resampled():
    resamples = draw_resamples(["a", "a"], num_resamples=5, seed=0)
    with pytest.raises(ValueError, match="at least two files, got 1"):
        resampled_mean_f1(resamples, [0, 1], [np.array([[0, 1]])], seed=0)
    with pytest.raises(ValueError, match="at least two files, got 1"):
        resampled_metrics_by_seed(resamples, [0, 1], np.array([[0.0, 1.0]]), np.array([0.5]))


@given(st.dictionaries(st.integers(0, 99), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=8))
def test_the_median_seed_has_the_middle_f1_and_is_the_lowest_that_has_it(f1_by_seed):
    chosen = median_seed(f1_by_seed)
    value = f1_by_seed[chosen]
    values = list(f1_by_seed.values())
    assert value == np.quantile(values, 0.5, method="inverted_cdf")
    assert chosen == min(seed for seed, own in f1_by_seed.items() if own == value)


def test_of_an_even_number_of_seeds_the_lower_middle_one_stands():
    assert median_seed({41: 0.9, 42: 0.6, 43: 0.7, 44: 0.8}) == 43


@pytest.mark.parametrize("f1_by_seed", [{}, {41: 0.5, 42: math.nan}])
def test_without_values_there_is_no_median_seed(f1_by_seed):
    with pytest.raises(ValueError, match="at least one seed"):
        median_seed(f1_by_seed)
