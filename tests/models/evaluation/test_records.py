"""Predictions that do not belong to the records are refused with the line at fault."""

from __future__ import annotations

import json

import pytest

from models.errors import DataInvalid
from models.evaluation.records import read_probabilities, read_split


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


def test_records_carry_projects_and_groups(valid):
    assert set(valid.projects) == {"alpha", "beta"}
    assert len(set(valid.groups)) == 10


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
