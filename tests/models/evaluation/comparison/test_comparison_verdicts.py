"""What is said of comparisons: who is better on what, what could not be seen, and where tests do not agree."""

from __future__ import annotations

import math

import pytest

from models.evaluation.comparison.differences import Compared, Corrected
from models.evaluation.comparison.verdicts import times_missed, verdicts_of
from models.evaluation.comparisons import Difference
from models.evaluation.intervals import Interval


def row(metric, value, *, shown, first="new", second="old", p_t=0.01, detectable=0.061, num_seeds=5, bold=False):
    difference = Difference(value, Interval(value - 0.017, value + 0.017, 0), 0.001)
    of = Compared(first, second, metric, num_seeds, difference, p_t, math.nan, 0.9, detectable, bold)
    return Corrected(of, 0.009, p_t, math.nan, shown)


def told(*rows, test_opened=True):
    return verdicts_of(rows, num_records=264, confidence=0.95, power=0.8, test_opened=test_opened)


def test_what_is_shown_comes_before_what_is_not():
    assert told(row("f1", 0.01, shown=False), row("auroc", 0.021, shown=True)) == [
        "new is shown to be better than old on AUROC (+0.021 [0.004, 0.038]); on F1 no difference is shown: with 5 "
        "seeds and 264 records a difference under 0.061 would be missed more often than one time in five."
    ]


def test_a_loss_is_told_as_the_others_gain():
    assert told(row("f1", -0.03, shown=True), row("mcc", -0.04, shown=True)) == [
        "old is shown to be better than new on F1 (+0.030 [0.013, 0.047]) and MCC (+0.040 [0.023, 0.057])."
    ]
    assert told(row("f1", -0.03, shown=True), row("auroc", 0.04, shown=True)) == [
        "new is shown to be better than old on AUROC (+0.040 [0.023, 0.057]); "
        "old is shown to be better than new on F1 (+0.030 [0.013, 0.047])."
    ]


def test_where_the_t_test_does_not_follow_it_is_said():
    rows = row("f1", 0.03, shown=True), row("auroc", 0.04, shown=True, p_t=0.2)
    assert told(*rows) == [
        "new is shown to be better than old on F1 (+0.030 [0.013, 0.047]) and AUROC (+0.040 [0.023, 0.057]), which the "
        "t-test over 5 seeds alone does not show on AUROC."
    ]
    one = told(row("f1", 0.03, shown=True, p_t=math.nan, num_seeds=1))
    assert one == ["new is shown to be better than old on F1 (+0.030 [0.013, 0.047])."]


def test_each_two_systems_have_a_sentence_and_validation_is_named_in_all():
    rows = [
        row("f1", 0.01, shown=False),
        row("f1", 0.02, shown=False, second="older", detectable=math.nan, num_seeds=1),
    ]
    assert told(*rows) == [
        "No difference is shown between new and old on F1: with 5 seeds and 264 records a difference under 0.061 would "
        "be missed more often than one time in five.",
        "No difference is shown between new and older on F1.",
    ]
    prefix = "On validation, where thresholds were chosen too (the test split stays sealed): no difference is shown"
    assert all(sentence.startswith(prefix) for sentence in told(*rows, test_opened=False))


def test_what_the_bootstrap_alone_shows_is_not_settled():
    rows = row("f1", -0.03, shown=False, bold=True), row("mcc", 0.01, shown=False, detectable=math.nan)
    assert told(*rows) == [
        "Whether old is better than new on F1 (+0.030 [0.013, 0.047]) is not settled: the bootstrap shows it, the "
        "t-test over 5 seeds and groups does not; on MCC no difference is shown."
    ]


def test_where_a_metric_has_no_room_for_the_detectable_difference_any_is_missed():
    beyond = row("auroc", 0.01, shown=False, detectable=26.8)
    (alone,) = told(beyond)
    assert "264 records any difference would be missed" in alone
    (both,) = told(row("f1", 0.01, shown=False), beyond)
    assert "differences under 0.061 (F1) and any on AUROC would be missed" in both


@pytest.mark.parametrize(
    ("power", "said"), [(0.8, "one time in five"), (0.9, "one time in ten"), (0.85, "15.0% of the time")]
)
def test_how_often_a_difference_is_missed_follows_from_the_power(power, said):
    assert times_missed(power) == said
