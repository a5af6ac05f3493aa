"""The evaluate job on findings: one opening, four sets, thresholds by each rule, and the files of each set."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from pydantic import ValidationError

from models.errors import DataInvalid, SettingsInvalid
from models.evaluation.job import run
from models.evaluation.measuring import Measuring, can_show, resamples_to_show
from models.evaluation.metrics import metrics_at
from models.evaluation.records import read_probabilities, read_split
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.evaluate import EvaluateSettings
from models.store.manifest import digest_file
from models.store.openings import read_openings

SETS = ["test", "test_ansible", "test_chef", "test_puppet"]
SWEEP = {"kind": "sweep", "low": 0.3, "high": 0.7, "step": 0.05}


@pytest.fixture
def evaluate(tmp_path, findings_path):
    """Runs the job; gives the run directory with its evaluation and result."""

    def call(predictions, *, folder="evaluate", **settings):
        run_path = tmp_path / folder
        run_path.mkdir()
        context = JobContext(run_path, tmp_path / "runs", EventStream(run_path / "progress.jsonl"))
        document = {"data": findings_path, "predictions": predictions, "num_resamples": 200, **settings}
        result = run(EvaluateSettings.model_validate(document), context)
        return run_path, json.loads((run_path / "evaluation.json").read_bytes()), result

    return call


def events_in(run_path):
    return [json.loads(line) for line in (run_path / "progress.jsonl").read_text().splitlines()]


def test_one_opening_gives_the_combined_set_and_one_for_each_technology(
    evaluate, write_scores, findings_path, tmp_path
):
    path = write_scores()
    _, evaluation, _ = evaluate({"m": path})
    assert list(evaluation["splits"]) == ["valid", *SETS]
    (opening,) = read_openings(tmp_path / "runs")
    assert opening.data_sha256 == digest_file(findings_path / "test.jsonl").sha256
    test = read_split(findings_path / "test.jsonl")
    scores = read_probabilities(path / "predictions_test.jsonl", test)
    threshold = evaluation["thresholds"]["m"]["value"]
    for split in SETS:
        if split == "test":
            rows = np.array(test.categories["in_combined"]) == "true"
        else:
            rows = np.array(test.categories["technology"]) == split.removeprefix("test_")
        expected = metrics_at(test.labels[rows], scores[rows], threshold)
        measured = evaluation["splits"][split]
        assert measured["num_records"] == rows.sum()
        found = {name: metric["value"] for name, metric in measured["systems"]["m"]["metrics"].items()}
        assert found == pytest.approx(expected, abs=1e-6)


def test_findings_have_their_own_baselines_and_words_and_no_target(evaluate, write_scores):
    _, evaluation, result = evaluate({"m": write_scores(splits=("valid",))})
    assert list(evaluation["splits"]["valid"]["systems"]) == ["m", "majority", "keep_all", "smell", "tfidf_lr"]
    assert evaluation["words"] == {"positive": "true findings", "group": "files", "one_group": "file"}
    assert evaluation["targets"] == []
    assert "(files)" in evaluation["settings"]["interval_method"]
    assert result.numbers["metrics"]["valid"]["keep_all"]["false_positive_reduction"] == 0.0


def test_each_model_and_set_has_a_file_that_names_what_it_is_from(evaluate, write_scores, findings_path):
    path = write_scores()
    run_path, evaluation, result = evaluate({"m": path, "only_valid": write_scores("other", splits=("valid",))})
    names = [f"sets/m/{name}/evaluation_metadata.json" for name in ("combined", "ansible", "chef", "puppet")]
    assert list(result.files) == ["evaluation.json", *names, "sets/only_valid/valid/evaluation_metadata.json"]
    chef = json.loads((run_path / names[2]).read_bytes())
    measured = evaluation["splits"]["test_chef"]
    assert (chef["set"], chef["num_records"], chef["is_small"]) == ("chef", 22, True)
    assert chef["metrics"] == measured["systems"]["m"]["metrics"]
    assert chef["confusion"] == measured["systems"]["m"]["confusion"]
    assert chef["threshold"] == {
        "value": evaluation["thresholds"]["m"]["value"],
        "source": "best F1 on validation",
    }
    assert chef["baselines"]["smell"]["metrics"] == measured["systems"]["smell"]["metrics"]
    assert chef["digests"] == {
        "data_sha256": digest_file(findings_path / "test.jsonl").sha256,
        "predictions_sha256": digest_file(path / "predictions_test.jsonl").sha256,
        "predictions_run": {"kind": "predict", "run_key": "d" * 64},
        "model_run_key": "c" * 64,
    }


@pytest.mark.parametrize(
    ("decision", "is_chosen"),
    [({"kind": "argmax"}, False), ({"kind": "best_f1"}, True), (SWEEP, True)],
    ids=["argmax", "best_f1", "sweep"],
)
def test_the_rule_settles_models_and_the_baselines_that_have_a_threshold_to_choose(
    evaluate, write_scores, decision, is_chosen
):
    _, evaluation, _ = evaluate({"m": write_scores(splits=("valid",))}, decision=decision)
    thresholds = evaluation["thresholds"]
    assert evaluation["settings"]["decision"]["kind"] == decision["kind"]
    assert evaluation["splits"]["valid"]["thresholds_chosen_here"] == is_chosen
    assert thresholds["keep_all"] == thresholds["majority"] == {"value": 0.5, "source": "fixed"}
    assert ("f1_curve" in thresholds["m"]) == is_chosen
    if decision["kind"] == "argmax":
        assert thresholds["m"]["value"] == math.nextafter(0.5, 1.0)
    for name in ("smell", "tfidf_lr"):  # a baseline is always as strong as validation can make it
        assert "f1_curve" in thresholds[name]
        if decision["kind"] == "sweep":
            tried = dict(thresholds[name]["f1_curve"])
            assert thresholds[name]["value"] in tried
            assert tried[thresholds[name]["value"]] == max(tried.values())


def test_a_frozen_threshold_comes_from_the_ranking_and_no_label_moves_it(
    evaluate, write_scores, run_rank, trial, findings_path
):
    swept = run_rank(trial("m_lr1", skill=0.4), decision=SWEEP)
    ranking = json.loads((swept / "ranking.json").read_bytes())
    (best,) = ranking["configurations"]
    path = write_scores()
    decision = {"kind": "frozen", "ranking": swept}
    names = {"m_lr1": ("m_lr1", best["model"]), "m_lr1x": ("m_lr1x", best["model"]), "z": ("z", "z")}
    trials = {name: {"configuration": each, "model": model} for name, (each, model) in names.items()}
    predictions = dict.fromkeys(names, path)
    run_path, before, _ = evaluate(predictions, decision=decision, trials=trials)
    for name, matched_by in {"m_lr1": "configuration", "m_lr1x": "model", "z": "first"}.items():
        assert before["thresholds"][name]["value"] == best["thresholds"][str(best["median_seed"])]
        assert before["thresholds"][name]["frozen_by"]["matched_by"] == matched_by
    notices = [e for e in events_in(run_path) if "settled no threshold for" in e.get("message", "")]
    assert [(e["level"], e["message"].split(":")[0]) for e in notices] == [("warning", "m_lr1x"), ("warning", "z")]
    assert before["thresholds"]["tfidf_lr"]["value"] == ranking["baselines"]["tfidf_lr"]["threshold"]
    assert before["thresholds"]["keep_all"]["source"] == "fixed"
    assert not before["splits"]["valid"]["thresholds_chosen_here"]
    described = json.loads((run_path / "sets/m_lr1/combined/evaluation_metadata.json").read_bytes())
    assert described["threshold"]["frozen_by"]["run_key"] == before["thresholds"]["m_lr1"]["frozen_by"]["run_key"]
    for file in (findings_path / "valid.jsonl", path / "predictions_valid.jsonl"):
        entries = [json.loads(line) for line in file.read_text().splitlines()]
        file.write_text("".join(json.dumps({**entry, "label": 1 - entry["label"]}) + "\n" for entry in entries))
    (path / "manifest.json").unlink()  # from now on they are predictions from elsewhere
    _, after, _ = evaluate(predictions, decision=decision, trials=trials, folder="after")
    assert after["thresholds"] == before["thresholds"]
    assert after["splits"]["test"] == before["splits"]["test"]


@pytest.mark.parametrize(("decision", "named"), [("frozen", []), ("frozen", ["m", "n"]), ("argmax", ["m"])])
def test_only_a_frozen_decision_is_told_what_each_model_is_a_trial_of(decision, named, tmp_path):
    rule = {"kind": decision} | ({"ranking": tmp_path} if decision == "frozen" else {})
    trials = {name: {"configuration": "c", "model": "m"} for name in named}
    with pytest.raises(ValidationError, match="a frozen decision needs one for each model"):
        EvaluateSettings(data=tmp_path, predictions={"m": tmp_path}, decision=rule, trials=trials)


@pytest.mark.parametrize("num_models", [4, 5])
def test_many_models_are_compared_with_baselines_only_and_it_is_said(evaluate, write_scores, num_models):
    path = write_scores(splits=("valid",))
    run_path, evaluation, _ = evaluate({f"m{number}": path for number in range(num_models)})
    found = [(entry["model"], entry["against"]) for entry in evaluation["splits"]["valid"]["comparisons"]]
    among = {pair for pair in found if pair[1].startswith("m") and pair[1] != "majority"}
    assert len(found) == 3 * (num_models * 4 + len(among))
    assert len(among) == (6 if num_models == 4 else 0)
    text = evaluation["settings"]["compared"]
    assert ("not with each other, as they are 5" in text) == (num_models == 5)
    messages = [event.get("message", "") for event in events_in(run_path)]
    assert (f"compared: {text}" in messages) == (num_models == 5)
    assert any("; give num_resamples=" in message for message in messages)


@pytest.mark.parametrize("num_comparisons", [1, 12, 77, 78, 180, 495])
def test_so_many_resamples_can_show_a_difference_and_one_fewer_cannot(num_comparisons):
    fewest = resamples_to_show(num_comparisons, Measuring(2000, 0.95, 42))
    assert can_show(num_comparisons, Measuring(fewest, 0.95, 42))
    assert not can_show(num_comparisons, Measuring(fewest - 1, 0.95, 42))


def test_small_sets_are_announced(evaluate, write_scores):
    run_path, _, _ = evaluate({"m": write_scores()})
    notices = [event["message"] for event in events_in(run_path) if event["event"] == "notice"]
    for split in SETS:
        assert any(notice.startswith(f"{split} is small: ") for notice in notices)
    assert any("test_chef is small: 22 findings of" in notice for notice in notices)


def test_a_set_with_one_label_is_refused_by_name(evaluate, write_scores, findings_path):
    path = findings_path / "test.jsonl"
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    for entry in entries:
        entry["label"] *= entry["language"] != "chef"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    with pytest.raises(DataInvalid, match="every record of test_chef has label 0"):
        evaluate({"m": write_scores()})


def test_findings_without_a_combined_set_are_refused(evaluate, write_scores, findings_path):
    path = findings_path / "test.jsonl"
    path.write_text(path.read_text().replace('"in_combined": true', '"in_combined": false'))
    with pytest.raises(DataInvalid, match="no finding is marked in_combined"):
        evaluate({"m": write_scores()})


def test_a_model_is_named_as_a_folder(evaluate, write_scores):
    with pytest.raises(SettingsInvalid, match=r"'\.\./m' names a folder"):
        evaluate({"../m": write_scores(splits=("valid",))})


def test_equal_input_gives_equal_bytes(evaluate, write_scores):
    path = write_scores()
    (first, _, result), (second, _, _) = (evaluate({"m": path}, folder=folder) for folder in ("first", "second"))
    for name in result.files:
        assert (first / name).read_bytes() == (second / name).read_bytes()
