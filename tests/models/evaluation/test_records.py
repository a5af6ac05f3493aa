"""Predictions that do not belong to the records are refused with the line at fault."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.errors import DataInvalid
from models.evaluation.records import data_digest, read_probabilities, read_split


@pytest.fixture
def valid(records_path):
    return read_split(records_path / "valid.jsonl")


def rewrite(path, change):
    """Apply ``change`` to the list of entries of a prediction file."""
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    changed = change(entries)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in changed))
    return path


def test_probabilities_follow_the_records_whatever_order_they_were_written_in(valid, write_predictions):
    path = write_predictions() / "predictions_valid.jsonl"
    expected = read_probabilities(path, valid)
    rewrite(path, lambda entries: entries[::-1])
    assert read_probabilities(path, valid).tolist() == expected.tolist()


def test_functions_carry_projects_and_groups(valid):
    assert {name: set(values) for name, values in valid.categories.items()} == {"project": {"alpha", "beta"}}
    assert not valid.are_findings
    assert len(set(valid.groups)) == 10


def test_collected_functions_carry_their_source_and_origin(records_path):
    path = records_path / "train.jsonl"
    origins = ["crawler", "", "crawler"]

    def collected(entries):
        return [
            {**entry, "metadata": {**entry["metadata"], "source": "noisy", "origin": origin}}
            for entry, origin in zip(entries[:3], origins, strict=True)
        ]

    found = read_split(rewrite(path, collected)).categories
    assert found["source"] == ["noisy"] * 3
    assert found["origin"] == origins


def test_findings_carry_smell_and_technology_too(findings_path):
    test = read_split(findings_path / "test.jsonl")
    assert test.are_findings
    assert set(test.categories["technology"]) == {"ansible", "chef", "puppet"}
    assert set(test.categories["in_combined"]) == {"true", "false"}


def test_some_of_the_records_keep_all_that_is_known_of_each(findings_path):
    test = read_split(findings_path / "test.jsonl")
    rows = np.array([5, 2])
    picked = test.only(rows)
    assert picked.ids == [test.ids[5], test.ids[2]]
    assert picked.labels.tolist() == test.labels[rows].tolist()
    assert picked.categories["smell"] == [test.categories["smell"][5], test.categories["smell"][2]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda e: e[:-2], "2 of 40 records .* are missing", id="missing"),
        pytest.param(lambda e: [*e, {**e[0], "id": "OTHER-1"}], "41: record 'OTHER-1' is not in", id="foreign"),
        pytest.param(lambda e: [*e, e[0]], "predicted twice", id="twice"),
        pytest.param(lambda e: [{**e[0], "label": 1 - e[0]["label"]}, *e[1:]], "has label 1 here and 0", id="label"),
        pytest.param(lambda e: [{**e[0], "probability": 1.5}, *e[1:]], r":1: .*in \[0, 1\], found 1.5", id="range"),
        pytest.param(lambda e: [{**e[0], "probability": float("nan")}, *e[1:]], "found nan", id="nan"),
        pytest.param(lambda e: [{**e[0], "probability": None}, *e[1:]], "found None", id="null"),
    ],
)
def test_predictions_of_other_records_are_refused(valid, write_predictions, change, message):
    path = rewrite(write_predictions() / "predictions_valid.jsonl", change)
    with pytest.raises(DataInvalid, match=message):
        read_probabilities(path, valid)


def test_a_broken_line_and_a_missing_file_are_named(valid, write_predictions):
    path = write_predictions() / "predictions_valid.jsonl"
    path.write_text("{")
    with pytest.raises(DataInvalid, match=r"predictions_valid\.jsonl:1: no JSON"):
        read_probabilities(path, valid)
    path.unlink()
    with pytest.raises(DataInvalid, match="predict this split"):
        read_probabilities(path, valid)


@pytest.mark.parametrize(
    ("key", "value", "same"),
    [("tokens", [9], True), ("ast_nodes", [9], True), ("label", 0, False), ("code", "x", False), ("id", "x", False)],
)
def test_the_identity_of_data_does_not_depend_on_the_tokenizer(findings_path, key, value, same):
    files = [findings_path / "train.jsonl", findings_path / "valid.jsonl"]
    before = data_digest(*files)

    def change(entries):
        at = next(at for at, entry in enumerate(entries) if entry[key] != value)
        entries[at][key] = value
        return entries

    for path in files:
        whole = path.read_text()
        rewrite(path, change)
        assert (data_digest(*files) == before) == same
        path.write_text(whole)
    assert data_digest(*files) == before


def test_the_identity_of_data_knows_order_group_and_split(findings_path):
    train, valid = findings_path / "train.jsonl", findings_path / "valid.jsonl"
    found = {data_digest(train, valid), data_digest(valid, train)}
    rewrite(train, lambda entries: entries[::-1])
    found.add(data_digest(train, valid))
    rewrite(valid, lambda entries: [{**entry, "metadata": {"group": "one"}} for entry in entries])
    found.add(data_digest(train, valid))
    assert len(found) == 4


def test_a_line_that_is_no_record_has_no_identity(findings_path):
    train, valid = findings_path / "train.jsonl", findings_path / "valid.jsonl"
    train.write_text('{"id": "a"}\n')
    with pytest.raises(DataInvalid, match=r"train\.jsonl:1.*not a record"):
        data_digest(train, valid)
    train.unlink()
    with pytest.raises(DataInvalid, match="no such file"):
        data_digest(train, valid)
