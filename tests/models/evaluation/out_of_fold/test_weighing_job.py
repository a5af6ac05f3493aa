"""The weigh job on hand-made runs: weights by hand, planted noise found, validation and test left alone."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from models.errors import DataInvalid, FusionLeak, Interrupted
from models.evaluation.out_of_fold.weighing_job import run
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.weigh import WeighSettings

FILES = ("weights.jsonl", "trust.jsonl", "hard_set.jsonl", "weighing.json")


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def weigh(tmp_path, fold_runs):
    """Runs the job; gives its run directory."""
    number = itertools.count()

    def call(out_of_fold, *, stop=False, **settings):
        run_path = tmp_path / f"weigh-{next(number)}"
        run_path.mkdir()
        events = EventStream(run_path / "progress.jsonl")
        context = JobContext(run_path, tmp_path / "runs", events, stop_requested=lambda: stop)
        document = {"data": fold_runs.data, "folds": fold_runs.folds, "out_of_fold": out_of_fold, **settings}
        result = run(WeighSettings.model_validate(document), context)
        (run_path / "numbers.json").write_text(json.dumps(result.numbers))
        assert result.files == FILES
        return run_path

    return call


@pytest.fixture
def models(fold_runs, scorer):
    return {
        "gnn": fold_runs.fold_models("gnn", scorer(1.5, 1)),
        "transformer": fold_runs.fold_models("transformer", scorer(1.0, 2)),
    }


def plant(fold_runs, rows):
    """Turn labels; the scorers go on following the truth."""
    for row in rows:
        entry = fold_runs.records["train"][row]
        entry["metadata"]["truth"] = entry["label"]
        entry["label"] = 1 - entry["label"]
    fold_runs.write_data()
    path = fold_runs.path / "planted.jsonl"
    named = (fold_runs.records["train"][row]["metadata"] for row in rows)
    path.write_text("".join(json.dumps({"source": m["source"], "idx": m["orig_id"]}) + "\n" for m in named))
    return path


def test_weights_are_a_hand_computation_from_calibrated_scores(weigh, models, fold_runs):
    path = weigh(models)
    weighing = json.loads((path / "weighing.json").read_text())
    mean = np.zeros(180)
    for name, runs in models.items():
        for fold, run_path in enumerate(runs):
            for row in rows_of(run_path / "predictions_held_out.jsonl"):
                log_odds = (row["logits"][1] - row["logits"][0]) / weighing["temperatures"][name][fold]
                log_odds += weighing["biases"][name][fold]
                mean[int(row["id"].rsplit("-", 1)[1])] += 0.5 / (1 + np.exp(-log_odds))
    labels = np.arange(180) % 2
    clipped = np.clip(np.where(labels == 1, mean, 1 - mean), 0.2, 1.0)
    expected = clipped / np.where(labels == 1, clipped[labels == 1].mean(), clipped[labels == 0].mean())
    weights = rows_of(path / "weights.jsonl")
    assert [row["id"] for row in weights] == [entry["id"] for entry in fold_runs.records["train"]]
    assert [row["weight"] for row in weights] == pytest.approx(expected, rel=1e-5)
    trust = rows_of(path / "trust.jsonl")
    assert [row["probability"] for row in trust] == pytest.approx(mean, abs=1e-5)


def test_training_reads_the_weights_and_none_is_of_validation_or_test(weigh, models, fold_runs):
    from models.data.sample_weights import read_weights

    path = weigh(models) / "weights.jsonl"
    ids = [entry["id"] for entry in fold_runs.records["train"]]
    assert read_weights(path, ids).mean() == pytest.approx(1.0)
    weighed = {row["id"] for row in rows_of(path)}
    assert weighed == set(ids)
    for split in ("valid", "test"):
        assert not weighed & {entry["id"] for entry in fold_runs.records[split]}


def test_the_test_split_is_not_opened(weigh, models, fold_runs):
    before = (weigh(models) / "weights.jsonl").read_bytes()
    (fold_runs.data / "test.jsonl").unlink()
    assert (weigh(models) / "weights.jsonl").read_bytes() == before


def test_equal_input_gives_equal_bytes(weigh, models):
    first, second = weigh(models), weigh(models)
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_planted_noise_is_found_with_the_area_counted_by_hand(weigh, fold_runs, scorer):
    rows = list(range(120, 180, 7))
    planted = plant(fold_runs, rows)
    planted.write_text(planted.read_text() + '{"source": "collected", "idx": "dropped"}\n')
    runs = fold_runs.fold_models("gnn", scorer(1.5, 1))
    path = weigh({"gnn": runs}, planted=planted)
    found = json.loads((path / "weighing.json").read_text())["planted"]
    trust = np.array([row["trust"] for row in rows_of(path / "trust.jsonl")])
    others = [row for row in range(120, 180) if row not in rows]
    same_fold = [(trust[w], trust[r]) for w in rows for r in others if fold_runs.fold_of[w] == fold_runs.fold_of[r]]
    pairs = [(w < r) + 0.5 * (w == r) for w, r in same_fold]
    assert found["auroc"]["value"] == pytest.approx(np.mean(pairs), abs=1e-5)
    assert found["auroc"]["low"] < found["auroc"]["value"] <= found["auroc"]["high"]
    assert found["auroc"]["low"] > 0.7
    assert (found["num_planted"], found["num_known"], found["num_absent"]) == (9, 60, 1)
    assert found["by_model"]["gnn"] == found["auroc"]["value"]
    ranked = [
        (rank, own)
        for fold in range(3)
        for rank, own in enumerate(sorted((r for r in range(120, 180) if fold_runs.fold_of[r] == fold), key=trust.item))
    ]
    sizes = np.bincount([fold_runs.fold_of[row] for row in range(120, 180)])
    ranked = sorted(((rank + 0.5) / sizes[fold_runs.fold_of[own]], own) for rank, own in ranked)[:9]
    assert found["precision_at_planted"] == pytest.approx(np.mean([own in rows for _, own in ranked]), abs=1e-6)
    issues = np.array([row["is_issue"] for row in rows_of(path / "trust.jsonl")])
    assert found["issues"]["recall"] == pytest.approx(issues[rows].mean(), abs=1e-6)
    assert found["issues"]["precision"] == pytest.approx(issues[rows].sum() / issues[120:].sum(), abs=1e-6)
    assert sum(each["num_planted"] for each in found["by_label"].values()) == 9
    assert json.loads((path / "numbers.json").read_text())["planted_auroc"] == found["auroc"]


def test_what_was_planted_changes_no_weight(weigh, models, fold_runs):
    path = fold_runs.path / "planted.jsonl"
    path.write_text('{"source": "collected", "idx": "121"}\n')
    plain, measured = weigh(models), weigh(models, planted=path)
    assert (plain / "weights.jsonl").read_bytes() == (measured / "weights.jsonl").read_bytes()
    assert json.loads((plain / "weighing.json").read_text())["planted"] is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"source": "other", "idx": "1"}\n', "no training record is meant"),
        ('{"source": "clean"}\n', r"planted.jsonl:1: expected"),
        ('{"source": "clean", "idx": 1}\n{"source": "clean", "idx": "1"}\n', "idx '1' of 'clean' comes twice"),
        (None, "no such file"),
    ],
)
def test_planted_labels_that_mean_nothing_are_refused(weigh, models, fold_runs, content, message):
    path = fold_runs.path / "planted.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataInvalid, match=message):
        weigh(models, planted=path)


def test_the_least_trusted_records_are_shown_with_their_code(weigh, models, fold_runs):
    path = weigh(models, num_hard=5)
    trust = rows_of(path / "trust.jsonl")
    shown = rows_of(path / "hard_set.jsonl")
    by_fold = [sorted(row["trust"] for row in trust if row["fold"] == fold) for fold in range(3)]
    assert sorted(row["trust"] for row in shown[:3]) == sorted(own[0] for own in by_fold)  # the least of each fold
    assert {row["trust"] for row in shown[3:]} < {own[1] for own in by_fold}
    assert [row["trust_percentile"] for row in shown] == sorted(row["trust_percentile"] for row in shown)
    entry = next(e for e in fold_runs.records["train"] if e["id"] == shown[0]["id"])
    assert shown[0]["code"] == entry["code"]
    assert (shown[0]["project"], shown[0]["group"]) == (entry["metadata"]["project"], entry["metadata"]["group"])
    assert next(row for row in trust if row["id"] == entry["id"]).items() <= shown[0].items()


def test_pruning_moves_no_prior_and_random_keeps_the_weights(weigh, fold_runs, scorer):
    plant(fold_runs, [7, 8, 50, 90])
    runs = {"gnn": fold_runs.fold_models("gnn", scorer(3.0, 1))}
    weighed = {treatment: weigh(runs, treatment=treatment) for treatment in ("confidence", "prune", "random")}
    found = {name: json.loads((path / "weighing.json").read_text()) for name, path in weighed.items()}
    for document in found.values():
        after = document["distribution"]["after"]["by_label"]
        assert {label: after[label]["weight"] for label in after} == {"0": 88.0, "1": 92.0}
        assert document["distribution"]["before"]["all"]["effective_sample_size"] == 180.0
    pruned = [row["weight"] == 0.0 for row in rows_of(weighed["prune"] / "weights.jsonl")]
    assert pruned == [row["is_issue"] for row in rows_of(weighed["prune"] / "trust.jsonl")]
    assert sum(found["prune"]["num_issues"].values()) == sum(pruned) > 0
    assert pruned[7]
    assert found["prune"]["distribution"]["after"]["all"]["num_records"] == 180 - sum(pruned)
    weights = {name: [row["weight"] for row in rows_of(path / "weights.jsonl")] for name, path in weighed.items()}
    assert sorted(weights["random"]) == sorted(weights["confidence"])
    assert weights["random"] != weights["confidence"]


def test_records_never_held_out_weigh_1_before_normalising_and_are_counted(weigh, fold_runs, scorer):
    fold_runs.write_folds([None if row < 12 else row // 4 % 3 for row in range(180)])
    path = weigh({"gnn": fold_runs.fold_models("gnn", scorer(1.5, 1))})
    trust, weights = rows_of(path / "trust.jsonl"), [row["weight"] for row in rows_of(path / "weights.jsonl")]
    assert all((row["trust"], row["fold"], row["is_issue"]) == (None, None, False) for row in trust[:12])
    assert max(weights[0::2]) == weights[0] == weights[2]
    document = json.loads((path / "weighing.json").read_text())
    assert document["num_never_held_out"] == 12
    assert any("12 of 180 records were never held out" in warning for warning in document["warnings"])


def test_a_source_with_one_label_is_flagged(weigh, fold_runs, scorer):
    for row, entry in enumerate(fold_runs.records["train"]):
        if row >= 120 and entry["label"] == 0:
            entry["metadata"]["source"] = "clean"
    fold_runs.write_data()
    document = json.loads((weigh({"gnn": fold_runs.fold_models("gnn", scorer(1.5, 1))}) / "weighing.json").read_text())
    sources = {entry["source"]: entry for entry in document["sources"]}
    assert sources["collected"]["single_label"]
    assert sources["collected"]["label_counts"] == {"0": 0, "1": 30}
    assert not sources["clean"]["single_label"]
    assert any("source 'collected' has one label only" in warning for warning in document["warnings"])


def offset(own, fold_log_odds):
    """A scorer whose fold models differ by a number and a factor, as if fitted apart."""
    number, factor = fold_log_odds
    return lambda entry: factor * own(entry) + number


def test_offsets_between_fold_models_change_nothing(weigh, fold_runs, scorer):
    """Planted: pooled as they are, the fold of the lowest scores would have all the least trusted labels of 1."""
    planted = plant(fold_runs, list(range(120, 180, 7)))
    same = fold_runs.fold_models("gnn", scorer(1.5, 1))
    apart = [
        fold_runs.fold_models(f"gnn-{fold}", offset(scorer(1.5, 1), change))[fold]
        for fold, change in enumerate([(0.0, 1.0), (4.0, 2.0), (-3.0, 0.5)])
    ]
    one, other = (weigh({"gnn": runs}, planted=planted) for runs in (same, apart))
    weights = [[row["weight"] for row in rows_of(path / "weights.jsonl")] for path in (one, other)]
    assert weights[1] == pytest.approx(weights[0], rel=1e-4)
    first, second = (json.loads((path / "weighing.json").read_text()) for path in (one, other))
    assert second["planted"]["auroc"] == first["planted"]["auroc"]
    assert second["quality"]["gnn"]["auroc"] == first["quality"]["gnn"]["auroc"]
    hard = [row["fold"] for row in rows_of(other / "hard_set.jsonl")]
    assert {hard[:30].count(fold) for fold in range(3)} == {10}


def test_weights_that_hardly_differ_are_announced_with_their_spread(weigh, fold_runs, scorer):
    strong = json.loads((weigh({"gnn": fold_runs.fold_models("gnn", scorer(1.5, 1))}) / "weighing.json").read_text())
    weak_runs = fold_runs.fold_models("gnn-weak", scorer(-0.5, 3))  # validation takes its certainty away
    weak = json.loads((weigh({"gnn": weak_runs}) / "weighing.json").read_text())
    said = [[w for w in each["warnings"] if "hardly differ" in w] for each in (strong, weak)]
    assert [len(each) for each in said] == [0, 1]
    assert weak["weights"]["sd"] < 0.05 < strong["weights"]["sd"]
    assert weak["weights"]["effective_sample_size"] == pytest.approx(180 / (1 + weak["weights"]["sd"] ** 2), rel=1e-4)
    assert weak["weights"]["min"] <= 1 <= weak["weights"]["max"]


def test_an_estimate_by_scores_that_know_little_stands_beside_that_of_shuffled_labels(weigh, fold_runs, scorer):
    weak_path = weigh({"gnn": fold_runs.fold_models("gnn-weak", scorer(0.2, 3))})
    strong_path = weigh({"gnn": fold_runs.fold_models("gnn", scorer(3.0, 1))})
    weak, strong = (json.loads((path / "weighing.json").read_text()) for path in (weak_path, strong_path))
    assert weak["estimated_noise"]["shuffled"] == pytest.approx(weak["estimated_noise"]["overall"], abs=0.2)
    assert strong["estimated_noise"]["shuffled"] > strong["estimated_noise"]["overall"] + 0.2
    assert any("means little, and so does prune" in warning for warning in weak["warnings"])
    assert not any("means little" in warning for warning in strong["warnings"])


def test_scores_that_tell_the_source_are_measured_within_sources(weigh, fold_runs):
    """Most of one source have label 1, of the other 0: a model that knows the source alone ranks well."""
    for row, entry in enumerate(fold_runs.records["train"]):
        is_rare = row % 10 == 0 or row % 10 == 7
        entry["metadata"]["source"] = "bugs" if (entry["label"] == 1) != is_rare else "clean"
        entry["metadata"]["origin"] = f"origin-{entry['label']}"
    fold_runs.write_data()

    def by_source(entry):
        random = np.random.default_rng([*entry["id"].encode()])
        told = entry["metadata"]["source"] == "bugs" if "TRAIN" in entry["id"] else entry["label"] == 1
        return (1.0 if told else -1.0) + 0.3 * float(random.normal())

    document = json.loads((weigh({"gnn": fold_runs.fold_models("gnn", by_source)}) / "weighing.json").read_text())
    quality = document["quality"]["gnn"]
    assert quality["auroc"] > 0.65
    assert quality["auroc_within_sources"] == pytest.approx(0.5, abs=0.12)
    assert any("much of what it tells is the source" in warning for warning in document["warnings"])
    assert document["single_label_origins"] == ["origin-0", "origin-1"]
    assert any("2 origins, such as 'origin-0', have one label only" in warning for warning in document["warnings"])


def test_scores_that_know_nothing_are_announced(weigh, fold_runs, scorer):
    path = weigh({"gnn": fold_runs.fold_models("gnn", scorer(0.0, 3))})
    document = json.loads((path / "weighing.json").read_text())
    assert document["quality"]["gnn"]["auroc"] < 0.6
    said = [event for event in rows_of(path / "progress.jsonl") if event["event"] == "notice"]
    assert [event["message"] for event in said] == document["warnings"]
    assert any("such scores say little of labels" in warning for warning in document["warnings"])


def test_a_class_of_which_nothing_would_be_left_is_refused(weigh, models, monkeypatch):
    monkeypatch.setattr(
        "models.evaluation.out_of_fold.judged_labels.suspected_labels",
        lambda labels, probabilities: np.asarray(labels) == 1,
    )
    with pytest.raises(DataInvalid, match="cannot be weighed by prune: every weight of label 1 is 0"):
        weigh(models, treatment="prune")


def test_a_leak_is_refused_before_anything_is_written(weigh, models, fold_runs, tmp_path):
    fold_runs.change(models["gnn"][0], "predictions_held_out.jsonl", lambda rows: rows[1:])
    with pytest.raises(FusionLeak, match="have no score"):
        weigh(models)
    assert not list(tmp_path.glob("weigh-*/weigh*"))


def test_a_job_that_is_asked_to_stop_leaves_nothing(weigh, models, tmp_path):
    with pytest.raises(Interrupted):
        weigh(models, stop=True)
    assert not list(tmp_path.glob("weigh-*/weigh*"))
