"""Rankings for people: every configuration and baseline is shown, and nothing is claimed that was not shown."""

from __future__ import annotations

import pytest

from tasks.leaderboard import (
    curve_drawing,
    curve_markdown,
    leaderboard_markdown,
    leaderboard_text,
    plan_text,
    sentences,
    trials_markdown,
)

METRICS = {"precision": 0.5, "recall": 0.75, "false_positive_reduction": 0.625}


def entry(name: str, rank: int, f1: float, *, in_set: bool, seeds: tuple[int, ...] = (42,)) -> dict:
    return {
        "configuration": name,
        "rank": rank,
        "seeds": list(seeds),
        "median_seed": seeds[0],
        "thresholds": {str(seed): 0.37 for seed in seeds},
        "f1_by_seed": {str(seed): f1 for seed in seeds},
        "num_positive_answers": {str(seed): 9 for seed in seeds},
        "f1": {"value": f1, "low": f1 - 0.1, "high": f1 + 0.1},
        "metrics": METRICS,
        "cost": {"num_parameters": 123_456, "max_records_trained": 10},
        "in_best_set": in_set,
        "kept": rank == 1,
    }


def ranking(*entries: dict, clear: bool, failed: dict[str, str] | None = None) -> dict:
    best = [e["configuration"] for e in entries if e["in_best_set"]]
    several = len(entries) > 1
    return {
        "stage": "stage3",
        "decision": {"kind": "sweep"},
        "confidence": 0.95,
        "failed": failed or {},
        "num_planned": 7,
        "val": {"num_records": 155, "num_files": 153, "num_positive": 48},
        "configurations": list(entries),
        "best_set": {"configurations": best, "clear_winner": clear},
        "first": entries[0]["configuration"],
        "first_because": "best F1",
        "runner_up": entries[1]["configuration"] if several else None,
        "probability_beats_runner_up": 0.62 if several else None,
        "selected": [entries[0]["configuration"]],
        "baselines": {
            "keep_all": {
                "title": "GLITCH alone | keep all",
                "threshold": 0.5,
                "f1": {"value": 0.473, "low": 0.4, "high": 0.5},
                "metrics": {"precision": 0.31, "recall": 1.0, "false_positive_reduction": 0.0},
            }
        },
    }


TWO = ranking(entry("a_lr1", 1, 0.7, in_set=True, seeds=(41, 42)), entry("b_lr1", 2, 0.6, in_set=True), clear=False)


def test_the_table_holds_every_configuration_and_baseline_and_fits():
    text = leaderboard_text({**TWO, "failed": {"c_lr1": "JobRefused: NumericsError: loss is nan"}})
    assert max(map(len, text.splitlines())) <= 100
    rows = {line.split()[1]: line for line in text.splitlines() if line[:2].strip().isdigit()}
    assert "0.700 [0.60, 0.80]" in rows["a_lr1"]
    assert "×2" in rows["a_lr1"]
    assert "0.625" in rows["b_lr1"]
    assert "GLITCH alone" in text
    assert "1 of 7 planned trials failed and are not ranked." in text
    assert "Failed: c_lr1: JobRefused: NumericsError: loss is nan" in text


def test_thresholds_of_several_seeds_are_one_or_a_span():
    one, two = (entry(name, 1, 0.7, in_set=True, seeds=(41, 42)) for name in "ab")
    two["thresholds"]["41"] = 0.62
    lines = leaderboard_text(ranking(one, two, clear=False)).splitlines()
    rows = {line.split()[1]: line for line in lines if line[:2].strip().isdigit()}
    assert "0.37 " in rows["a"]
    assert "0.37–0.62" in rows["b"]


def test_a_seed_that_collapsed_is_named():
    made = entry("a", 1, 0.4, in_set=True, seeds=(41, 42, 43, 44))
    made["f1_by_seed"] |= {"43": 0.0, "44": 0.0}
    made["num_positive_answers"]["44"] = 0
    said = sentences(ranking(made, clear=True))
    assert [sentence for sentence in said if sentence.startswith("Collapsed")] == [
        "Collapsed: seed 43 of a has F1 0: no answer 1 was right.",
        "Collapsed: seed 44 of a never answered 1.",
    ]


def test_where_nobody_is_first_nothing_goes_on():
    nobody = {"first": None, "first_because": "nobody: 2 cannot be told apart from the best", "runner_up": None}
    made = {**TWO, **nobody, "probability_beats_runner_up": None, "selected": []}
    said = sentences(made)
    assert "First: nobody: 2 cannot be told apart from the best." in said
    assert "Goes on: nothing." in said
    assert "Goes on: nothing." in leaderboard_markdown(made)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (TWO, "No clear winner: 2 of 2 trained models cannot be told apart from the best (95%, bootstrap over files"),
        (TWO, "max-T; of some one seed only, so a configuration is not judged)"),
        (
            ranking(
                entry("a", 1, 0.7, in_set=True, seeds=(1, 2)),
                entry("b", 2, 0.6, in_set=True, seeds=(1, 2)),
                clear=False,
            ),
            "No clear winner: 2 of 2 configurations cannot be told apart from the best",
        ),
        (
            ranking(entry("a", 1, 0.7, in_set=True), entry("b", 2, 0.1, in_set=False), clear=True),
            "a is better than every other trained model here (files resampled; one seed each, so a configuration is",
        ),
        (
            ranking(
                entry("a", 1, 0.7, in_set=True, seeds=(1, 2)),
                entry("b", 2, 0.1, in_set=False, seeds=(1, 2)),
                clear=True,
            ),
            "a is shown to be better than every other configuration here (files and seeds resampled).",
        ),
        (ranking(entry("a", 1, 0.7, in_set=True), clear=True), "One configuration: nothing was chosen."),
    ],
)
def test_a_winner_is_claimed_only_where_one_was_shown(made, said):
    found = " ".join(sentences(made))
    assert said in found
    several = all(len(entry["seeds"]) > 1 for entry in made["configurations"])
    shown = made["best_set"]["clear_winner"] and len(made["configurations"]) > 1 and several
    assert ("every other configuration" in found) == shown


def test_markdown_rows_have_as_many_cells_as_their_head():
    rows = [line for line in leaderboard_markdown(TWO).splitlines() if line.startswith("|")]
    assert len({row.replace("\\|", "").count("|") for row in rows}) == 1


def test_trials_so_far_show_what_is_done_failed_and_waiting():
    numbers = {"best": {"val_f1_vulnerable": 0.5}, "num_epochs": 3}
    table = trials_markdown(["a", "b", "c"], {"a": numbers}, {"b": "boom | bang\ntrace"})
    assert table.splitlines()[0] == "1 of 3 trials finished, 1 failed."
    assert "| a | done | 0.500 | 3 |" in table
    assert "| b | failed: boom \\| bang |  |  |" in table
    assert "| c | not finished |  |  |" in table


def test_a_dry_run_names_each_trial_and_what_is_missing():
    text = plan_text([("a_lr1", "a"), ("b_lr1", "b")], {"b": "org/b"}, ["c is listed and not tried"])
    assert text.splitlines() == [
        "2 trials",
        "  a_lr1",
        "  b_lr1  (no weights at hand)",
        "announced: c is listed and not tried",
        "no weights at hand: org/b",
    ]


def test_the_curve_is_drawn_point_by_point():
    points = [(0.3, 0.1), (0.4, 0.5), (0.5, 0.3)]
    rows = curve_drawing(points, 0.4)
    drawn = {(column, row) for row, line in enumerate(rows[:-2]) for column, mark in enumerate(line[7:]) if mark == "*"}
    assert {column for column, _ in drawn} == {0, 1, 2}
    heights = {column: -row for column, row in drawn}
    assert all(line.isascii() for line in rows)
    assert heights[0] < heights[2] < heights[1]
    assert rows[-2].endswith("-^-")


def test_a_flat_curve_can_be_drawn():
    assert sum(row.count("*") for row in curve_drawing([(0.3, 0.5), (0.4, 0.5)], 0.4)) == 2


def test_the_curve_says_threshold_spread_and_what_recall_costs():
    sweep = {
        "threshold": 0.4,
        "at_grid_end": True,
        "range": {"low": 0.3, "high": 0.4, "step": 0.1},
        "f1": 0.5,
        "bootstrap": {"low": 0.31, "high": 0.66, "confidence": 0.95},
        "curve": [{"threshold": 0.3, "f1": 0.1}, {"threshold": 0.4, "f1": 0.5}],
        "alternatives": {
            "recall_constrained": {"min_recall": 0.95, "threshold": 0.3, "false_positive_reduction": 0.2},
            "per_technology": {
                "thresholds": {"ansible": 0.3, "chef": 0.41},
                "f1_cross_validated": 0.48,
                "f1_single_threshold_cross_validated": None,
            },
        },
    }
    text = curve_markdown("a_lr1", sweep)
    assert "threshold 0.40, F1 0.500" in text
    assert "0.31 to 0.66" in text
    assert "The threshold is an end of the grid (0.3 to 0.4)" in text
    assert "an end of the grid" not in curve_markdown("a_lr1", {**sweep, "at_grid_end": False})
    assert "cuts 20.0% of the false positives" in text
    assert "ansible 0.30, chef 0.41; F1 0.480 cross-validated, – with one for all." in text
