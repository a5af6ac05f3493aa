"""Systems that are equal are never told apart, planted differences are found, and the stated power is real."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from models.errors import SettingsInvalid
from models.evaluation.comparison.crossed_chance import Chance, minimum_detectable
from models.evaluation.comparison.differences import Contender, compare_systems, pairs_to_compare
from models.evaluation.comparison.measures import describe, measure, standard_error
from models.evaluation.comparison.systems import System
from models.evaluation.comparisons import holm
from models.evaluation.intervals import draw_resamples
from models.evaluation.measuring import COMPARED

NUM = 400
THRESHOLD = 0.5


def system(name, seeds="12345"):
    return System(name, name, "phase", "gnn", "", tuple(seeds), tuple(Path(seed) for seed in seeds))


class Study:
    """Records, and systems that score them with a skill of their own."""

    def __init__(self, *, num=NUM, num_resamples=400, seed=0):
        self.random = np.random.default_rng(seed)
        self.labels = (self.random.random(num) < 0.45).astype(np.int8)
        self.shared = self.random.standard_normal(num)
        groups = [str(row // 2) for row in range(num)]
        self.resamples = draw_resamples(groups, num_resamples=num_resamples, seed=seed)

    def scores(self, skill, *, num_seeds=5, seed_sd=0.1, noise=0.3, of_system=0.4):
        """``(S, N)``; what makes a record hard is shared by systems, by seeds of one system, and by nobody."""
        skills = skill + seed_sd * self.random.standard_normal((num_seeds, 1))
        own = noise * self.random.standard_normal((num_seeds, len(self.labels)))
        own = own + of_system * self.random.standard_normal(len(self.labels))
        signal = skills * (2.0 * self.labels - 1.0) + self.shared + own
        return 1.0 / (1.0 + np.exp(-signal))

    def contender(self, scores):
        thresholds = np.full(len(scores), THRESHOLD)
        is_right = (scores[0] >= THRESHOLD) == (self.labels == 1)
        return Contender(measure(self.resamples, self.labels, scores, thresholds), is_right)

    def compare(self, contenders, seeds=None, **levels):
        systems = [system(name, (seeds or {}).get(name, "12345")) for name in contenders]
        levels = {"num_groups": self.resamples.num_groups, "confidence": 0.95, "power": 0.8, "seed": 1} | levels
        return compare_systems(pairs_to_compare(systems, ()), contenders, **levels)


def test_a_system_against_itself_differs_by_nothing_and_is_never_shown():
    study = Study()
    one = study.contender(study.scores(0.5))
    for row in study.compare({"a": one, "b": one}):
        assert (row.of.difference.value, row.of.difference.interval.low, row.of.difference.interval.high) == (0, 0, 0)
        assert (row.p_bootstrap, row.of.share_first_better, row.of.minimum_detectable) == (1.0, 0.5, 0.0)
        assert math.isnan(row.p_t)
        assert not row.shown
        assert row.p_mcnemar == 1.0 if row.of.metric == "f1" else math.isnan(row.p_mcnemar)


def test_a_planted_difference_is_found_and_its_sign_is_that_of_the_first():
    study = Study()
    weak, strong = study.contender(study.scores(0.3)), study.contender(study.scores(1.2))
    rows = study.compare({"weak": weak, "strong": strong})
    assert [row.of.metric for row in rows] == list(COMPARED)
    for row in rows:
        assert row.shown
        assert row.of.difference.interval.high < 0
        assert row.of.share_first_better < 0.01
        assert row.p_t < 0.05
        assert abs(row.of.difference.value) > row.of.minimum_detectable
    turned = study.compare({"strong": strong, "weak": weak})
    for row, other in zip(rows, turned, strict=True):
        assert row.of.difference.value == -other.of.difference.value
        assert row.of.difference.p_value == other.of.difference.p_value
        assert row.of.p_t == pytest.approx(other.of.p_t)


def test_the_order_of_records_changes_nothing_but_the_draw():
    study = Study()
    first, second = study.scores(0.5), study.scores(0.7)
    order = np.random.default_rng(1).permutation(NUM)
    rows = study.compare({"a": study.contender(first), "b": study.contender(second)})
    study.resamples = type(study.resamples)(study.resamples.counts, study.resamples.group_of[order])
    study.labels = study.labels[order]
    moved = study.compare({"a": study.contender(first[:, order]), "b": study.contender(second[:, order])})
    for row, other in zip(rows, moved, strict=True):
        assert row.of.difference.value == pytest.approx(other.of.difference.value, abs=1e-12)
        assert row.of.difference.interval.low == pytest.approx(other.of.difference.interval.low, abs=1e-9)
        assert row.of.minimum_detectable == pytest.approx(other.of.minimum_detectable, abs=1e-9)


def test_each_family_of_tests_is_corrected_on_its_own():
    study = Study(num_resamples=200)
    contenders = {name: study.contender(study.scores(skill)) for name, skill in (("a", 0.3), ("b", 0.5), ("c", 0.6))}
    rows = study.compare(contenders)
    assert len(rows) == 9
    assert [row.p_bootstrap for row in rows] == holm([row.of.difference.p_value for row in rows])
    assert [row.p_t for row in rows] == holm([row.of.p_t for row in rows])
    of_answers = [row for row in rows if row.of.metric == "f1"]
    assert [row.p_mcnemar for row in of_answers] == holm([row.of.p_mcnemar for row in of_answers])
    assert [row.p_combined for row in rows] == holm([row.of.p_combined for row in rows])
    for row in rows:
        assert row.shown == (row.p_bootstrap < 0.05 and row.p_combined < 0.05)


def test_systems_with_other_numbers_of_seeds_are_paired_over_those_that_both_have():
    study = Study(num_resamples=200)
    five, three = study.scores(0.4), study.scores(0.8, num_seeds=3)
    rows = study.compare(
        {"five": study.contender(five), "three": study.contender(three)}, {"five": "12345", "three": "249"}
    )
    both = study.compare(
        {"five": study.contender(five[[1, 3]]), "three": study.contender(three[:2])}, {"five": "24", "three": "24"}
    )
    for row, other in zip(rows, both, strict=True):
        assert row.of.num_seeds == 2
        assert row.of.difference == other.of.difference
        assert row.of.p_t == other.of.p_t


def test_systems_without_a_seed_in_common_are_refused():
    with pytest.raises(SettingsInvalid, match="a and b share no seed"):
        pairs_to_compare([system("a", "12"), system("b", "34")], ())


def test_chosen_pairs_are_compared_in_their_order():
    systems = [system(name) for name in "abc"]
    pairings = pairs_to_compare(systems, (("c", "a"),))
    assert [(pairing.first, pairing.second) for pairing in pairings] == [("c", "a")]
    assert [(p.first, p.second) for p in pairs_to_compare(systems, ())] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_the_two_parts_of_uncertainty_are_what_they_say():
    study = Study()
    scores = study.scores(0.6, seed_sd=0.3)
    measured = measure(study.resamples, study.labels, scores, np.full(5, THRESHOLD))
    told = describe(measured, tuple("12345"), confidence=0.95, seed=0)["auroc"]
    values = list(told["by_seed"].values())
    assert told["value"] == pytest.approx(np.mean(values))
    assert told["seed_sd"] == pytest.approx(np.std(values, ddof=1))
    assert told["sampling_se"] == pytest.approx(np.std(measured.resampled["auroc"].mean(axis=1), ddof=1))
    # Together they make the interval about as wide as it is.
    total = math.hypot(told["sampling_se"], told["seed_sd"] / math.sqrt(5))
    assert told["high"] - told["low"] == pytest.approx(2 * 1.96 * total, rel=0.25)
    assert math.isnan(describe(measured.only([0]), ("1",), confidence=0.95, seed=0)["f1"]["seed_sd"])


GROUPS = {"seed_sd": 0.02, "noise": 0.1, "of_system": 0.5}
SEEDS = {"seed_sd": 0.3, "noise": 0.1, "of_system": 0.1}
DISAGREEMENT = {"seed_sd": 0.02, "noise": 0.5, "of_system": 0.0}
ONE_TEST, THREE_TESTS = (
    minimum_detectable(Chance(0.0, 1.0, 1, 150), num_tests=num, confidence=0.95, power=0.8) for num in (1, 3)
)


def differences(scatter, *, gain=0.0, start=0, num=200):
    """Of AUROC of two systems in many studies, with what was said of each."""
    found = []
    for seed in range(start, start + num):
        study = Study(num=300, num_resamples=399, seed=seed)
        contenders = {
            name: study.contender(study.scores(0.5 + more, **scatter)) for name, more in (("a", gain), ("b", 0))
        }
        found.append(next(row for row in study.compare(contenders) if row.of.metric == "auroc"))
    return found


def share_shown(rows):
    """Of differences that one test alone, uncorrected, would show."""
    return np.mean([row.of.difference.p_value < 0.05 for row in rows])


@pytest.mark.long
def test_a_difference_of_the_minimum_detectable_size_is_shown_about_as_often_as_stated():
    """Where groups make most of the chance; one test, so that the correction is exact."""
    nothing = differences(GROUPS)
    assert share_shown(nothing) < 0.08
    errors = np.array([row.of.minimum_detectable for row in nothing]) / THREE_TESTS
    assert errors.mean() == pytest.approx(np.std([row.of.difference.value for row in nothing], ddof=1), rel=0.2)
    gain = next(more for more in np.arange(0.0, 0.5, 0.005) if shift(0.5 + more) >= ONE_TEST * errors.mean())
    assert 0.7 < share_shown(differences(GROUPS, gain=gain, start=1000)) < 0.92
    # The t-test over seeds takes these very records for all there are.
    assert np.mean([row.of.p_t < 0.05 for row in nothing]) > 0.2


@pytest.mark.long
def test_where_the_bootstrap_is_too_bold_it_alone_shows_nothing():
    careful = differences(DISAGREEMENT)
    assert share_shown(careful) < 0.03
    bold = differences(SEEDS)
    assert 0.05 < share_shown(bold) < 0.2
    assert sum(row.of.is_too_bold for row in bold) > 3
    assert np.mean([row.shown for row in bold]) < 0.03
    assert np.mean([row.of.p_combined < 0.05 for row in bold]) < 0.08
    assert not any(row.of.is_too_bold for row in careful)
    assert np.mean([row.of.p_t < 0.05 for row in bold]) < 0.08


def shift(skill):
    """The true gain in AUROC over a skill of 0.5 in ``GROUPS``: scores are normal, ``2 * skill`` apart."""
    normal = math.sqrt(1.0 + GROUPS["noise"] ** 2 + GROUPS["of_system"] ** 2) * math.sqrt(2.0)
    return 0.5 * (math.erf(2 * skill / normal / math.sqrt(2)) - math.erf(2 * 0.5 / normal / math.sqrt(2)))


def test_a_standard_error_leaves_undefined_resamples_out():
    assert standard_error(np.array([1.0, math.nan, 3.0])) == pytest.approx(math.sqrt(2.0))
    assert math.isnan(standard_error(np.array([1.0, math.nan])))
