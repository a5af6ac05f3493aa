"""The mine job: negatives by loops, lists to learn from and as they will be met, test left alone, bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from models.data.retrieval.candidate_lists import read_lists
from models.data.retrieval.text_pairs import read_pairs
from models.errors import DataInvalid, Interrupted
from models.evaluation.retrieval.mining import run
from models.settings.retrieval import MineSettings

FILES = ("train_pairs.jsonl", "valid_pairs.jsonl", "train_lists.jsonl", "valid_lists.jsonl", "mining.json")


@pytest.fixture
def mine(runs, run_job):
    def call(*, stop=False, **settings):
        return run_job(run, MineSettings(data=runs.data, vectors=runs.vectors, **settings), stop=stop)

    return call


def nearest_others(runs, skip, number):
    """Of each training text, by loops, the nearest originals of other matches and groups."""
    tensors = load_file(runs.vectors / "texts.safetensors")
    vectors, queries = tensors["vectors"], tensors.get("queries", tensors["vectors"])
    train = [(at, record) for at, record in enumerate(runs.records["texts"]) if record["metadata"]["split"] == "train"]
    found = {}
    for row, record in train:
        told = record["metadata"]
        others = [
            (-float(queries[row] @ vectors[at]), other["id"])
            for at, other in train
            if other["metadata"]["match"] != told["match"]
            and other["metadata"]["group"] != told["group"]
            and other["metadata"]["kind"] == "original"
        ]
        found[record["id"]] = tuple(name for _, name in sorted(others)[skip : skip + number])
    return found


@pytest.mark.parametrize(("skip", "number", "towers"), [(0, 3, "shared"), (2, 5, "shared"), (2, 5, "separate")])
def test_negatives_are_the_nearest_others_after_those_passed_over(mine, runs, skip, number, towers):
    if towers == "separate":
        runs.separate_towers()
    run_path, result = mine(skip_nearest=skip, num_negatives=number)
    assert result.files == FILES
    expected = nearest_others(runs, skip, number)
    given = read_pairs(runs.data / "train_pairs.jsonl")
    mined = read_pairs(run_path / "train_pairs.jsonl")
    assert [pair._replace(negatives=()) for pair in mined] == given
    for pair in mined:
        assert pair.negatives == expected[pair.anchor]


def test_a_group_keeps_its_texts_from_being_negatives(mine, runs):
    for record in runs.records["texts"]:
        told = record["metadata"]
        if told["match"] in ("train-task-0", "train-task-1"):
            told["group"] = "joined"
    runs.write()
    run_path, _ = mine(skip_nearest=0, num_negatives=40)
    for pair in read_pairs(run_path / "train_pairs.jsonl"):
        if pair.group == "joined":
            assert not any(name.startswith(("train-task-0/", "train-task-1/")) for name in pair.negatives)
            assert len(pair.negatives) == 40


def test_lists_to_learn_from_mix_right_and_wrong_in_the_order_of_the_encoder(mine):
    run_path, _ = mine(list_size=6, skip_nearest=1)
    lists = read_lists(run_path / "train_lists.jsonl")
    assert len(lists) == 48  # the last text of a task begins no pair
    for entry in lists:
        assert entry.is_mixed
        assert entry.query == entry.list_id not in entry.candidates
        num_others = 3 if entry.list_id[-1] != "4" else 4  # the last text of a task is a variant, and in no list
        assert (len(entry.candidates), sum(entry.relevant), entry.num_relevant) == (6, 3, num_others)
        assert [f[0] for f in entry.features] == sorted((f[0] for f in entry.features), reverse=True)
        for name, label in zip(entry.candidates, entry.relevant, strict=True):
            assert label == (name.split("/")[0] == entry.group)


def test_no_variant_is_in_a_list_to_learn_from(mine, runs):
    """How a variant looks must not tell the label: negatives are originals, and so is what is right."""
    kinds = {record["id"]: record["metadata"]["kind"] for record in runs.records["texts"]}
    run_path, _ = mine(list_size=40, num_negatives=20)
    lists = read_lists(run_path / "train_lists.jsonl")
    assert {kinds[name] for entry in lists for name in entry.candidates} == {"original"}
    assert all(sum(entry.relevant) == entry.num_relevant == 3 for entry in lists)
    assert [pair.positive for pair in read_pairs(run_path / "train_pairs.jsonl")] == [
        pair.positive for pair in read_pairs(runs.data / "train_pairs.jsonl")
    ]


@pytest.mark.parametrize("split", ["train", "valid"])
def test_the_first_stage_of_separate_towers_asks_with_the_vectors_of_queries(mine, runs, split):
    runs.separate_towers()
    tensors = load_file(runs.vectors / "texts.safetensors")
    row_of = {record["id"]: row for row, record in enumerate(runs.records["texts"])}
    run_path, _ = mine(depth=7)
    for entry in read_lists(run_path / f"{split}_lists.jsonl"):
        cosines = tensors["vectors"] @ tensors["queries"][row_of[entry.query]]
        expected = [cosines[row_of[name]] for name in entry.candidates]
        assert [feature[0] for feature in entry.features] == pytest.approx(expected, abs=1e-6)


def test_lists_of_validation_are_what_retrieval_finds_there(mine, runs, run_job):
    from models.evaluation.retrieval import job
    from models.settings.retrieval import RetrieveSettings

    mined, _ = mine(depth=7)
    settings = RetrieveSettings(data=runs.data, vectors=runs.vectors, split="valid", depth=7, num_resamples=50)
    found, _ = run_job(job.run, settings)
    one, other = (read_lists(path) for path in (mined / "valid_lists.jsonl", found / "lists.jsonl"))
    for mine_, theirs in zip(one, other, strict=True):
        assert mine_._replace(features=()) == theirs._replace(features=())
        assert np.allclose(mine_.features, theirs.features, atol=1e-6)


def test_lists_without_a_relevant_text_are_kept_for_validation(mine, runs):
    runs.near["texts"] = runs.far["texts"]
    runs.write()
    run_path, result = mine(depth=2)
    lists = read_lists(run_path / "valid_lists.jsonl")
    without = sum(not any(entry.relevant) for entry in lists)
    assert without == result.numbers["num_valid_lists_without_relevant"] > 0
    assert all(entry.num_relevant == 4 for entry in lists)


def test_so_many_lists_are_drawn_by_the_seed(mine):
    drawn = [[e.list_id for e in read_lists(mine(max_lists=5, seed=s)[0] / "train_lists.jsonl")] for s in (1, 1, 2)]
    assert len(drawn[0]) == 5
    assert drawn[0] == drawn[1] != drawn[2]


def test_test_is_left_alone_and_equal_input_gives_equal_bytes(mine, runs):
    first, _ = mine()
    for path in (runs.data / "test_texts.jsonl", runs.vectors / "test_texts.safetensors"):
        path.unlink()
    second, _ = mine()
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_pool_that_is_too_small_is_said(mine):
    run_path, result = mine(num_negatives=50)
    assert result.numbers["num_pairs_with_fewer"] == 48
    assert "the pool is too small: 48 of 48 pairs" in (run_path / "progress.jsonl").read_text()


def test_where_nothing_else_is_there_nothing_is_mined(mine):
    with pytest.raises(DataInvalid, match="no pair finds a negative"):
        mine(skip_nearest=1000)


def test_pairs_of_unknown_texts_are_refused(mine, runs):
    path = runs.data / "train_pairs.jsonl"
    row = json.loads(path.read_text().splitlines()[0]) | {"positive": "valid-task-0/0"}
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(DataInvalid, match="no text of training"):
        mine()


def test_validation_in_which_nothing_does_the_same_is_refused(mine, runs):
    for record in runs.records["texts"]:
        if record["metadata"]["split"] == "valid":
            record["metadata"]["match"] = record["id"]
    (runs.data / "texts.jsonl").write_text("".join(json.dumps(record) + "\n" for record in runs.records["texts"]))
    with pytest.raises(DataInvalid, match="no text of validation does the same"):
        mine()


def test_asked_to_stop_it_leaves_nothing(mine, tmp_path):
    with pytest.raises(Interrupted):
        mine(stop=True)
    assert not list((tmp_path / "jobs").rglob("*pairs.jsonl"))
