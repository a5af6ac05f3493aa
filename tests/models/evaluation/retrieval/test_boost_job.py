"""The boost job: trees learn what a feature tells, score what they never saw, refuse what they did."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.errors import DataInvalid, Interrupted
from models.evaluation.retrieval.boosting import run
from models.settings.retrieval import BoostSettings
from models.store.manifest import digest_file
from models.store.openings import read_openings


@pytest.fixture
def boost(run_job, write_lists, patch_lists):
    lists = {"train": patch_lists("A", 40), "valid": patch_lists("B", 12), "held_out": patch_lists("C", 15)}

    def call(*, stop=False, changed=None, **settings):
        paths = {f"{name}_lists": write_lists(own, f"{name}.jsonl") for name, own in (lists | (changed or {})).items()}
        return run_job(run, BoostSettings(**paths, num_trees=40, **settings), stop=stop)

    call.lists = lists
    return call


def scores_of(run_path):
    return [json.loads(line) for line in (run_path / "scores.jsonl").read_text().splitlines()]


def test_every_held_out_list_is_scored_in_its_order_and_the_right_ones_higher(boost):
    run_path, result = boost()
    rows, lists = scores_of(run_path), boost.lists["held_out"]
    assert [row["id"] for row in rows] == [entry.list_id for entry in lists]
    assert [tuple(row["candidates"]) for row in rows] == [entry.candidates for entry in lists]
    right = [s for row in rows for s, label in zip(row["scores"], row["relevant"], strict=True) if label]
    wrong = [s for row in rows for s, label in zip(row["scores"], row["relevant"], strict=True) if not label]
    assert np.mean(right) > np.mean(wrong)
    assert result.numbers["num_lists"] == 15
    assert result.numbers["num_mixed_lists"] < 15
    assert 0.5 < result.numbers["valid_mrr"] <= 1.0


def test_the_trees_that_were_left_give_the_scores_again(boost):
    import lightgbm

    run_path, _ = boost()
    trees = lightgbm.Booster(model_file=str(run_path / "trees.txt"))
    for row, entry in zip(scores_of(run_path), boost.lists["held_out"], strict=True):
        assert trees.predict(np.array(entry.features)).tolist() == row["scores"]


def test_equal_input_gives_equal_bytes(boost):
    first, second = boost()[0], boost()[0]
    for name in ("scores.jsonl", "trees.txt"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_opening_of_what_is_held_out_is_logged(boost, tmp_path):
    boost()
    (opening,) = read_openings(tmp_path / "root")
    assert opening.data_sha256 == digest_file(tmp_path / "held_out.jsonl").sha256
    assert opening.split == "held_out"


@pytest.mark.parametrize(
    ("shared", "with_", "said"),
    [("held_out", "train", "to learn from"), ("held_out", "valid", "to stop by"), ("valid", "train", "to learn from")],
)
def test_a_group_that_was_learnt_from_is_refused(boost, shared, with_, said):
    own = boost.lists[shared]
    own = [own[0]._replace(group=boost.lists[with_][3].group), *own[1:]]
    with pytest.raises(DataInvalid, match=f"1 groups are also among the lists {said}"):
        boost(changed={shared: own})


@pytest.mark.parametrize("name", ["train", "valid"])
def test_lists_that_all_have_one_label_are_refused(boost, name):
    own = [entry._replace(relevant=(1,) * 6, num_relevant=6) for entry in boost.lists[name]]
    with pytest.raises(DataInvalid, match="no list has both"):
        boost(changed={name: own})


def test_other_features_are_refused(boost):
    own = [entry._replace(features=tuple((*row, 0.0) for row in entry.features)) for entry in boost.lists["held_out"]]
    with pytest.raises(DataInvalid, match="3 features a candidate, 2 in the lists"):
        boost(changed={"held_out": own})


def test_asked_to_stop_it_leaves_nothing(boost, tmp_path):
    with pytest.raises(Interrupted):
        boost(stop=True)
    assert not list((tmp_path / "jobs").rglob("scores.jsonl"))
