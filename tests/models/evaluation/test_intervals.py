"""Twins: a plain Python loop over the same draws, and scipy's bootstrap on ungrouped data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from models.evaluation import intervals
from models.evaluation.intervals import draw_resamples, percentile_interval, resampled_metrics
from models.evaluation.metrics import metrics_at

THRESHOLD = 0.4


@pytest.fixture
def sample():
    """120 records in 30 commits; scores with ties that follow the label weakly."""
    random = np.random.default_rng(5)
    labels = random.integers(0, 2, 120)
    scores = np.clip(0.3 * labels + random.random(120).round(1) * 0.7, 0, 1)
    groups = [f"commit-{number}" for number in random.integers(0, 30, 120)]
    return labels, scores, groups


def test_resampled_values_equal_a_loop_over_the_drawn_records(sample):
    labels, scores, groups = sample
    resamples = draw_resamples(groups, num_resamples=25, seed=1)
    found = resampled_metrics(resamples, labels, scores, THRESHOLD)
    names = sorted(set(groups))
    for row, counts in enumerate(resamples.counts):
        drawn = [
            at
            for name, count in zip(names, counts, strict=True)
            for _ in range(count)
            for at, group in enumerate(groups)
            if group == name
        ]
        expected = metrics_at(labels[drawn], scores[drawn], THRESHOLD)
        assert {name: values[row] for name, values in found.items()} == pytest.approx(expected, abs=1e-12, nan_ok=True)
        assert expected["auroc"] == pytest.approx(roc_auc_score(labels[drawn], scores[drawn]), abs=1e-12)
        assert expected["auprc"] == pytest.approx(average_precision_score(labels[drawn], scores[drawn]), abs=1e-12)


def test_each_resample_draws_as_many_groups_as_there_are(sample):
    _, _, groups = sample
    resamples = draw_resamples(groups, num_resamples=40, seed=2)
    assert (resamples.counts.sum(axis=1) == len(set(groups))).all()


def test_the_draw_depends_on_seed_and_groups_only(sample, monkeypatch):
    _, _, groups = sample
    first = draw_resamples(groups, num_resamples=40, seed=2).counts
    monkeypatch.setattr(intervals, "CHUNK_ENTRIES", 70)  # other pieces, same stream
    assert (draw_resamples(groups, num_resamples=40, seed=2).counts == first).all()
    assert (draw_resamples(groups, num_resamples=40, seed=3).counts != first).any()


def test_pieces_change_no_value(sample, monkeypatch):
    labels, scores, groups = sample
    resamples = draw_resamples(groups, num_resamples=30, seed=2)
    whole = resampled_metrics(resamples, labels, scores, THRESHOLD)
    monkeypatch.setattr(intervals, "CHUNK_ENTRIES", 500)
    pieces = resampled_metrics(resamples, labels, scores, THRESHOLD)
    for name, values in whole.items():
        assert pieces[name] == pytest.approx(values, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("metric", ["f1", "auroc"])
def test_without_groups_the_interval_is_scipys_within_noise(sample, metric):
    labels, scores, _ = sample
    resamples = draw_resamples([str(row) for row in range(len(labels))], num_resamples=4000, seed=0)
    ours = percentile_interval(resampled_metrics(resamples, labels, scores, THRESHOLD)[metric], 0.95)

    def statistic(labels, scores):
        return metrics_at(labels, scores, THRESHOLD)[metric]

    theirs = stats.bootstrap(
        (labels, scores),
        statistic,
        n_resamples=1500,
        paired=True,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    # Monte Carlo noise of a 2.5 % quantile over 1,500 resamples is about 0.07 standard errors.
    tolerance = 4 * 0.07 * theirs.standard_error
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=tolerance)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=tolerance)


def test_commits_that_repeat_make_the_interval_wider():
    random = np.random.default_rng(1)
    of_commit = random.integers(0, 2, 60)
    labels, right = np.repeat(of_commit, 10), np.repeat(random.random(60) < 0.7, 10)
    scores = np.where(right, labels, 1 - labels).astype(float)

    def width(groups):
        resamples = draw_resamples(groups, num_resamples=1000, seed=0)
        found = percentile_interval(resampled_metrics(resamples, labels, scores, 0.5)["accuracy"], 0.95)
        return found.high - found.low

    by_commit = width([str(at // 10) for at in range(600)])
    by_record = width([str(at) for at in range(600)])
    assert by_commit > 2.5 * by_record  # ten records of one fate: sqrt(10) times as wide


def test_undefined_resamples_are_left_out_and_counted():
    interval = percentile_interval(np.array([math.nan, 0.0, 1.0, math.nan]), 0.9)
    assert (interval.low, interval.high, interval.num_undefined) == (pytest.approx(0.05), pytest.approx(0.95), 2)
    assert math.isnan(percentile_interval(np.array([math.nan]), 0.9).low)
