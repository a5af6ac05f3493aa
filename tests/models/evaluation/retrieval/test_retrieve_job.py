"""The retrieve job: by loops over the whole pool, by language, sealed texts logged before they are read, bad input."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.data.retrieval.candidate_lists import read_lists
from models.errors import DataInvalid, Interrupted, SettingsInvalid
from models.evaluation.retrieval.job import run
from models.settings.retrieval import RetrieveSettings
from models.store.openings import read_openings

FILES = ("retrieval.json", "ranks.jsonl", "lists.jsonl")


@pytest.fixture
def retrieve(runs, run_job):
    def call(*, stop=False, **settings):
        told = {"data": runs.data, "vectors": runs.vectors, "split": "test", "num_resamples": 300, "depth": 8}
        return run_job(run, RetrieveSettings(**{**told, **settings}), stop=stop)

    return call


def document_of(run_path):
    return json.loads((run_path / "retrieval.json").read_text())


def by_loops(runs, name, is_in_pool):
    """MRR, recall@5 and success@1 of test texts by one matrix product and loops."""
    records = runs.records["test_texts"]
    tensors = load_file(runs.vectors / f"{name}.safetensors")
    vectors, queries = tensors["vectors"], tensors.get("queries", tensors["vectors"])
    reciprocal, recall, first = [], [], []
    for row, record in enumerate(records):
        others = [at for at in range(len(records)) if at != row and is_in_pool(record, records[at])]
        others.sort(key=lambda at: -float(queries[row] @ vectors[at]))
        found = [records[at]["metadata"]["match"] == record["metadata"]["match"] for at in others]
        if any(found):
            reciprocal.append(1 / (1 + found.index(True)))
            recall.append(sum(found[:5]) / sum(found))
            first.append(found[0])
    return np.mean(reciprocal), np.mean(recall), np.mean(first), len(first)


POOLS = {
    "all": lambda one, other: True,
    "same_language": lambda one, other: one["language"] == other["language"],
    "across_languages": lambda one, other: one["language"] != other["language"],
}


@pytest.mark.parametrize("search", POOLS)
@pytest.mark.parametrize("towers", ["shared", "separate"])
def test_each_search_is_what_loops_find(retrieve, runs, search, towers):
    if towers == "separate":
        runs.separate_towers()
    run_path, result = retrieve()
    assert result.files == FILES
    told = document_of(run_path)["searches"][search]
    for system, name in (("encoder", "test_texts"), ("untrained", "untrained_test_texts")):
        metrics = told["systems"][system]
        mrr, recall, first, num_queries = by_loops(runs, name, POOLS[search])
        assert told["num_queries"] == num_queries
        assert metrics["mrr"]["value"] == pytest.approx(mrr, abs=1e-6)
        assert metrics["recall@5"]["value"] == pytest.approx(recall, abs=1e-6)
        assert metrics["success@1"]["value"] == metrics["top1"]["value"] == pytest.approx(first, abs=1e-6)


def test_lists_are_the_order_of_the_encoder_and_ranks_say_the_same(retrieve):
    run_path, _ = retrieve()
    lists = {entry.list_id: entry for entry in read_lists(run_path / "lists.jsonl")}
    ranks = [json.loads(line) for line in (run_path / "ranks.jsonl").read_text().splitlines()]
    assert [row["id"] for row in ranks] == list(lists)
    for row in ranks:
        entry = lists[row["id"]]
        assert len(entry.candidates) == 8
        assert row["id"] not in entry.candidates
        cosine = [feature[0] for feature in entry.features]
        assert cosine == sorted(cosine, reverse=True)
        assert entry.num_relevant == row["num_relevant"] == 4
        first = entry.relevant.index(1) + 1 if any(entry.relevant) else math.inf
        assert row["first_rank"]["encoder"] == first or (first == math.inf and row["first_rank"]["encoder"] > 8)


def test_a_trained_encoder_is_shown_to_be_better_than_an_untrained_one_and_chance_is_where_that_lies(retrieve):
    document = document_of(retrieve(num_resamples=2000)[0])
    found = {(row["first"], row["second"], row["metric"]): row for row in document["comparisons"]}
    assert len(found) == 9
    assert found["encoder", "untrained", "mrr"]["shown"]
    assert found["encoder", "untrained", "mrr"]["low"] > 0
    assert all(row["p_bootstrap_corrected"] >= row["p_bootstrap"] for row in found.values())
    told = document["searches"]["all"]
    assert told["chance"]["mrr"] == pytest.approx(told["systems"]["untrained"]["mrr"]["value"], abs=0.1)
    assert told["pool_size"] == {"min": 34, "mean": 34.0, "max": 34}
    assert any("7 groups are few" in warning for warning in document["warnings"])


def test_lists_of_separate_towers_ask_with_the_vectors_of_queries(retrieve, runs):
    runs.separate_towers()
    tensors = load_file(runs.vectors / "test_texts.safetensors")
    row_of = {record["id"]: row for row, record in enumerate(runs.records["test_texts"])}
    run_path, _ = retrieve()
    for entry in read_lists(run_path / "lists.jsonl"):
        cosines = tensors["vectors"] @ tensors["queries"][row_of[entry.query]]
        found = [cosines[row_of[name]] for name in entry.candidates]
        assert [feature[0] for feature in entry.features] == pytest.approx(found, abs=1e-6)
        others = [row for name, row in row_of.items() if name != entry.query]
        assert found == pytest.approx(np.sort(cosines[others])[::-1][:8].tolist(), abs=1e-6)


@pytest.mark.parametrize(
    ("queries", "said"),
    [
        (np.ones((35, 16), np.float32), "row 0 of queries has length 4"),
        (np.eye(35, 16, dtype=np.float32)[:9], "holds 9 queries for 35 texts"),
        (np.repeat(np.eye(1, 3, dtype=np.float32), 35, axis=0), "queries are 3 wide, vectors 16"),
    ],
)
def test_queries_that_are_none_are_refused(retrieve, runs, queries, said):
    path = runs.vectors / "test_texts.safetensors"
    save_file({**load_file(path), "queries": queries}, path)
    with pytest.raises(DataInvalid, match=said):
        retrieve()


def test_one_trained_encoder_is_said_to_be_one(retrieve):
    run_path, _ = retrieve()
    told = "1 seed of the encoder: the spread between trainings is not measured"
    assert told in document_of(run_path)["warnings"]
    assert told in (run_path / "progress.jsonl").read_text()


def test_the_opening_of_test_is_logged_with_the_vectors_and_validation_opens_nothing(retrieve, runs, tmp_path):
    from models.store.manifest import digest_file

    (runs.data / "test_texts.jsonl").rename(tmp_path / "kept")
    retrieve(split="valid")
    assert not read_openings(tmp_path / "root")
    (tmp_path / "kept").rename(runs.data / "test_texts.jsonl")
    retrieve()
    (opening,) = read_openings(tmp_path / "root")
    assert opening.model_sha256 == digest_file(runs.vectors / "test_texts.safetensors").sha256
    assert opening.data_sha256 == digest_file(runs.data / "test_texts.jsonl").sha256
    assert opening.split == "test"


def test_the_opening_is_logged_before_anything_is_read(retrieve, runs, tmp_path):
    (runs.data / "test_texts.jsonl").write_text("damaged\n")
    with pytest.raises(DataInvalid, match="no text of a pairs"):
        retrieve()
    assert len(read_openings(tmp_path / "root")) == 1


def test_validation_searches_the_texts_of_validation_only(retrieve, runs):
    run_path, _ = retrieve(split="valid")
    document = document_of(run_path)
    assert document["num_texts"] == 30
    named = {text for entry in read_lists(run_path / "lists.jsonl") for text in (entry.query, *entry.candidates)}
    assert all(text.startswith("valid-") for text in named)


def test_equal_input_gives_equal_bytes(retrieve):
    first, second = retrieve()[0], retrieve()[0]
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_an_encoder_that_gives_one_vector_for_all_is_measured_at_its_worst(retrieve, runs):
    runs.write_vectors("test_texts", np.ones((35, 16)))
    told = document_of(retrieve()[0])["searches"]["all"]["systems"]["encoder"]
    # Four relevant texts behind thirty others.
    assert told["mrr"]["value"] == pytest.approx(1 / 31, abs=1e-6)
    assert told["recall@10"]["value"] == 0.0


def test_texts_that_nothing_matches_are_searched_and_not_asked_with(retrieve, runs):
    runs.records["test_texts"][0]["metadata"]["match"] = "alone"
    runs.records["test_texts"][1]["code"] = runs.records["test_texts"][9]["code"]
    runs.write()
    document = document_of(retrieve()[0])
    assert (document["num_texts"], document["num_queries"], document["num_without_relevant"]) == (35, 34, 1)
    assert document["copies"] == {"equal_match": 0, "other_match": 2}
    assert document["searches"]["all"]["pool_size"]["max"] == 34


def test_fewer_queries_are_drawn_by_the_seed_and_the_pool_stays_whole(retrieve):
    drawn = []
    for seed in (1, 1, 2):
        run_path, _ = retrieve(max_queries=9, seed=seed)
        rows = [json.loads(line) for line in (run_path / "ranks.jsonl").read_text().splitlines()]
        assert {row["pool_size"] for row in rows} == {34}
        drawn.append([row["id"] for row in rows])
    assert len(drawn[0]) == 9
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_was_not_embedded_is_not_measured_and_said(retrieve, runs):
    (runs.vectors / "untrained_test_texts.safetensors").unlink()
    run_path, result = retrieve()
    document = document_of(run_path)
    assert set(document["systems"]) == set(result.numbers["systems"]) == {"bm25", "encoder"}
    assert "untrained" in document["not_measured"]
    assert "untrained was not measured" in (run_path / "progress.jsonl").read_text()


def test_one_group_has_neither_interval_nor_comparison(retrieve, runs):
    for record in runs.records["test_texts"]:
        record["metadata"]["group"] = "one"
    runs.write()
    document = document_of(retrieve()[0])
    assert document["comparisons"] == document["verdicts"] == []
    assert document["searches"]["all"]["systems"]["encoder"]["mrr"]["low"] is None
    assert any("1 group: no interval" in warning for warning in document["warnings"])


def test_a_split_that_was_not_opened_is_refused_and_nothing_is_logged(retrieve, runs, tmp_path):
    (runs.vectors / "test_texts.safetensors").unlink()
    with pytest.raises(SettingsInvalid, match="open_test"):
        retrieve()
    assert not read_openings(tmp_path / "root")


def test_texts_that_all_do_something_of_their_own_are_refused(retrieve, runs):
    for record in runs.records["test_texts"]:
        record["metadata"]["match"] = record["id"]
    runs.write()
    with pytest.raises(DataInvalid, match="does the same as another"):
        retrieve()


def replace_vectors(runs, change):
    path = runs.vectors / "test_texts.safetensors"
    tensors = load_file(path)
    save_file(change(tensors["vectors"].copy()), path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda vectors: {"vectors": vectors[1:].copy()}, "34 vectors for 35 texts"),
        (lambda vectors: {"vectors": 2 * vectors}, "has length 2"),
        (lambda vectors: {"vectors": np.where(vectors > 0.3, np.float32(np.nan), vectors)}, "has length nan"),
        (lambda vectors: {"others": vectors}, "expected a tensor 'vectors'"),
    ],
)
def test_vectors_that_are_not_of_these_texts_are_refused(retrieve, runs, change, said):
    replace_vectors(runs, change)
    with pytest.raises(DataInvalid, match=said):
        retrieve()


def test_a_file_that_is_no_safetensors_is_refused(retrieve, runs):
    (runs.vectors / "test_texts.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(DataInvalid, match="no safetensors file"):
        retrieve()


def test_vectors_of_another_pairs_run_are_refused(retrieve, runs):
    (runs.vectors / "question.json").write_text(json.dumps({"run_key": "k", "deciding": {"data": "0" * 64}}))
    with pytest.raises(DataInvalid, match="embedded other texts"):
        retrieve()


@pytest.mark.parametrize(
    ("line", "said"),
    [("[]", "no text .* .TypeError"), ('{"id": "a"}', "no text .* .KeyError"), (None, "is there twice")],
)
def test_a_line_that_is_no_text_is_refused_by_its_number(retrieve, runs, line, said):
    path = runs.data / "test_texts.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], line or lines[0], *lines[4:]]) + "\n")
    with pytest.raises(DataInvalid, match=said) as refused:
        retrieve()
    assert refused.value.line == 4


def test_asked_to_stop_it_leaves_nothing(retrieve, tmp_path):
    with pytest.raises(Interrupted):
        retrieve(stop=True)
    assert not list((tmp_path / "jobs").rglob("*.json"))
