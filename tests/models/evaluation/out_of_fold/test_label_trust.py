"""What cleanlab is asked equals what its documentation says it gives."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.out_of_fold.label_trust import (
    estimated_noise,
    label_trust,
    noise_if_shuffled,
    percentiles_within,
    suspected_labels,
)


@pytest.fixture
def noisy():
    """Labels of which 10 % are turned, and good probabilities of the true ones."""
    random = np.random.default_rng(4)
    truth = (random.random(2000) < 0.4).astype(np.int64)
    is_wrong = random.random(2000) < 0.1
    probabilities = 1 / (1 + np.exp(-(3.0 * (2 * truth - 1) + random.normal(0, 1.0, 2000))))
    return np.where(is_wrong, 1 - truth, truth), probabilities, is_wrong


def test_trust_is_the_mean_probability_of_the_given_label(noisy):
    """Documented: P[k]."""
    labels, one, _ = noisy
    other = one**2
    expected = [np.where(labels == 1, p, 1 - p) for p in (one, other)]
    assert label_trust(labels, [one]) == pytest.approx(expected[0])
    assert label_trust(labels, [one, other]) == pytest.approx(np.mean(expected, axis=0))


def test_a_model_that_is_given_twice_changes_no_trust(noisy):
    labels, one, _ = noisy
    assert label_trust(labels, [one, one]) == pytest.approx(label_trust(labels, [one]))


def test_the_estimate_is_the_confident_joint_counted_by_hand(noisy):
    """Northcutt, Jiang and Chuang 2021, equations 1 and 2: above the mean probability of a label, most sure wins."""
    labels, of_1, _ = noisy
    both = np.stack([1 - of_1, of_1], axis=-1)
    lines = [both[labels == label, label].mean() for label in (0, 1)]
    joint = np.zeros((2, 2))
    for label, row in zip(labels, both, strict=True):
        sure = [k for k in (0, 1) if row[k] >= lines[k] - 1e-6]
        if sure:
            joint[label, max(sure, key=lambda k: row[k])] += 1
    joint *= (np.bincount(labels) / joint.sum(axis=1))[:, None]
    found = estimated_noise(labels, of_1)
    assert found.given_0 == pytest.approx(joint[0, 1] / joint[0].sum(), abs=2e-3)  # the library rounds to whole records
    assert found.given_1 == pytest.approx(joint[1, 0] / joint[1].sum(), abs=2e-3)
    assert found.overall == pytest.approx((joint[0, 1] + joint[1, 0]) / 2000, abs=2e-3)
    assert found.overall == pytest.approx(0.1, abs=0.02)


def test_suspected_labels_are_the_least_likely_of_the_estimated_number(noisy):
    labels, of_1, is_wrong = noisy
    suspected = suspected_labels(labels, of_1)
    assert (suspected & is_wrong).sum() / suspected.sum() > 0.9
    for label in (0, 1):
        own = of_1 if label == 0 else 1 - of_1
        rows = labels == label
        assert own[rows & suspected].min() >= own[rows & ~suspected].max()


def test_nothing_is_printed_and_no_warning_is_raised(noisy, capfd, recwarn):
    labels, of_1, _ = noisy
    label_trust(labels, [of_1, of_1])
    label_trust(labels, [of_1])
    suspected_labels(labels, of_1)
    estimated_noise(labels, of_1)
    assert capfd.readouterr() == ("", "")
    assert [str(each.message) for each in recwarn] == []


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [([1, 1], [[0.5, 0.5]]), ([0, 1], []), ([0, 1], [[0.5, float("nan")]]), ([0, 1], [[0.5]]), ([0, 2], [[0.5, 0.5]])],
)
def test_what_is_no_label_or_no_probability_is_refused(labels, probabilities):
    with pytest.raises(ValueError, match=r"trust in labels|one probability"):
        label_trust(labels, probabilities)


def test_shuffled_labels_keep_each_folds_share_and_are_estimated_as_half_wrong(noisy):
    labels, probabilities, _ = noisy
    fold = np.arange(2000) % 3
    seen = []

    def score(shuffled):
        seen.append(shuffled)
        return probabilities

    found = noise_if_shuffled(labels, fold, score, seed=1)
    for number in range(3):
        assert seen[0][fold == number].sum() == labels[fold == number].sum()
    assert (seen[0] != labels).mean() > 0.3
    assert found == pytest.approx(2 * labels.mean() * (1 - labels.mean()), abs=0.05)
    assert found > 3 * estimated_noise(labels, probabilities).overall
    assert noise_if_shuffled(labels, fold, lambda _: None, seed=1) is None


def test_percentiles_are_of_the_own_fold_and_equal_values_share_one():
    fold = np.array([0, 0, 0, 0, 1, 1, 1])
    found = percentiles_within(fold, np.array([0.1, 0.3, 0.3, 0.9, 70.0, np.nan, 60.0]))
    assert found.tolist() == pytest.approx([0.125, 0.5, 0.5, 0.875, 0.75, np.nan, 0.25], nan_ok=True)
