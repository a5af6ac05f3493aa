"""Weights by hand, and what holds of any: mean 1 in each class, nothing negative, the same numbers when shuffled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.evaluation.out_of_fold.provenance import Provenance
from models.evaluation.out_of_fold.weight_distribution import describe_distribution, effective_sample_size
from models.evaluation.out_of_fold.weights_of_trust import weights_of_trust

LABELS = np.array([0, 0, 0, 1, 1])
TRUST = np.array([0.1, 0.5, np.nan, 0.9, 0.3])
SUSPECTED = np.array([True, False, False, False, True])


def weigh(treatment, labels=LABELS, trust=TRUST, suspected=SUSPECTED, min_weight=0.2, seed=0):
    return weights_of_trust(labels, trust, suspected, treatment=treatment, min_weight=min_weight, seed=seed)


def test_confidence_is_clipped_first_and_then_normalised_by_class():
    """Label 0: 0.2, 0.5 and 1 (never held out) have mean 1.7 / 3; label 1: 0.9 and 0.3 have mean 0.6."""
    assert weigh("confidence").tolist() == pytest.approx([0.6 / 1.7, 1.5 / 1.7, 3.0 / 1.7, 1.5, 0.5])


def test_pruned_labels_weigh_nothing_and_the_others_keep_the_class_as_heavy_as_it_was():
    assert weigh("prune").tolist() == pytest.approx([0.0, 1.5, 1.5, 2.0, 0.0])


def test_random_weights_are_those_of_confidence_dealt_out_by_seed():
    labels, random = np.arange(200) % 2, np.random.default_rng(2)
    trust, suspected = random.random(200), np.zeros(200, dtype=bool)
    plain = weigh("confidence", labels, trust, suspected)
    dealt = {seed: weigh("random", labels, trust, suspected, seed=seed) for seed in (0, 1)}
    for weights in dealt.values():
        assert (weights != plain).mean() > 0.9
        for label in (0, 1):
            assert sorted(weights[labels == label]) == sorted(plain[labels == label])
    assert (dealt[0] != dealt[1]).any()
    assert (weigh("random", labels, trust, suspected, seed=1) == dealt[1]).all()


@given(
    st.data(),
    st.sampled_from(["confidence", "prune", "random"]),
    st.integers(2, 60),
    st.floats(0.01, 0.99),
)
def test_the_mean_weight_of_each_class_is_1(data, treatment, size, min_weight):
    labels = np.concatenate([[0, 1], data.draw(arrays.arrays(np.int8, size, elements=st.integers(0, 1)))])
    trust = data.draw(arrays.arrays(np.float64, size + 2, elements=st.floats(0, 1) | st.just(float("nan"))))
    suspected = data.draw(arrays.arrays(np.bool_, size + 2))
    suspected[:2] = False  # confident learning leaves one of each label
    weights = weigh(treatment, labels, trust, suspected, min_weight)
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()
    for label in (0, 1):
        assert weights[labels == label].mean() == pytest.approx(1.0)
    if treatment == "confidence":  # within a class, more trust is never less weight
        for label in (0, 1):
            order = np.argsort(np.where(np.isnan(trust), 1.0, trust)[labels == label])
            assert (np.diff(weights[labels == label][order]) >= 0).all()


def test_a_class_without_any_weight_is_refused():
    with pytest.raises(ValueError, match="every weight of label 1 is 0"):
        weigh("prune", suspected=np.array([False, False, False, True, True]))


@pytest.mark.parametrize("value", [1.5, -0.1])
def test_trust_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="trust must lie in"):
        weigh("confidence", trust=np.array([value, 0.5, 0.5, 0.5, 0.5]))


def test_equal_weights_are_as_many_records_as_there_are_and_one_heavy_one_is_one():
    assert effective_sample_size(np.full(7, 3.0)) == pytest.approx(7.0)
    assert effective_sample_size(np.array([5.0, 0.0, 0.0])) == pytest.approx(1.0)
    assert effective_sample_size(np.array([1.0, 3.0])) == pytest.approx(16 / 10)
    assert effective_sample_size(np.zeros(2)) == 0.0


def test_the_distribution_counts_records_labels_and_weight_by_source_and_origin():
    provenance = Provenance(["a", "a", "b", "b", "b"], ["", "", "x", "x", "y"], [""] * 5)
    found = describe_distribution(np.array([0, 1, 0, 1, 1]), np.array([1.0, 0.0, 0.5, 1.5, 2.0]), provenance)
    assert found["all"]["weight"] == 5.0
    assert found["all"]["positive_share"] == pytest.approx(0.7)
    assert found["by_source"]["a"] == {
        "num_records": 1,
        "labels": {"0": 1, "1": 0},
        "weight": 1.0,
        "weight_by_label": {"0": 1.0, "1": 0.0},
        "positive_share": 0.0,
        "effective_sample_size": 1.0,
    }
    assert found["by_source"]["b"]["weight_by_label"] == {"0": 0.5, "1": 3.5}
    assert list(found["by_origin"]) == ["x", "y"]
    assert found["by_label"]["1"]["effective_sample_size"] == pytest.approx(3.5**2 / (1.5**2 + 2.0**2))
