"""Differences are paired, their p-values follow the definition, and Holm's correction its textbook form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.comparisons import holm, paired_difference, two_sided_p


def test_a_constant_gain_is_seen_however_much_the_values_swing():
    second = np.random.default_rng(0).random(200)
    difference = paired_difference(0.51, 0.5, (second + 0.01, second), 0.95)
    assert difference.interval.low == pytest.approx(0.01)
    assert difference.p_value == pytest.approx(2 / 201)


def test_equal_systems_show_nothing():
    assert two_sided_p(np.zeros(100)) == 1.0


def test_p_counts_the_rarer_side_twice_and_is_never_0():
    assert two_sided_p(np.array([-1.0] * 3 + [1.0] * 96)) == pytest.approx(2 * 4 / 100)
    assert two_sided_p(np.ones(99)) == pytest.approx(2 / 100)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_an_undefined_comparison_still_counts():
    corrected = holm([0.01, math.nan])
    assert corrected[0] == pytest.approx(0.02)
    assert math.isnan(corrected[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_never_lowers_a_p_value(p_values):
    corrected = holm(p_values)
    assert all(0 <= raw <= fixed <= 1 for raw, fixed in zip(p_values, corrected, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()
