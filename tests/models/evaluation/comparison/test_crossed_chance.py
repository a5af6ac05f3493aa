"""A test over seeds and groups that is right whichever makes the chance, and the difference that it would see."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.evaluation.comparison.crossed_chance import SMALLEST_P, Chance, chance_of, combined_p, minimum_detectable
from models.evaluation.comparison.differences import Contender, compare_systems, pairs_to_compare
from models.evaluation.comparison.measures import SeededMeasures
from models.evaluation.comparison.systems import System
from models.evaluation.comparisons import paired_t_p
from models.evaluation.measuring import COMPARED

GROUPS = 150
PARTS = st.floats(0.01, 10.0)


def test_where_only_seeds_make_the_chance_it_is_the_t_test_over_seeds():
    first, second = np.array([0.6, 0.63, 0.58, 0.66, 0.61]), np.array([0.55, 0.6, 0.59, 0.6, 0.57])
    by_seed = first - second
    chance = chance_of(by_seed, np.tile(by_seed, (100, 1)), GROUPS)
    assert chance.degrees == pytest.approx(4)
    assert combined_p(float(by_seed.mean()), chance) == pytest.approx(paired_t_p(first, second), rel=1e-6)


def test_where_only_groups_make_the_chance_it_is_a_test_over_groups():
    moved = 0.02 * np.random.default_rng(0).standard_normal((2000, 1))
    for num_seeds in (1, 5):
        chance = chance_of(np.full(num_seeds, 0.04), 0.04 + moved + np.zeros(num_seeds), GROUPS)
        assert chance.degrees == pytest.approx(GROUPS - 1)
        expected = 2 * stats.t.sf(0.04 / moved.std(ddof=1), GROUPS - 1)
        assert combined_p(0.04, chance) == pytest.approx(expected, rel=1e-6)


def test_the_parts_are_told_apart_and_what_seeds_disagree_on_counts_once():
    random = np.random.default_rng(1)
    found = []
    for _ in range(200):
        by_seed = 0.03 * random.standard_normal(5) + 0.02 * random.standard_normal(5)
        shared, own = random.standard_normal((400, 1)), random.standard_normal((400, 5))
        found.append(chance_of(by_seed, by_seed + 0.01 * shared + 0.02 * own, GROUPS))
    assert np.mean([chance.of_seeds for chance in found]) == pytest.approx((0.03**2 + 0.02**2) / 5, rel=0.1)
    assert np.mean([chance.of_groups for chance in found]) == pytest.approx(0.01**2, rel=0.1)


@given(PARTS, PARTS, st.integers(2, 10), st.floats(1e-6, 0.5))
def test_the_p_value_is_the_level_whose_bound_the_difference_lies_on(of_seeds, of_groups, num_seeds, level):
    chance = Chance(of_seeds, of_groups, num_seeds, GROUPS)
    assert combined_p(chance.bound(level), chance) == pytest.approx(level, rel=1e-5)
    assert num_seeds - 1 - 1e-9 <= chance.degrees <= GROUPS + num_seeds


def test_what_cannot_be_tested_is_not():
    nothing, unknown = Chance(0.0, 0.0, 3, GROUPS), Chance(0.1, math.nan, 3, GROUPS)
    assert combined_p(0.0, nothing) == 1.0
    assert math.isnan(nothing.degrees)
    for difference, chance in ((0.1, nothing), (0.1, unknown), (math.nan, Chance(0.1, 0.1, 3, GROUPS))):
        assert math.isnan(combined_p(difference, chance))
    assert minimum_detectable(nothing, num_tests=3, confidence=0.95, power=0.8) == 0.0
    assert math.isnan(minimum_detectable(unknown, num_tests=3, confidence=0.95, power=0.8))
    assert combined_p(1.0, Chance(0.0, 1e-9, 1, 10**6)) == SMALLEST_P


def parts(random, num, *, num_seeds, seed_sd, group_se=1.0, shift=0.0):
    """Differences of many studies with the chance that each estimates."""
    of_seed = seed_sd * random.standard_normal((num, num_seeds))
    differences = shift + group_se * random.standard_normal(num) + of_seed.mean(axis=1)
    of_seeds = of_seed.var(axis=1, ddof=1) / num_seeds if num_seeds > 1 else np.zeros(num)
    of_groups = group_se**2 * random.chisquare(GROUPS - 1, num) / (GROUPS - 1)
    return [(d, Chance(s, g, num_seeds, GROUPS)) for d, s, g in zip(differences, of_seeds, of_groups, strict=True)]


@pytest.mark.parametrize(("num_seeds", "seed_sd"), [(2, 10.0), (3, 5.0), (5, 5.0), (10, 5.0)])
def test_among_24_nothings_one_is_shown_no_more_often_than_stated(num_seeds, seed_sd):
    found = parts(np.random.default_rng(2), 200 * 24, num_seeds=num_seeds, seed_sd=seed_sd)
    shown = np.array([abs(difference) > chance.bound(0.05 / 24) for difference, chance in found])
    assert shown.reshape(200, 24).any(axis=1).mean() <= 0.07
    # One t with the degrees of freedom of the whole: what makes this test able to fail.
    error = np.array([chance.standard_error for _, chance in found])
    one_t = 2 * stats.t.sf(np.abs([d for d, _ in found]) / error, [chance.degrees for _, chance in found])
    if num_seeds <= 5:
        assert (one_t < 0.05 / 24).reshape(200, 24).any(axis=1).mean() > 0.1


@pytest.mark.parametrize(("num_seeds", "seed_sd"), [(1, 0.0), (3, 0.5), (5, 0.2), (5, 2.0), (5, 10.0), (10, 3.0)])
@pytest.mark.parametrize("num_tests", [1, 9])
def test_the_minimum_detectable_difference_is_shown_as_often_as_stated(num_seeds, seed_sd, num_tests):
    truth = Chance(seed_sd**2 / num_seeds, 1.0, num_seeds, GROUPS)
    shift = minimum_detectable(truth, num_tests=num_tests, confidence=0.95, power=0.8)
    found = parts(np.random.default_rng(3), 1000, num_seeds=num_seeds, seed_sd=seed_sd, shift=shift)
    shown = [abs(difference) > chance.bound(0.05 / num_tests) for difference, chance in found]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.035)


def test_with_many_degrees_the_minimum_detectable_difference_follows_normal_theory():
    chance = Chance(0.0, 1.0, 1, 10**7)
    one = minimum_detectable(chance, num_tests=1, confidence=0.95, power=0.8)
    assert one == pytest.approx(1.959964 + 0.841621, abs=1e-4)
    nine = minimum_detectable(chance, num_tests=9, confidence=0.95, power=0.8)
    assert nine == pytest.approx(stats.norm.ppf(1 - 0.025 / 9) + stats.norm.ppf(0.8), abs=1e-4)


def study(random, *, num_pairings, num_seeds, seed_sd, group_se, shift=0.0, num_resamples=2000):
    """Every row of one comparison of systems of which two and two differ by ``shift``, the three metrics alike."""
    contenders, systems, chosen = {}, [], []
    for pairing in range(num_pairings):
        for side, own_shift in (("a", shift), ("b", 0.0)):
            name = f"{side}{pairing}"
            contenders[name] = contender(random, num_seeds, seed_sd, group_se, own_shift, num_resamples)
            systems.append(System(name, name, "phase", "gnn", "", tuple(str(seed) for seed in range(num_seeds))))
        chosen.append((f"a{pairing}", f"b{pairing}"))
    return compare_systems(
        pairs_to_compare(systems, chosen), contenders, num_groups=GROUPS, confidence=0.95, power=0.8, seed=1
    )


def contender(random, num_seeds, seed_sd, group_se, shift, num_resamples):
    """A system whose difference to another has ``seed_sd`` and ``group_se``: its own are smaller by root 2."""
    by_seed, resampled = {}, {}
    for metric in COMPARED:
        of_groups, drawn = random.standard_normal(), random.standard_normal((num_resamples, 1))
        of_seeds = seed_sd * random.standard_normal(num_seeds)
        by_seed[metric] = shift + (group_se * of_groups + of_seeds) / math.sqrt(2)
        resampled[metric] = by_seed[metric] + group_se * drawn / math.sqrt(2)
    return Contender(SeededMeasures(by_seed, resampled), np.array([True]))


def shares(num, random, **how):
    """How often anything is shown: by all, and by the bootstrap alone."""
    studies = [study(random, **how) for _ in range(num)]
    shown = np.mean([any(row.shown for row in rows) for rows in studies])
    return shown, np.mean([any(row.p_bootstrap < 0.05 for row in rows) for rows in studies])


def test_the_bootstrap_alone_shows_nothing_where_few_seeds_differ_as_a_whole():
    studies = [
        study(np.random.default_rng(start), num_pairings=2, num_seeds=2, seed_sd=0.03, group_se=0.003)
        for start in range(10)
    ]
    rows = [row for each in studies for row in each]
    bold = [row for row in rows if row.p_bootstrap < 0.05]
    assert len(bold) > 5
    for row in rows:
        assert row.shown == (row.p_bootstrap < 0.05 and row.p_combined < 0.05)
        assert row.of.is_too_bold == (row.p_bootstrap < 0.05 and not row.p_combined < 0.05)
    assert sum(any(row.shown for row in each) for each in studies) <= 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("num_seeds", "num_pairings", "seed_sd", "group_se"),
    [
        (5, 8, 0.03, 0.003),
        (5, 1, 0.03, 0.003),
        (10, 8, 0.03, 0.003),
        (2, 8, 0.03, 0.003),
        (3, 8, 0.03, 0.01),
        (5, 8, 0.03, 0.01),
        (5, 8, 0.003, 0.03),
        (1, 8, 0.0, 0.03),
    ],
)
def test_among_true_nothings_any_is_shown_in_at_most_seven_of_a_hundred_studies(
    num_seeds, num_pairings, seed_sd, group_se
):
    how = {"num_seeds": num_seeds, "num_pairings": num_pairings, "seed_sd": seed_sd, "group_se": group_se}
    shown, by_bootstrap = shares(250, np.random.default_rng(7), **how)
    print(f"{how}: shown {shown:.3f}, bootstrap alone {by_bootstrap:.3f}")
    assert shown <= 0.07


@pytest.mark.long
@pytest.mark.parametrize(("num_seeds", "seed_sd", "group_se"), [(5, 0.003, 0.01), (5, 0.01, 0.01), (10, 0.03, 0.003)])
def test_a_true_difference_of_the_minimum_detectable_size_is_shown_as_often_as_stated(num_seeds, seed_sd, group_se):
    """All rows are true, so that Holm's later steps show some more."""
    truth = Chance(seed_sd**2 / num_seeds, group_se**2, num_seeds, GROUPS)
    shift = minimum_detectable(truth, num_tests=3, confidence=0.95, power=0.8)
    how = {"num_seeds": num_seeds, "num_pairings": 1, "seed_sd": seed_sd, "group_se": group_se, "shift": shift}
    random = np.random.default_rng(8)
    shown = np.mean([row.shown for _ in range(200) for row in study(random, **how)])
    print(f"{num_seeds} seeds, {seed_sd}/{group_se}: shift {shift:.4f} shown {shown:.3f}")
    assert 0.74 <= shown <= 0.93
