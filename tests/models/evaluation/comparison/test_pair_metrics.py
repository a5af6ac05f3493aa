"""Outcomes of pairs counted by hand, and pairs that are none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.errors import DataInvalid
from models.evaluation.comparison.pair_metrics import OUTCOMES, measure_pairs, outcomes_of, read_pairs
from models.evaluation.intervals import draw_resamples
from models.evaluation.records import read_split


def record(pair, side, group):
    metadata = {"pair": pair, "side": side, "group": group, "project": ""}
    label = int(side == "vulnerable")
    known = {"id": f"P-{pair}-{side}", "code": "x", "language": "c", "tokens": [1], "token_offsets": [[0, 1]]}
    return {**known, "ast_nodes": [1], "edge_index": [], "edge_type": [], "label": label, "metadata": metadata}


def written(tmp_path, records):
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in records))
    return read_split(path)


@pytest.fixture
def four(tmp_path):
    """Four pairs in three groups, not in order."""
    sides = [(pair, side) for pair in "abcd" for side in ("vulnerable", "fixed")]
    order = [sides[at] for at in (3, 0, 7, 2, 5, 1, 6, 4)]
    groups = {"a": "g1", "b": "g1", "c": "g2", "d": "g3"}
    return written(tmp_path, [record(pair, side, groups[pair]) for pair, side in order])


def scores_of(records, by_name):
    return np.array([by_name[record_id] for record_id in records.ids])


def test_each_pair_has_the_outcome_that_its_two_answers_make(four):
    answers = {"a": (1, 0), "b": (1, 1), "c": (0, 0), "d": (0, 1)}
    scores = scores_of(
        four,
        {f"P-{pair}-{side}": answers[pair][at] for pair in answers for at, side in enumerate(("vulnerable", "fixed"))},
    )
    pairs = read_pairs(four)
    found = outcomes_of(pairs, scores >= 0.5)
    group_of = dict(zip("bdca", ("g1", "g3", "g2", "g1"), strict=True))
    assert {name: int(ends.sum()) for name, ends in found.items()} == {"P-C": 1, "P-V": 1, "P-B": 1, "P-R": 1}
    assert sorted(pairs.groups) == sorted(group_of.values())
    ends = np.stack(list(found.values()))
    assert (ends.sum(axis=0) == 1).all()
    vulnerable_ids = [four.ids[row] for row in pairs.vulnerable]
    assert vulnerable_ids[int(np.flatnonzero(found["P-C"])[0])] == "P-a-vulnerable"
    assert vulnerable_ids[int(np.flatnonzero(found["P-R"])[0])] == "P-d-vulnerable"


def test_shares_are_means_over_seeds_and_chance_is_that_of_as_many_calls(four):
    pairs = read_pairs(four)
    perfect, all_called = four.labels.astype(float), np.ones(8)
    resamples = draw_resamples(pairs.groups, num_resamples=200, seed=0)
    found = measure_pairs(
        resamples, pairs, np.stack([perfect, all_called]), np.array([0.5, 0.5]), confidence=0.95, seed=0
    )
    assert (found["num_pairs"], found["num_groups"]) == (4, 3)
    assert [found[name]["value"] for name in OUTCOMES] == [0.5, 0.5, 0.0, 0.0]
    assert found["P-C"]["by_chance"] == pytest.approx((0.5 * 0.5 + 0.0) / 2)  # half called, then all
    assert found["P-V"]["by_chance"] == pytest.approx((0.25 + 1.0) / 2)
    assert (found["P-C"]["low"], found["P-C"]["high"]) == (0.0, 1.0)  # of two seeds one is drawn


def test_a_coin_reaches_a_quarter_of_each(tmp_path):
    records = written(
        tmp_path, [record(str(pair), side, f"g{pair}") for pair in range(800) for side in ("vulnerable", "fixed")]
    )
    pairs = read_pairs(records)
    scores = np.random.default_rng(0).random((5, len(records)))
    resamples = draw_resamples(pairs.groups, num_resamples=200, seed=0)
    found = measure_pairs(resamples, pairs, scores, np.full(5, 0.5), confidence=0.95, seed=0)
    for name in OUTCOMES:
        assert found[name]["low"] < 0.25 < found[name]["high"]
        assert found[name]["by_chance"] == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([record("a", "vulnerable", "g"), record("a", "before", "g")], "expected pair and side"),
        ([record(None, "vulnerable", "g")], "expected pair and side"),
        (
            [record("a", "vulnerable", "g"), {**record("a", "vulnerable", "g"), "id": "other"}],
            "two vulnerable functions",
        ),
        ([{**record("a", "vulnerable", "g"), "label": 0}], "a vulnerable function has label 0"),
        (
            [record("a", "vulnerable", "g"), record("a", "fixed", "g"), record("b", "fixed", "g")],
            "only a fixed function",
        ),
        ([record("a", "vulnerable", "g"), record("a", "fixed", "g")], "all pairs are of one group"),
    ],
)
def test_what_is_no_pair_is_refused(tmp_path, records, message):
    with pytest.raises(DataInvalid, match=message):
        read_pairs(written(tmp_path, records))
