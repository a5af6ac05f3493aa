"""The rank job end to end on small hand-made runs: what it writes, what it refuses, and what it cannot see."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import yaml

from models.errors import DataInvalid, Interrupted, SettingsInvalid
from models.evaluation.metrics import metrics_at
from models.evaluation.records import data_digest, read_probabilities, read_split
from models.jobs.events import EventStream
from models.settings.selection import Selection
from models.settings.transformer import TransformerSettings
from models.store.manifest import digest_file, read_manifest, write_manifest

SWEEP = {"kind": "sweep", "low": 0.3, "high": 0.7, "step": 0.05, "min_recall": 0.9}


def ranking_in(run_path):
    return json.loads((run_path / "ranking.json").read_bytes())


def rewrite_manifest(run_path):
    manifest = read_manifest(run_path)
    write_manifest(run_path, manifest.files, kind="train", run_key=manifest.run_key, build_key=manifest.build_key)


def bytes_in(run_path):
    return {name: (run_path / name).read_bytes() for name in read_manifest(run_path).files}


@pytest.fixture
def trials(trial):
    """A good and a poor configuration of two models, three seeds each."""
    good = trial("good_lr1e-3", skill=0.6, learning_rate=1e-3)
    poor = trial("poor_lr1e-2", skill=0.02, learning_rate=1e-2, model="n", num_parameters=10, noise=1)
    return good | poor


def test_the_ranking_holds_what_the_scores_say(run_rank, trials, findings_path):
    ranking = ranking_in(run_rank(trials))
    valid = read_split(findings_path / "valid.jsonl")
    good, poor = ranking["configurations"]
    assert (good["configuration"], good["rank"], good["kept"], poor["rank"]) == ("good_lr1e-3", 1, True, 2)
    above_half = math.nextafter(0.5, 1.0)
    for entry in (good, poor):
        found = {
            seed: metrics_at(
                valid.labels, read_probabilities(trials[label]["run"] / "predictions_valid.jsonl", valid), above_half
            )
            for seed, label in entry["trials"].items()
        }
        assert entry["f1_by_seed"] == pytest.approx({seed: m["f1"] for seed, m in found.items()}, abs=1e-6)
        assert entry["f1"]["value"] == pytest.approx(np.mean([m["f1"] for m in found.values()]), abs=1e-6)
        assert entry["f1"]["low"] <= entry["f1"]["value"] <= entry["f1"]["high"]
        median = found[str(entry["median_seed"])]
        assert sorted(m["f1"] for m in found.values())[1] == median["f1"]
        own = entry["median_seed_metrics"]
        assert own == pytest.approx({name: median[name] for name in own}, abs=1e-6)
        means = {name: np.mean([m[name] for m in found.values()]) for name in own}
        assert entry["metrics"] == pytest.approx(means, abs=1e-6)
        at_recall = entry["false_positive_reduction_at_recall"]
        kept = [
            metrics_at(valid.labels, read_probabilities(trials[label]["run"] / "predictions_valid.jsonl", valid), at)
            for label, at in zip(entry["trials"].values(), at_recall["thresholds"].values(), strict=True)
        ]
        for name in ("recall", "false_positive_reduction"):
            assert at_recall[name] == pytest.approx(np.mean([m[name] for m in kept]), abs=2e-6)
        assert at_recall["threshold"] == at_recall["thresholds"][str(entry["median_seed"])]
        assert set(entry["thresholds"].values()) == {above_half}
        assert entry["cost"]["max_records_trained"] == 100 * 90  # what its settings allow
    assert poor["gap"] == pytest.approx(good["f1"]["value"] - poor["f1"]["value"], abs=1e-6)
    assert ranking["val"] == {
        "sha256": digest_file(findings_path / "valid.jsonl").sha256,
        "data_sha256": data_digest(findings_path / "train.jsonl", findings_path / "valid.jsonl"),
        "num_records": len(valid),
        "num_files": len(set(valid.groups)),
        "num_positive": int(valid.labels.sum()),
    }
    assert ranking["best_set"] == {"configurations": ["good_lr1e-3"], "clear_winner": True}
    assert (ranking["first"], ranking["runner_up"]) == ("good_lr1e-3", "poor_lr1e-2")
    assert ranking["probability_beats_runner_up"] > 0.99


def test_baselines_stand_beside_the_configurations(run_rank, trials):
    baselines = ranking_in(run_rank(trials, decision=SWEEP))["baselines"]
    assert list(baselines) == ["majority", "keep_all", "smell", "tfidf_lr"]
    kept = baselines["keep_all"]
    assert (kept["metrics"]["recall"], kept["metrics"]["false_positive_reduction"], kept["threshold"]) == (1, 0, 0.5)
    assert 0.3 <= baselines["tfidf_lr"]["threshold"] <= 0.7
    assert all(b["f1"]["low"] <= b["f1"]["value"] <= b["f1"]["high"] for b in baselines.values())


def test_the_selection_names_who_goes_on_with_what_was_trained(run_rank, trials):
    run_path = run_rank(trials, decision=SWEEP, keep={"num": 2, "by": "model"})
    selection = Selection.model_validate_json((run_path / "selection.json").read_bytes())
    ranking = ranking_in(run_path)
    assert [entry.configuration for entry in selection.selected] == ranking["selected"]
    best, first = ranking["configurations"][0], selection.selected[0]
    seed = str(best["median_seed"])
    assert first.threshold == best["thresholds"][seed]
    assert first.settings.learning_rate == 1e-3
    assert selection.data_sha256 == ranking["val"]["data_sha256"]
    assert first.run_key == read_manifest(trials[best["trials"][seed]]["run"]).run_key


def test_the_threshold_of_each_trial_is_the_best_of_the_grid_with_its_curve(run_rank, trials, findings_path):
    run_path = run_rank(trials, decision=SWEEP)
    valid = read_split(findings_path / "valid.jsonl")
    for label, trial in trials.items():
        found = json.loads((run_path / "trials" / label / "threshold_sweep_results.json").read_bytes())
        scores = read_probabilities(trial["run"] / "predictions_valid.jsonl", valid)
        curve = {point["threshold"]: point["f1"] for point in found["curve"]}
        assert list(curve) == [0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7]
        for threshold, value in curve.items():
            assert value == pytest.approx(metrics_at(valid.labels, scores, threshold)["f1"], abs=1e-6)
        assert curve[found["threshold"]] == max(curve.values()) == found["f1"]
        assert found["at_grid_end"] == (found["threshold"] in (0.3, 0.7))
        assert 0.3 <= found["bootstrap"]["low"] <= found["bootstrap"]["median"] <= found["bootstrap"]["high"] <= 0.7
        kept = found["alternatives"]["recall_constrained"]
        assert kept["recall"] >= 0.9
        at_kept = metrics_at(valid.labels, scores, kept["threshold"])
        assert kept["false_positive_reduction"] == pytest.approx(at_kept["false_positive_reduction"], abs=1e-6)
        assert set(found["alternatives"]["per_technology"]["thresholds"]) == {"ansible", "chef", "puppet"}
        assert found["run"] == {"label": label, "run_key": read_manifest(trial["run"]).run_key}


def test_what_was_used_is_the_deciding_settings_with_inputs_as_digests(run_rank, trials, findings_path):
    run_path = run_rank(trials)
    for label, trial in trials.items():
        used = yaml.safe_load((run_path / "trials" / label / "config_used.yaml").read_text())
        assert used == json.loads((trial["run"] / "question.json").read_bytes())["deciding"]
        assert used["val_data"] == digest_file(findings_path / "valid.jsonl").sha256


def test_sealed_data_are_not_read_and_change_no_byte(run_rank, trials, findings_path, tmp_path):
    before = bytes_in(run_rank(trials, decision=SWEEP, folder="before"))
    (findings_path / "test.jsonl").unlink()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "openings.jsonl").write_text("not an opening")
    for at, each in enumerate(trials.values()):
        sealed = each["run"] / "predictions_test.jsonl"
        sealed.unlink() if at % 2 else sealed.write_text("garbled")
    assert bytes_in(run_rank(trials, decision=SWEEP, folder="after")) == before


def test_equal_input_in_another_order_gives_equal_bytes(run_rank, trials):
    first = run_rank(trials, decision=SWEEP, folder="first")
    second = run_rank(dict(reversed(trials.items())), decision=SWEEP, folder="second")
    assert bytes_in(first) == bytes_in(second)


def test_without_a_clear_winner_stop_ranks_and_selects_nobody(run_rank, trial):
    alike = trial("a_lr1", skill=0.4, learning_rate=1.0) | trial("b_lr2", skill=0.4, learning_rate=2.0, noise=1)
    run_path = run_rank(alike, no_clear_winner="stop")
    ranking = ranking_in(run_path)
    assert (ranking["first"], ranking["runner_up"], ranking["selected"]) == (None, None, [])
    assert ranking["first_because"] == "nobody: 2 cannot be told apart from the best"
    assert not any(entry["kept"] for entry in ranking["configurations"])
    assert len(ranking["best_set"]["configurations"]) == 2
    assert "ranking.json" in read_manifest(run_path).files
    assert not (run_path / "selection.json").exists()


def test_trials_that_failed_are_told_and_counted(run_rank, trials):
    ranking = ranking_in(run_rank(trials, failed={"z": "NumericsError: nan", "c": "JobHung: no event"}, num_planned=9))
    assert ranking["failed"] == {"c": "JobHung: no event", "z": "NumericsError: nan"}
    assert ranking["num_planned"] == 9
    assert ranking_in(run_rank(trials, folder="none"))["num_planned"] == len(trials)
    with pytest.raises(ValueError, match=r"failed: good_lr1e-3_s41 is also in trials"):
        run_rank(trials, folder="both", failed={"good_lr1e-3_s41": "x"})
    with pytest.raises(ValueError, match="num_planned: 6, but 7 trials are given"):
        run_rank(trials, folder="few", failed={"x": "x"}, num_planned=6)


def test_a_seed_that_never_answers_1_is_counted(run_rank, trial):
    poor = trial("poor", skill=0.02, learning_rate=2.0)
    made = trial("good", skill=0.6, learning_rate=1.0) | poor
    for at, line in (("poor_s42", 0.1), ("poor_s43", 0.9)):
        path = poor[at]["run"] / "predictions_valid.jsonl"
        rows = [json.loads(row) | {"probability": line} for row in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        rewrite_manifest(poor[at]["run"])
    (entry,) = (e for e in ranking_in(run_rank(made))["configurations"] if e["configuration"] == "poor")
    assert (entry["num_positive_answers"]["42"], entry["num_positive_answers"]["43"]) == (0, 60)
    assert entry["f1_by_seed"]["42"] == 0


def test_a_threshold_at_an_end_of_the_grid_is_said(run_rank, trials, monkeypatch):
    said = []
    monkeypatch.setattr(EventStream, "notice", lambda _, message, level="info": said.append((level, message)))
    run_path = run_rank(trials, decision={"kind": "sweep", "low": 0.9, "high": 0.95, "step": 0.05})
    found = json.loads((run_path / "trials/good_lr1e-3_s41/threshold_sweep_results.json").read_bytes())
    assert found["at_grid_end"]
    assert len(said) == len(trials)
    assert said[0][0] == "warning"
    assert "good_lr1e-3_s41: threshold 0.9" in said[0][1]
    assert "widen threshold.low or threshold.high" in said[0][1]


def test_what_decides_nothing_changes_no_byte_of_the_selection(run_rank, trials):
    before = bytes_in(run_rank(trials, folder="before"))
    for each in trials.values():
        path = each["run"] / "settings.json"
        settings = json.loads(path.read_text())
        settings["model"] = TransformerSettings(pretrained="off").model_dump(mode="json")
        path.write_text(json.dumps(settings))
    closed = bytes_in(run_rank(trials, folder="closed"))
    for each in trials.values():
        path = each["run"] / "settings.json"
        path.write_text(path.read_text().replace('"allow_network": false', '"allow_network": true'))
    assert '"allow_network": true' in path.read_text()
    assert bytes_in(run_rank(trials, folder="open")) == closed != before


def test_a_job_that_is_asked_to_stop_leaves_nothing(run_rank, trials, tmp_path):
    with pytest.raises(Interrupted):
        run_rank(trials, stop=True)
    assert list((tmp_path / "rank").iterdir()) == []


def unfinished(trials):
    (trials["good_lr1e-3_s41"]["run"] / "manifest.json").unlink()


def of_another_kind(trials):
    trials["good_lr1e-3_s41"]["run"] = trials["good_lr1e-3_s41"]["run"].parents[2] / "rank-before"


def of_another_seed(trials):
    trials["good_lr1e-3_s41"]["seed"] = 99


def of_another_rate(trials):
    trials["good_lr1e-3_s41"]["configuration"] = "poor_lr1e-2"
    trials["good_lr1e-3_s41"]["model"] = "n"
    trials["good_lr1e-3_s41"]["family"] = "n"
    del trials["poor_lr1e-2_s41"]


def of_two_models(trials):
    trials["good_lr1e-3_s41"]["model"] = "n"


def with_a_bad_label(trials):
    trials["../out"] = trials.pop("good_lr1e-3_s41")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (unfinished, r"trials.good_lr1e-3_s41.run: .* is not finished"),
        (of_another_kind, r"trials.good_lr1e-3_s41.run: .* is a run of kind rank, not a training run"),
        (of_another_seed, r"trials.good_lr1e-3_s41.seed: 99, but .* was trained with 41"),
        (of_another_rate, r"of one configuration \(poor_lr1e-2\) but differ in model.learning_rate"),
        (of_two_models, "of one configuration but of two models"),
        (with_a_bad_label, r"'\.\./out' names a folder of the run"),
    ],
)
def test_trials_that_are_not_what_they_say_are_refused(run_rank, trials, change, message):
    run_rank(trials, folder="rank-before")
    change(trials)
    with pytest.raises(SettingsInvalid, match=message):
        run_rank(trials)


@pytest.mark.parametrize("name", ["predictions_valid.jsonl", "result.json", "question.json", "manifest.json"])
def test_a_damaged_file_of_a_trial_is_never_believed(run_rank, trials, name):
    path = trials["good_lr1e-3_s41"]["run"] / name
    path.write_text(path.read_text().replace("1", "2"))
    with pytest.raises(DataInvalid, match=r"not as|not the question"):
        run_rank(trials)


def test_validation_with_one_label_or_one_file_is_refused(run_rank, trials, findings_path):
    path = findings_path / "valid.jsonl"
    whole = path.read_text()
    path.write_text(whole.replace('"label": 1', '"label": 0'))
    with pytest.raises(DataInvalid, match="every record has label 0; a ranking needs both"):
        run_rank(trials, folder="one-label")
    entries = [json.loads(line) for line in whole.splitlines()]
    for entry in entries:
        entry["metadata"]["group"] = "one/file"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    with pytest.raises(DataInvalid, match="all records are of one file"):
        run_rank(trials, folder="one-file")


def test_records_of_another_tokenizer_are_the_same_records(run_rank, trials, findings_path):
    before = ranking_in(run_rank(trials, folder="before"))
    path = findings_path / "valid.jsonl"
    path.write_text(path.read_text().replace('"tokens": [1, 2]', '"tokens": [7, 8]'))
    after = ranking_in(run_rank(trials, folder="after"))
    assert after["configurations"] == before["configurations"]
    assert after["val"]["sha256"] != before["val"]["sha256"]
    assert after["val"]["data_sha256"] == before["val"]["data_sha256"]


def test_predictions_of_other_records_are_refused(run_rank, trials, findings_path):
    path = findings_path / "valid.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DataInvalid, match="is not in"):
        run_rank(trials)
