"""Twins: a plain loop over the grid, and one over the drawn records of each resample; the written rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from models.evaluation.intervals import draw_resamples
from models.evaluation.metrics import metrics_at
from models.evaluation.threshold_sweep import (
    bootstrap_thresholds,
    grouped_folds,
    per_technology,
    recall_constrained,
    resampled_f1_curves,
    sweep,
    threshold_spread,
)
from models.evaluation.thresholds import distinct_thresholds
from models.settings.decision import ThresholdSweep

GRID = ThresholdSweep().grid()
PROBABILITIES = st.one_of(st.floats(0, 1), st.sampled_from([*GRID[::5], 0.0, 1.0]))
SCORED = st.lists(st.tuples(st.integers(0, 1), PROBABILITIES), min_size=1, max_size=25)
WITH_POSITIVE = SCORED.filter(lambda scored: any(label for label, _ in scored))


def split(scored):
    return np.array([label for label, _ in scored]), np.array([score for _, score in scored])


def plain_f1(labels, called):
    """As scikit-learn's, which takes a hundred times as long."""
    return 2 * int((labels & called).sum()) / int(labels.sum() + called.sum())


def by_loop(labels, scores, grid):
    """The rule in words: best F1, then closest to 0.5 as decimals, then lower."""
    found = [(plain_f1(labels, scores >= at), at) for at in grid]
    best = max(value for value, _ in found)
    return min((at for value, at in found if value == best), key=lambda at: (round(abs(at - 0.5), 9), at)), best


def sample(num=120, num_files=40, seed=3):
    random = np.random.default_rng(seed)
    labels = (random.random(num) < 0.35).astype(int)
    scores = np.clip(0.35 + 0.2 * labels + 0.15 * random.standard_normal(num), 0, 1).round(2)
    files = [f"file-{number}" for number in random.integers(0, num_files, num)]
    return labels, scores, files


@given(WITH_POSITIVE)
def test_the_chosen_threshold_is_that_of_a_plain_loop(scored):
    labels, scores = split(scored)
    chosen = sweep(labels, scores, GRID).chosen
    assert (chosen.threshold, chosen.f1) == by_loop(labels, scores, GRID)


@given(WITH_POSITIVE)
def test_every_point_of_the_curve_is_counted_as_elsewhere(scored):
    labels, scores = split(scored)
    swept = sweep(labels, scores, GRID)
    assert [point.threshold for point in swept.curve] == list(GRID)
    assert swept.chosen in swept.curve
    for point in swept.curve[::8]:
        expected = metrics_at(labels, scores, point.threshold)
        for name in ("f1", "precision", "recall", "false_positive_reduction"):
            assert getattr(point, name) == pytest.approx(expected[name], nan_ok=True)


def test_the_curve_is_scikit_learns():
    labels, scores, _ = sample()
    for point in sweep(labels, scores, GRID).curve:
        called = scores >= point.threshold
        assert point.f1 == pytest.approx(f1_score(labels, called))
        assert point.precision == pytest.approx(precision_score(labels, called))
        assert point.recall == pytest.approx(recall_score(labels, called))
        assert point.false_positive_reduction == pytest.approx(recall_score(labels, called, pos_label=0))


def test_of_0_3_and_0_7_which_differ_as_floats_the_lower_wins():
    assert 0.5 - 0.3 > 0.7 - 0.5  # the reason why distances are compared as decimals
    for distance in range(1, 21):
        low, high = round(0.5 - distance / 100, 2), round(0.5 + distance / 100, 2)
        assert sweep([1], [1.0], [high, low]).chosen.threshold == low


def test_a_grid_in_any_order_is_one_grid():
    labels, scores, _ = sample()
    assert sweep(labels, scores, GRID[::-1] + GRID) == sweep(labels, scores, GRID)


def test_nothing_to_choose_from_is_an_error():
    with pytest.raises(ValueError, match="label 1"):
        sweep([0, 0], [0.1, 0.9], GRID)
    with pytest.raises(ValueError, match="got none"):
        sweep([0, 1], [0.1, 0.9], [])


def test_each_resample_chooses_as_a_loop_over_its_drawn_records_does():
    labels, scores, files = sample(num=30, num_files=12)
    resamples = draw_resamples(files, num_resamples=40, seed=1)
    chosen = bootstrap_thresholds(labels, scores, GRID, resamples)
    curves = resampled_f1_curves(labels, scores, GRID, resamples)
    for row, counts in enumerate(resamples.counts):
        drawn = np.repeat(np.arange(len(labels)), counts[resamples.group_of])
        assert (chosen[row], curves[row].max()) == by_loop(labels[drawn], scores[drawn], GRID)


@given(WITH_POSITIVE, st.integers(0, 5))
def test_resampled_thresholds_are_of_the_grid_or_undefined_where_no_label_1_was_drawn(scored, seed):
    labels, scores = split(scored)
    resamples = draw_resamples([str(at) for at in range(len(labels))], num_resamples=15, seed=seed)
    chosen = bootstrap_thresholds(labels, scores, GRID, resamples)
    has_positive = resamples.counts @ labels[np.argsort([str(at) for at in range(len(labels))])] > 0
    assert (np.isnan(chosen) == ~has_positive).all()
    assert np.isin(chosen[has_positive], GRID).all()


def test_the_spread_holds_the_middle_of_the_resampled_thresholds():
    labels, scores, files = sample()
    resamples = draw_resamples(files, num_resamples=400, seed=2)
    spread = threshold_spread(labels, scores, GRID, resamples, 0.9)
    chosen = bootstrap_thresholds(labels, scores, GRID, resamples)
    assert spread.low <= spread.median <= spread.high
    assert {spread.low, spread.median, spread.high} <= set(GRID)
    assert ((chosen >= spread.low) & (chosen <= spread.high)).mean() >= 0.9
    assert spread.num_undefined == 0


def test_optimism_is_what_choosing_on_few_records_gains_and_fresh_records_do_not_give():
    gained, optimism = [], []
    for seed in range(30):
        labels, scores, _ = sample(num=80, seed=seed)
        fresh_labels, fresh_scores, _ = sample(num=20_000, seed=1000 + seed)
        swept = sweep(labels, scores, GRID)
        fresh = f1_score(fresh_labels, fresh_scores >= swept.chosen.threshold)
        gained.append(swept.chosen.f1 - fresh)
        resamples = draw_resamples([str(at) for at in range(80)], num_resamples=200, seed=seed)
        optimism.append(threshold_spread(labels, scores, GRID, resamples, 0.95).f1_optimism)
    assert np.mean(optimism) > 0
    assert np.mean(optimism) == pytest.approx(np.mean(gained), abs=3 * np.std(gained) / math.sqrt(30))


def test_without_any_label_1_drawn_there_is_no_spread():
    resamples = draw_resamples(["a", "b"], num_resamples=10, seed=0)
    spread = threshold_spread([0, 0], [0.2, 0.4], GRID, resamples, 0.95)
    assert math.isnan(spread.median)
    assert spread.num_undefined == 10


@given(SCORED, st.sampled_from([0.5, 0.8, 0.95, 1.0]), st.booleans())
def test_the_constrained_threshold_drops_as_many_as_any_that_keeps_the_recall(scored, min_recall, on_grid):
    labels, scores = split(scored)
    thresholds = list(GRID) if on_grid else distinct_thresholds(scores).tolist()
    found = recall_constrained(labels, scores, thresholds, min_recall)
    points = {at: metrics_at(labels, scores, at) for at in thresholds}
    allowed = [point for point in points.values() if point["recall"] >= min_recall]
    if found is None:
        assert not allowed or len(set(labels.tolist())) == 1
    else:
        most = max(point["false_positive_reduction"] for point in allowed)
        assert found.false_positive_reduction == most
        kept = [point["recall"] for point in allowed if point["false_positive_reduction"] == most]
        assert found.recall == max(kept)
        assert found.f1 == pytest.approx(points[found.threshold]["f1"])


def test_a_recall_of_19_in_20_is_a_recall_of_0_95():
    labels = np.array([1] * 20 + [0] * 10)
    scores = np.array([0.1, *[0.8] * 19, *[0.4] * 10])
    found = recall_constrained(labels, scores, GRID, 0.95)
    assert found is not None
    assert (found.recall, found.false_positive_reduction, found.threshold) == (0.95, 1.0, 0.5)


def test_folds_hold_whole_files_and_some_of_each_technology():
    files = [f"{kind}/{at // 2}" for kind, num in (("ansible", 40), ("chef", 30), ("puppet", 22)) for at in range(num)]
    kinds = [file.partition("/")[0] for file in files]
    folds = grouped_folds(files, kinds, num_folds=5, seed=1)
    assert (folds == grouped_folds(files, kinds, num_folds=5, seed=1)).all()
    assert (folds != grouped_folds(files, kinds, num_folds=5, seed=2)).any()
    assert all(len({fold for other, fold in zip(files, folds, strict=True) if other == file}) == 1 for file in files)
    for kind in set(kinds):
        sizes = np.bincount([fold for own, fold in zip(kinds, folds, strict=True) if own == kind], minlength=5)
        assert sizes.max() - sizes.min() <= 2  # a file of two


def shifted(num_per_kind, shift, seed=0):
    """Scores of two technologies whose best thresholds lie ``shift`` apart."""
    random = np.random.default_rng(seed)
    labels = (random.random(2 * num_per_kind) < 0.4).astype(int)
    kinds = ["ansible"] * num_per_kind + ["chef"] * num_per_kind
    offset = np.repeat([0.5 - shift / 2, 0.5 + shift / 2], num_per_kind)
    scores = np.clip(offset + np.where(labels, 0.06, -0.06) + 0.05 * random.standard_normal(len(labels)), 0, 1)
    return labels, scores, kinds, [f"{kind}/{at}" for at, kind in enumerate(kinds)]


def test_thresholds_per_technology_pay_where_technologies_really_differ():
    found = per_technology(*shifted(300, 0.3), GRID, seed=0)
    assert found.num_folds == 5
    assert found.f1_cross_validated > found.f1_single_threshold_cross_validated + 0.1
    assert found.thresholds["chef"] - found.thresholds["ansible"] == pytest.approx(0.3, abs=0.05)


def test_they_do_not_pay_where_there_is_nothing_to_gain_though_on_their_own_records_they_seem_to():
    cross_validated, seeming = [], []
    for seed in range(25):
        labels, scores, kinds, files = shifted(25, 0.0, seed)
        found = per_technology(labels, scores, kinds, files, GRID, seed=seed)
        cross_validated.append(found.f1_cross_validated - found.f1_single_threshold_cross_validated)
        cuts = np.array([found.thresholds[kind] for kind in kinds])
        seeming.append(f1_score(labels, scores >= cuts) - sweep(labels, scores, GRID).chosen.f1)
    assert np.mean(seeming) > 0
    assert np.mean(cross_validated) < 0


def test_cross_validation_is_a_plain_loop_over_folds():
    labels, scores, files = sample()
    kinds = ["chef" if int(file[-1]) % 2 else "ansible" for file in files]
    found = per_technology(labels, scores, kinds, files, GRID, seed=4)
    folds = grouped_folds(files, kinds, num_folds=5, seed=4)
    single, own = np.zeros(len(labels), bool), np.zeros(len(labels), bool)
    for fold in range(5):
        rest = folds != fold
        single[~rest] = scores[~rest] >= by_loop(labels[rest], scores[rest], GRID)[0]
        for kind in ("chef", "ansible"):
            there, others = (part & (np.array(kinds) == kind) for part in (~rest, rest))
            own[there] = scores[there] >= by_loop(labels[others], scores[others], GRID)[0]
    assert found.f1_single_threshold_cross_validated == pytest.approx(f1_score(labels, single))
    assert found.f1_cross_validated == pytest.approx(f1_score(labels, own))


def test_a_technology_without_label_1_takes_the_single_threshold():
    labels, scores, files = sample()
    kinds = ["puppet" if not label and at % 2 else "chef" for at, label in enumerate(labels)]
    found = per_technology(labels, scores, kinds, files, GRID, seed=0)
    assert found.thresholds["puppet"] == sweep(labels, scores, GRID).chosen.threshold
    with pytest.raises(ValueError, match="label 1"):
        per_technology(np.zeros(len(labels)), scores, kinds, files, GRID, seed=0)


def test_records_of_one_file_cannot_be_cross_validated():
    found = per_technology([0, 1], [0.2, 0.8], ["chef", "chef"], ["chef/a", "chef/a"], GRID, seed=0)
    assert found.num_folds == 0
    assert math.isnan(found.f1_cross_validated)
    assert found.thresholds == {"chef": 0.5}
