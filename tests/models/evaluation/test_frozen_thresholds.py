"""A frozen decision takes what an earlier ranking settled, and cannot tune."""

from __future__ import annotations

import inspect
import json
import statistics
from pathlib import Path

import pytest

from models.errors import DataInvalid
from models.evaluation import decisions, frozen_thresholds, ranking_documents, ranking_job, threshold_sweep, thresholds
from models.evaluation.frozen_thresholds import FrozenRanking
from models.evaluation.metrics import metrics_at
from models.evaluation.records import read_probabilities, read_split
from models.jobs.build import imported_modules
from models.store.manifest import digest_file, read_manifest, write_manifest

SWEEP = {"kind": "sweep", "low": 0.2, "high": 0.8, "step": 0.01}


def ranking_in(run_path):
    return json.loads((run_path / "ranking.json").read_bytes())


def results_in(run_path):
    return {
        path.parent.name: json.loads(path.read_bytes())
        for path in (run_path / "trials").glob("*/threshold_sweep_results.json")
    }


@pytest.fixture
def swept(run_rank, trial):
    """A finished sweep of three configurations of two models."""
    trials = trial("good_lr1", skill=0.5, model="good", learning_rate=1.0)
    trials |= trial("good_lr2", skill=0.3, model="good", learning_rate=2.0, noise=1)
    trials |= trial("poor_lr1", skill=0.1, model="poor", learning_rate=1.0, noise=2)
    return run_rank(trials, folder="swept", decision=SWEEP)


@pytest.fixture
def finals(trial):
    """The same configuration with other seeds, and one that the sweep never saw."""
    return trial("good_lr2", skill=0.35, model="good", learning_rate=2.0, noise=3, seeds=(51, 52)) | trial(
        "good_lr9", skill=0.35, model="good", learning_rate=9.0, noise=4, seeds=(51, 52)
    )


def frozen(swept):
    return {"kind": "frozen", "ranking": swept}


def threshold_of(ranking, configuration):
    (entry,) = (e for e in ranking["configurations"] if e["configuration"] == configuration)
    return entry["thresholds"][str(entry["median_seed"])]


def test_trials_are_ranked_at_the_frozen_threshold_of_their_configuration_or_model(run_rank, swept, finals):
    run_path = run_rank(finals, decision=frozen(swept), stage="stage4")
    earlier, results = ranking_in(swept), results_in(run_path)
    best_of_model = next(e["configuration"] for e in earlier["configurations"] if e["model"] == "good")
    for label, found in results.items():
        matched = ("good_lr2", "configuration") if "lr2" in label else (best_of_model, "model")
        assert (found["source"]["configuration"], found["source"]["matched_by"]) == matched
        assert found["threshold"] == threshold_of(earlier, matched[0])
        assert (found["decision"], "curve" in found) == ("frozen", False)
        assert found["source"]["run_key"] == read_manifest(swept).run_key
        assert found["source"]["ranking_sha256"] == digest_file(swept / "ranking.json").sha256
    ranked = ranking_in(run_path)
    assert ranked["decision"]["kind"] == "frozen"
    assert str(swept) not in (run_path / "ranking.json").read_text()
    assert {n: b["threshold"] for n, b in ranked["baselines"].items()} == {
        n: b["threshold"] for n, b in earlier["baselines"].items()
    }


def test_a_ranking_of_other_data_freezes_nothing(run_rank, swept, finals, findings_path):
    path = findings_path / "train.jsonl"
    path.write_text(path.read_text().replace("value3\\n", "value4\\n", 1))
    with pytest.raises(DataInvalid, match=r"ranking\.json: its thresholds were chosen on other data .*sweep again"):
        run_rank(finals, decision=frozen(swept))


def test_flipped_validation_labels_move_no_frozen_threshold(run_rank, swept, finals, findings_path, monkeypatch):
    told = ranking_in(swept)["val"]["data_sha256"]
    monkeypatch.setattr(ranking_job, "data_digest", lambda *_: told)  # or it would be refused as other data

    def settled(run_path):
        ranking = ranking_in(run_path)
        return {
            "trials": {label: found["threshold"] for label, found in results_in(run_path).items()},
            "baselines": {name: baseline["threshold"] for name, baseline in ranking["baselines"].items()},
            "alternatives": {
                e["configuration"]: e["false_positive_reduction_at_recall"]["threshold"]
                for e in ranking["configurations"]
            },
        }

    before = run_rank(finals, folder="before", decision=frozen(swept))
    files = {"valid": findings_path / "valid.jsonl"}
    files |= {label: each["run"] / "predictions_valid.jsonl" for label, each in finals.items()}
    for path in files.values():
        entries = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps({**entry, "label": 1 - entry["label"]}) + "\n" for entry in entries))
    for each in finals.values():
        manifest = read_manifest(each["run"])
        write_manifest(
            each["run"], manifest.files, kind="train", run_key=manifest.run_key, build_key=manifest.build_key
        )
    after = run_rank(finals, folder="after", decision=frozen(swept))
    assert settled(after) == settled(before)
    assert ranking_in(after)["configurations"][0]["f1"] != ranking_in(before)["configurations"][0]["f1"]


def test_no_function_that_chooses_is_called(run_rank, swept, finals, monkeypatch):
    def refuse(*_arguments, **_named):
        raise AssertionError("a frozen decision chose a threshold")

    for module in (decisions, ranking_documents, ranking_job, threshold_sweep, thresholds):
        for name in (
            "sweep",
            "recall_constrained",
            "threshold_spread",
            "per_technology",
            "best_f1_threshold",
            "choose",
        ):
            monkeypatch.setattr(module, name, refuse, raising=False)
        for name in ("best_places", "confusion_at", "settle_chosen", "bootstrap_thresholds", "resampled_f1_curves"):
            monkeypatch.setattr(module, name, refuse, raising=False)
    run_rank(finals, decision=frozen(swept))
    with pytest.raises(AssertionError, match="chose a threshold"):
        run_rank(finals, decision=SWEEP, folder="again")


def test_what_freezes_is_given_no_score_and_imports_nothing_that_chooses():
    imported = imported_modules(Path(frozen_thresholds.__file__))
    assert not [name for name in imported if name.startswith("models.evaluation")]
    for function in (FrozenRanking.of_trial, FrozenRanking.of_baseline, decisions.settle_frozen):
        assert not {"labels", "scores", "probabilities", "records"} & set(inspect.signature(function).parameters)


def test_the_alternative_threshold_is_that_of_the_sweep_measured_anew(run_rank, swept, finals, findings_path):
    run_path = run_rank(finals, decision=frozen(swept))
    earlier = {e["configuration"]: e for e in ranking_in(swept)["configurations"]}
    valid = read_split(findings_path / "valid.jsonl")
    (found,) = (e for e in ranking_in(run_path)["configurations"] if e["configuration"] == "good_lr2")
    alternative = found["false_positive_reduction_at_recall"]
    assert alternative["threshold"] == earlier["good_lr2"]["false_positive_reduction_at_recall"]["threshold"]
    assert set(alternative["thresholds"].values()) == {alternative["threshold"]}
    expected = [
        metrics_at(
            valid.labels,
            read_probabilities(finals[label]["run"] / "predictions_valid.jsonl", valid),
            alternative["threshold"],
        )
        for label in found["trials"].values()
    ]
    for name in ("recall", "false_positive_reduction"):
        assert alternative[name] == pytest.approx(statistics.fmean(m[name] for m in expected), abs=2e-6)


@pytest.mark.parametrize(
    ("configuration", "model", "source", "matched_by"),
    [
        ("good_lr2", "good", "good_lr2", "configuration"),
        ("good_lr2", "other", "good_lr2", "configuration"),
        ("poor_lr7", "poor", "poor_lr1", "model"),
        ("poor_tiny_lr1", "poor_tiny", "first", "first"),  # no name is parsed: another model however it begins
    ],
)
def test_a_trial_is_found_by_its_configuration_then_by_its_model(swept, configuration, model, source, matched_by):
    ranking = ranking_in(swept)
    source = ranking["first"] if source == "first" else source
    found = FrozenRanking(swept).of_trial(configuration, model)
    assert (found.configuration, found.matched_by) == (source, matched_by)
    assert found.is_fallback == (matched_by != "configuration")
    assert found.threshold == threshold_of(ranking, source)


def test_where_nobody_came_first_an_unknown_model_has_no_threshold(swept):
    path = swept / "ranking.json"
    path.write_text(json.dumps({**ranking_in(swept), "first": None}))
    manifest = read_manifest(swept)
    write_manifest(swept, manifest.files, kind="rank", run_key=manifest.run_key, build_key=manifest.build_key)
    assert FrozenRanking(swept).of_trial("good_lr2", "good").threshold == threshold_of(ranking_in(swept), "good_lr2")
    with pytest.raises(DataInvalid, match="no threshold for other: nobody came first"):
        FrozenRanking(swept).of_trial("other_lr1", "other")


def test_a_ranking_that_is_not_as_it_was_written_freezes_nothing(swept, tmp_path, trial):
    with pytest.raises(DataInvalid, match="no threshold of the baseline 'project' \\(only majority"):
        FrozenRanking(swept).of_baseline("project")
    with pytest.raises(DataInvalid, match="not a finished run"):
        FrozenRanking(tmp_path)
    (training,) = trial("x", skill=0.5, seeds=(41,)).values()
    with pytest.raises(DataInvalid, match="a run of kind train"):
        FrozenRanking(training["run"])
    path = swept / "ranking.json"
    path.write_text(path.read_text().replace("0.5", "0.6", 1))
    with pytest.raises(DataInvalid, match=r"swept: not as it was written .* rank again"):
        FrozenRanking(swept)
