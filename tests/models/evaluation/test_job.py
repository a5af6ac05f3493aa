"""The evaluate job end to end on a small hand-made run."""

from __future__ import annotations

import json

import pytest

from models.errors import DataInvalid, Interrupted, SettingsInvalid
from models.evaluation.job import EVALUATION_FILE, run
from models.evaluation.metrics import metrics_at
from models.evaluation.records import read_probabilities, read_split
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.evaluate import EvaluateSettings
from models.store.manifest import write_manifest
from models.store.openings import read_openings


@pytest.fixture
def evaluate(tmp_path, records_path):
    """Runs the job; gives the parsed evaluation and the result."""

    def call(predictions, *, attempt=1, stop=False, **settings):
        run_path = tmp_path / f"evaluate-{attempt}"
        run_path.mkdir(exist_ok=True)
        events = EventStream(run_path / "progress.jsonl", echo=None)
        context = JobContext(run_path, tmp_path / "runs", events, stop_requested=lambda: stop, attempt=attempt)
        settings = {"num_resamples": 200} | settings
        result = run(EvaluateSettings(data=records_path, predictions=predictions, **settings), context)
        return json.loads((run_path / EVALUATION_FILE).read_text()), result

    return call


def notices(tmp_path):
    lines = (tmp_path / "evaluate-1" / "progress.jsonl").read_text().splitlines()
    return [event["message"] for event in map(json.loads, lines) if event["event"] == "notice"]


def test_validation_alone_leaves_the_test_split_sealed(evaluate, write_predictions, records_path, tmp_path):
    (records_path / "test.jsonl").write_text("not to be read")
    evaluation, result = evaluate({"gnn": write_predictions()})
    assert not evaluation["test_opened"]
    assert list(evaluation["splits"]) == ["valid"]
    assert evaluation["splits"]["valid"]["thresholds_chosen_here"]
    assert read_openings(tmp_path / "runs") == []
    assert result.files == (EVALUATION_FILE,)


def test_the_table_holds_the_model_and_every_baseline_with_intervals(evaluate, write_predictions, records_path):
    path = write_predictions()
    evaluation, _ = evaluate({"gnn": path})
    systems = evaluation["splits"]["valid"]["systems"]
    assert list(systems) == ["gnn", "majority", "always_1", "length", "project", "tfidf_lr"]
    valid = read_split(records_path / "valid.jsonl")
    scores = read_probabilities(path / "predictions_valid.jsonl", valid)
    expected = metrics_at(valid.labels, scores, evaluation["thresholds"]["gnn"]["value"])
    assert {n: m["value"] for n, m in systems["gnn"]["metrics"].items()} == pytest.approx(expected, abs=1e-6)
    for system in systems.values():
        for metric in system["metrics"].values():
            assert metric["low"] <= metric["value"] + 0.05
            assert metric["high"] >= metric["value"] - 0.05
        assert sum(system["confusion"].values()) == 40


def test_the_threshold_of_validation_is_applied_to_test_unchanged(evaluate, write_predictions, records_path):
    path = write_predictions(skill=0.2, splits=("valid", "test"))
    evaluation, _ = evaluate({"gnn": path})
    test = read_split(records_path / "test.jsonl")
    scores = read_probabilities(path / "predictions_test.jsonl", test)
    expected = metrics_at(test.labels, scores, evaluation["thresholds"]["gnn"]["value"])["f1"]
    assert evaluation["splits"]["test"]["systems"]["gnn"]["metrics"]["f1"]["value"] == pytest.approx(expected, abs=1e-6)
    assert not evaluation["splits"]["test"]["thresholds_chosen_here"]


def test_test_labels_decide_no_threshold_and_no_validation_number(evaluate, write_predictions, records_path):
    predictions = {"gnn": write_predictions(splits=("valid", "test"))}
    before, _ = evaluate(predictions, attempt=1)
    for file in (records_path / "test.jsonl", predictions["gnn"] / "predictions_test.jsonl"):
        entries = [json.loads(line) for line in file.read_text().splitlines()]
        file.write_text("".join(json.dumps({**entry, "label": 1 - entry["label"]}) + "\n" for entry in entries))
    after, _ = evaluate(predictions, attempt=2)
    assert after["thresholds"] == before["thresholds"]
    assert after["splits"]["valid"] == before["splits"]["valid"]
    assert after["splits"]["test"] != before["splits"]["test"]


def test_baselines_on_the_test_split_are_an_opening_of_their_own(evaluate, write_predictions, tmp_path):
    evaluate({"gnn": write_predictions(splits=("valid", "test"))}, attempt=3)
    (opening,) = read_openings(tmp_path / "runs")
    assert (opening.split, opening.attempt) == ("test", 3)
    assert "tfidf_lr" in opening.purpose
    assert "gnn" in opening.purpose


def test_equal_input_gives_equal_bytes(evaluate, write_predictions, tmp_path):
    predictions = {"gnn": write_predictions(splits=("valid", "test"))}
    evaluate(predictions, attempt=1)
    evaluate(predictions, attempt=2)
    first, second = (tmp_path / f"evaluate-{attempt}" / EVALUATION_FILE for attempt in (1, 2))
    assert first.read_bytes() == second.read_bytes()


def test_a_good_model_is_shown_to_beat_a_constant_and_a_coin_is_not(evaluate, write_predictions):
    predictions = {"good": write_predictions(skill=0.9), "coin": write_predictions(skill=0.0, name="coin")}
    evaluation, _ = evaluate(predictions, num_resamples=2000)
    shown = {
        (entry["model"], entry["against"], entry["metric"]): entry["shown"]
        for entry in evaluation["splits"]["valid"]["comparisons"]
    }
    assert shown["good", "always_1", "auroc"]
    assert shown["good", "coin", "auroc"]
    assert not shown["coin", "always_1", "auroc"]


def test_too_few_resamples_to_show_anything_are_announced(evaluate, write_predictions, tmp_path):
    evaluation, _ = evaluate({"gnn": write_predictions()}, num_resamples=50)
    assert not evaluation["splits"]["valid"]["can_show_a_difference"]
    assert any("too few to show any difference" in message for message in notices(tmp_path))


def test_a_commit_in_two_splits_is_counted_and_announced(evaluate, write_predictions, records_path, tmp_path):
    path = records_path / "valid.jsonl"
    path.write_text(path.read_text().replace("valid-commit-0", "train-commit-0"))
    evaluation, _ = evaluate({"gnn": write_predictions()})
    assert evaluation["splits"]["valid"]["records_with_group_in_train"] == 4
    assert any("4 of 40 valid records share a commit with training" in message for message in notices(tmp_path))


def test_a_split_with_one_label_is_refused(evaluate, write_predictions, records_path):
    predictions = {"gnn": write_predictions()}
    path = records_path / "valid.jsonl"
    path.write_text(path.read_text().replace('"label": 1', '"label": 0'))
    with pytest.raises(DataInvalid, match="every record has label 0"):
        evaluate(predictions)


def test_settings_that_cannot_be_evaluated_are_refused(evaluate, write_predictions):
    with pytest.raises(SettingsInvalid, match="at least one finished predict run"):
        evaluate({})
    with pytest.raises(SettingsInvalid, match="'tfidf_lr' is the name of a baseline"):
        evaluate({"tfidf_lr": write_predictions()})


def test_a_job_that_is_asked_to_stop_leaves_nothing(evaluate, write_predictions, tmp_path):
    with pytest.raises(Interrupted):
        evaluate({"gnn": write_predictions()}, stop=True)
    assert not (tmp_path / "evaluate-1" / EVALUATION_FILE).exists()


def test_predictions_that_are_not_as_their_run_wrote_them_are_refused(evaluate, write_predictions):
    path = write_predictions(splits=("valid", "test"))
    files = ["predictions_valid.jsonl", "result.json"]
    write_manifest(path, files, kind="predict", run_key="0" * 64, build_key="1" * 64)
    with pytest.raises(DataInvalid, match=r"predictions_test.jsonl: the manifest of the run does not list it"):
        evaluate({"gnn": path})
    write_manifest(path, [*files, "predictions_test.jsonl"], kind="predict", run_key="0" * 64, build_key="1" * 64)
    evaluate({"gnn": path})
    lines = (path / "predictions_test.jsonl").read_text().replace('"probability": 0.', '"probability": 0.0')
    (path / "predictions_test.jsonl").write_text(lines)
    with pytest.raises(DataInvalid, match="not as its run wrote it"):
        evaluate({"gnn": path})
