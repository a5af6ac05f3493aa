"""Nothing is claimed that was not shown."""

from __future__ import annotations

import pytest

from tasks.report_claims import caveats_of, duels_of, findings_of, split_title, verdict_of, verdicts_of


def comparison(model, against, metric, difference, *, shown):
    ends = {"low": difference - 0.05, "high": difference + 0.05}
    return {"model": model, "against": against, "metric": metric, "difference": difference, **ends, "shown": shown}


@pytest.fixture
def evaluation():
    """Two models and two baselines; ``first`` beats both baselines on AUROC and only the constant on F1."""
    comparisons = [
        comparison("first", "constant", "f1", 0.2, shown=True),
        comparison("first", "words", "f1", 0.1, shown=False),
        comparison("first", "constant", "auroc", 0.2, shown=True),
        comparison("first", "words", "auroc", 0.1, shown=True),
        comparison("first", "second", "f1", 0.1, shown=True),
        comparison("second", "constant", "f1", -0.2, shown=True),
        comparison("second", "words", "f1", -0.1, shown=False),
    ]
    models = {name: {"title": name, "is_model": True} for name in ("first", "second")}
    baselines = {name: {"title": name.title(), "is_model": False} for name in ("constant", "words")}
    measured = {
        "comparisons": comparisons,
        "systems": models | baselines,
        "thresholds_chosen_here": False,
        "records_with_group_in_train": 0,
        "num_records": 100,
        "can_show_a_difference": True,
    }
    return {
        "systems": models | baselines,
        "splits": {"test": measured},
        "test_opened": True,
        "settings": {"num_resamples": 10},
        "words": {"positive": "vulnerable", "group": "commits", "one_group": "commit"},
    }


def test_a_verdict_names_the_metrics_on_which_every_baseline_is_beaten(evaluation):
    assert verdict_of(evaluation, "test", "first") == "first is shown to be better than every baseline on AUROC."


def test_a_verdict_names_the_baselines_that_were_beaten_on_nothing(evaluation):
    verdict = verdict_of(evaluation, "test", "second")
    assert verdict == "second is not shown to be better than Constant or Words on any of F1."


def test_findings_are_told_from_the_models_own_side(evaluation):
    (f1,) = findings_of(evaluation, "test", "second")
    assert (f1.better, f1.worse, f1.undecided) == ((), ("first", "Constant"), ("Words",))
    assert str(f1) == "F1: worse than first and Constant; no difference shown to Words."


def test_a_larger_number_that_was_not_shown_is_no_finding(evaluation):
    f1, _ = findings_of(evaluation, "test", "first")
    assert f1.undecided == ("Words",)


def test_two_models_are_compared_in_one_sentence(evaluation):
    (sentence,) = duels_of(evaluation, "test")
    assert sentence == "first against second: F1 +0.100 [+0.05, +0.15]; shown to be better."


def test_what_was_shown_is_said_of_each_metric_where_it_differs(evaluation):
    evaluation["splits"]["test"]["comparisons"].append(comparison("second", "first", "mcc", 0.02, shown=False))
    (sentence,) = duels_of(evaluation, "test")
    assert sentence == (
        "first against second: F1 +0.100 [+0.05, +0.15], shown to be better; "
        "MCC \u22120.020 [\u22120.07, +0.03], no difference shown."  # told by second: turned, ends exchanged
    )


def test_a_model_alone_is_compared_with_no_other(evaluation):
    del evaluation["splits"]["test"]["systems"]["second"]
    assert duels_of(evaluation, "test") == []
    assert verdicts_of(evaluation, "test") == [verdict_of(evaluation, "test", "first")]


def test_every_weakness_of_a_split_is_said(evaluation):
    assert caveats_of(evaluation, "test") == []
    evaluation["splits"]["test"] |= {
        "thresholds_chosen_here": True,
        "records_with_group_in_train": 7,
        "can_show_a_difference": False,
    }
    chosen, leak, few = caveats_of(evaluation, "test")
    assert "optimistic" in chosen
    assert "7 of 100 records share a commit with training" in leak
    assert "raise num_resamples" in few


@pytest.mark.parametrize(
    ("split", "title"),
    [("valid", "Validation"), ("test", "Sealed test"), ("test_chef", "Sealed test: chef")],
)
def test_a_split_has_a_readable_title(split, title):
    assert split_title(split) == title


def test_validation_is_optimistic_even_where_no_threshold_was_chosen_on_it(evaluation):
    evaluation["splits"]["valid"] = evaluation["splits"].pop("test")
    (caveat,) = caveats_of(evaluation, "valid")
    assert "stopped by these records" in caveat
