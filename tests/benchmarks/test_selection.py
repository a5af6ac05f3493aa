"""That simulated sweeps have the truth they claim, and that both ways of selecting are judged by it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.selection import (
    NO_WINNER,
    UNJUDGED,
    judge,
    judge_many,
    pairwise_set,
    what_is_not_seen,
    what_one_seed_claims,
)
from benchmarks.simulated_sweeps import FILE_SIZES, SHARE_POSITIVE, Case, simulate
from models.evaluation.seed_resamples import mean_f1

MANY = 60_000


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_candidates_have_their_true_f1_and_agree_on_most_records(num_seeds: int) -> None:
    true_f1 = (0.60, 0.70, 0.70, 0.78)
    sweep = simulate(Case(true_f1, MANY, num_seeds), seed=1)
    assert sweep.labels.mean() == pytest.approx(SHARE_POSITIVE, abs=0.01)
    if num_seeds == 1:  # a seed has a skill of its own
        assert mean_f1(sweep.labels, list(sweep.answers)) == pytest.approx(true_f1, abs=0.015)
    assert (sweep.answers[1, 0] == sweep.answers[2, 0]).mean() == pytest.approx(0.86, abs=0.02)


def test_findings_lie_in_files_of_a_few() -> None:
    sweep = simulate(Case((0.7,), MANY), seed=1)
    assert set(np.unique(np.bincount(sweep.files)).tolist()) == set(FILE_SIZES)
    assert np.bincount(sweep.files).mean() == pytest.approx(1.27, abs=0.02)


def test_a_large_gain_on_many_findings_is_found_by_both_ways() -> None:
    found = judge(Case((0.90, 0.60, 0.60), 2_000), 0, 100)
    assert found.right_winner == found.pairwise_right == found.highest_is_best == found.size == 1.0


def test_a_winner_among_equals_is_never_the_right_one() -> None:
    found = judge_many(Case((0.7, 0.7), 40), 20, 60)
    assert found.right_winner == found.pairwise_right == 0.0
    assert found.highest_is_best == 1.0
    assert all(case.is_best.sum() > 1 for _, case in NO_WINNER)


def test_the_pairwise_set_holds_whom_the_interval_reaches() -> None:
    draws = np.array([0.8, 0.79, 0.3]) + 0.05 * np.random.default_rng(0).normal(size=(200, 3))
    assert pairwise_set(np.array([0.8, 0.79, 0.3]), draws).tolist() == [True, True, False]


def test_the_sentence_tells_what_the_largest_test_set_shows() -> None:
    shares = {(rivals, 189, gain): 0.1 * rivals / 19 for rivals in (19, 1) for gain in (0.03, 0.06, 0.08)}
    assert "n = 189" in what_is_not_seen(shares, shares)
    assert "+8 points in 10% of sweeps" in what_is_not_seen(shares, shares)


def test_one_noisy_seed_of_each_announces_more_false_winners_than_all_its_seeds() -> None:
    _, case, num_seen = UNJUDGED
    assert (case.is_best.all(), num_seen, case.num_seeds > 1) == (True, 1, True)
    one, every = (judge_many(case._replace(num_records=2_000), 40, 100, seen) for seen in (num_seen, None))
    assert one.winner > 0.2 > every.winner
    assert "in 15% of sweeps" in what_one_seed_claims(0.15)
