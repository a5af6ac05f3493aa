"""Order, winner and selection follow rules that were fixed before; the order of the input plays no part."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.intervals import draw_resamples
from models.evaluation.metrics import metrics_at
from models.evaluation.ranking import Cost, Entry, choose_winner, rank, select
from models.settings.rank import Keep

LABELS = np.tile([0, 0, 1, 1], 40)
GROUPS = [f"file-{row // 4}" for row in range(len(LABELS))]
RESAMPLES = draw_resamples(GROUPS, num_resamples=300, seed=1)


def entry(configuration, *, errors, seed=41, model="m", family="f", num_parameters=1000, max_records_trained=100):
    """A trial that answers right but for so many records of label 1."""
    scores = LABELS.astype(float)
    missed = np.flatnonzero(LABELS)[seed % 7 :][:errors]
    scores[missed] = 0.0
    cost = Cost(num_parameters, max_records_trained)
    return Entry(f"{configuration}_s{seed}", configuration, family, model, seed, scores, 0.5, cost)


def ranked_of(*entries):
    return rank(entries, LABELS, RESAMPLES, confidence=0.95, seed=1)


def winner_of(ranked, rule="best"):
    return choose_winner(ranked, rule)


def test_a_configurations_score_is_the_mean_f1_of_its_seeds():
    trials = [entry("a", errors=errors, seed=seed) for seed, errors in ((41, 10), (42, 20), (43, 60))]
    (found,) = ranked_of(*trials)
    expected = {t.seed: metrics_at(LABELS, t.probabilities, 0.5)["f1"] for t in trials}
    assert found.f1_by_seed == pytest.approx(expected)
    assert found.f1 == pytest.approx(np.mean(list(expected.values())))
    assert (found.median_seed, found.median.label) == (42, "a_s42")
    assert found.interval.low < found.f1 < found.interval.high


@given(st.permutations(range(6)))
def test_the_order_of_the_trials_plays_no_part(order):
    trials = [entry(name, errors=5 * at + seed % 3, seed=seed) for at, name in enumerate("abc") for seed in (41, 42)]
    expected, found = ranked_of(*trials), ranked_of(*(trials[at] for at in order))
    assert [(each.name, each.f1, each.interval, each.in_best_set) for each in found] == [
        (each.name, each.f1, each.interval, each.in_best_set) for each in expected
    ]


def test_equal_scores_are_ranked_by_parameters_then_max_records_trained_then_name():
    trials = [
        entry("d", errors=5, num_parameters=10, max_records_trained=9),
        entry("c", errors=5, num_parameters=20, max_records_trained=1),
        entry("b", errors=5, num_parameters=10, max_records_trained=9),
        entry("a", errors=5, num_parameters=10, max_records_trained=10),
    ]
    assert [each.name for each in ranked_of(*trials)] == ["b", "d", "a", "c"]


def test_the_same_scores_of_other_seeds_tie_exactly():
    first = [entry("a", errors=errors, seed=48) for errors in (3, 8, 31)]
    trials = [
        Entry(f"{name}{seed}", name, "f", "m", seed, own.probabilities, 0.5, Cost(1, 1))
        for name, order in (("z", (0, 1, 2)), ("y", (2, 1, 0)))
        for seed, own in enumerate(first[at] for at in order)
    ]
    assert [each.name for each in ranked_of(*trials)] == ["y", "z"]  # by name: the means are equal to the last bit


def test_a_clear_winner_is_the_best_whatever_is_asked_for():
    ranked = ranked_of(entry("good", errors=2, num_parameters=9999), entry("bad", errors=70))
    for rule in ("best", "cheapest", "stop"):
        winner = winner_of(ranked, rule)
        assert (winner.first.name, winner.runner_up.name) == ("good", "bad")
        assert "told apart from it" in winner.because
        assert winner.probability == 1.0


ALIKE = [
    entry("large", errors=3, num_parameters=770, model="large"),
    entry("base", errors=4, num_parameters=220, model="base"),
    entry("small", errors=5, num_parameters=220, max_records_trained=99, model="small"),
    entry("poor", errors=75, num_parameters=1, model="poor"),
]


def test_without_a_clear_winner_the_best_or_the_cheapest_of_the_set_comes_first():
    ranked = ranked_of(*ALIKE)
    assert [each.name for each in ranked if each.in_best_set] == ["large", "base", "small"]
    best, cheapest = winner_of(ranked, "best"), winner_of(ranked, "cheapest")
    assert (best.first.name, best.runner_up.name) == ("large", "base")
    assert (cheapest.first.name, cheapest.runner_up.name) == ("small", "large")  # poor is cheaper, but not in the set
    assert "3 that cannot be told apart" in best.because
    assert "cheapest of 3" in cheapest.because
    assert 0.5 < best.probability < 1.0
    assert cheapest.probability < 0.5


def test_without_a_clear_winner_stop_lets_nobody_be_first_or_go_on():
    ranked = ranked_of(*ALIKE)
    winner = winner_of(ranked, "stop")
    assert (winner.first, winner.runner_up, winner.probability) == (None, None, None)
    assert winner.because == "nobody: 3 cannot be told apart from the best"
    assert select(ranked, winner.first, Keep(num=3, by="configuration")) == []


def test_one_configuration_alone_has_no_runner_up():
    winner = winner_of(ranked_of(entry("a", errors=3)), "stop")
    assert (winner.first.name, winner.because, winner.runner_up, winner.probability) == (
        "a",
        "the only one",
        None,
        None,
    )


GRID = [
    entry(f"{family}_{size}_{rate}", errors=errors, family=family, model=f"{family}_{size}")
    for errors, (family, size, rate) in enumerate(
        [("t5", "220m", 1), ("t5", "220m", 2), ("t5", "770m", 1), ("bert", "base", 1), ("bert", "base", 2)]
    )
]


@pytest.mark.parametrize(
    ("by", "num", "expected"),
    [
        ("configuration", 2, ["t5_220m_1", "t5_220m_2"]),
        ("model", 2, ["t5_220m_1", "t5_770m_1"]),
        ("family", 2, ["t5_220m_1", "bert_base_1"]),
        ("family", 9, ["t5_220m_1", "bert_base_1"]),
    ],
)
def test_what_is_counted_decides_who_goes_on(by, num, expected):
    ranked = ranked_of(*GRID)
    assert [each.name for each in select(ranked, ranked[0], Keep(num=num, by=by))] == expected


def test_who_comes_first_goes_on_first_even_where_another_is_better():
    ranked = ranked_of(*GRID)
    kept = select(ranked, ranked[3], Keep(num=3, by="model"))
    assert [each.name for each in kept] == ["bert_base_1", "t5_220m_1", "t5_770m_1"]
