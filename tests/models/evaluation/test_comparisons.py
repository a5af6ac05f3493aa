"""Differences are paired, their p-values follow the definition, and Holm's correction its textbook form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.evaluation.comparisons import (
    detectable_by_t_test,
    holm,
    mcnemar_p,
    paired_difference,
    paired_t_p,
    two_sided_p,
)


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


def test_the_t_test_over_seeds_is_the_textbook_one():
    first, second = np.array([0.62, 0.58, 0.61, 0.66, 0.60]), np.array([0.60, 0.57, 0.62, 0.61, 0.57])
    gained = first - second
    t = gained.mean() / (gained.std(ddof=1) / math.sqrt(5))
    assert paired_t_p(first, second) == pytest.approx(2 * stats.t.sf(abs(t), df=4))
    assert paired_t_p(second, first) == pytest.approx(paired_t_p(first, second))


@pytest.mark.parametrize(
    ("first", "second"), [([0.6], [0.5]), ([0.6, 0.7], [0.6, 0.7]), ([0.6, 0.7, 0.8], [0.5, 0.6, 0.7])]
)
def test_without_spread_over_seeds_there_is_no_t_test(first, second):
    assert math.isnan(paired_t_p(first, second))


def right(only_first, only_second, both=30):
    """Who is right on which record."""
    first = np.repeat([True, False, True], [only_first, only_second, both])
    return first, np.repeat([False, True, True], [only_first, only_second, both])


def test_mcnemar_with_few_discordant_records_is_the_binomial_test():
    assert mcnemar_p(*right(9, 2)) == pytest.approx(2 * sum(math.comb(11, k) for k in range(3)) / 2**11)
    assert mcnemar_p(*right(1, 23)) == pytest.approx(stats.binomtest(1, 24).pvalue)
    assert mcnemar_p(*right(5, 5)) == 1.0
    assert mcnemar_p(*right(0, 0)) == 1.0


def test_mcnemar_with_many_is_chi_squared_with_continuity_correction():
    assert mcnemar_p(*right(20, 5)) == pytest.approx(stats.chi2.sf((15 - 1) ** 2 / 25, df=1))
    assert mcnemar_p(*right(40, 21)) == pytest.approx(stats.chi2.sf((19 - 1) ** 2 / 61, df=1))
    assert mcnemar_p(*right(40, 21)) == pytest.approx(stats.binomtest(21, 61).pvalue, rel=0.1)


def test_five_seeds_see_what_the_noncentral_t_says():
    effect = detectable_by_t_test(5, confidence=0.95, power=0.8)
    assert effect == pytest.approx(1.682, abs=0.001)
    random = np.random.default_rng(0)
    draws = random.normal(effect, 1.0, (20_000, 5))
    seen = stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05
    assert seen.mean() == pytest.approx(0.8, abs=0.015)
