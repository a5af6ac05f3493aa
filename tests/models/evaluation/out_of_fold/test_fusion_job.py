"""The fuse job on hand-made runs: cross-fitted by hand, the gain, the bases, and test labels that decide nothing."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models.errors import DataInvalid, FusionLeak, Interrupted, SettingsInvalid
from models.evaluation.comparisons import holm
from models.evaluation.evaluation_document import read_source
from models.evaluation.out_of_fold.fusion_gain import cross_fit
from models.evaluation.out_of_fold.fusion_job import run
from models.evaluation.out_of_fold.scored_rows import log_losses, sigmoid
from models.evaluation.out_of_fold.stacking import fit_fuser
from models.evaluation.out_of_fold.temperature import fit_temperature
from models.evaluation.records import read_probabilities, read_split
from models.evaluation.thresholds import best_f1_threshold
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.jobs.keys import run_key
from models.settings.fuse import FuseSettings
from models.store.manifest import write_manifest


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def fuse(tmp_path, fold_runs):
    """Runs the job to a finished run directory."""
    number = itertools.count()

    def call(out_of_fold, *, stop=False, **settings):
        run_path = tmp_path / f"fuse-{next(number)}"
        run_path.mkdir()
        events = EventStream(run_path / "progress.jsonl")
        context = JobContext(run_path, tmp_path / "runs", events, stop_requested=lambda: stop)
        document = {"data": fold_runs.data, "folds": fold_runs.folds, "out_of_fold": out_of_fold}
        fusion = FuseSettings.model_validate(document | {"num_resamples": 200} | settings)
        result = run(fusion, context)
        (run_path / "result.json").write_text(json.dumps({"kind": "fuse", "numbers": result.numbers}))
        write_manifest(
            run_path, [*result.files, "result.json"], kind="fuse", run_key=run_key(fusion), build_key="b" * 64
        )
        return run_path

    return call


@pytest.fixture
def models(fold_runs, scorer):
    return {
        "gnn": fold_runs.fold_models("gnn", scorer(0.7, 1)),
        "transformer": fold_runs.fold_models("transformer", scorer(0.6, 2)),
    }


@pytest.fixture
def bases(fold_runs, scorer):
    return {
        "gnn": fold_runs.base("gnn", scorer(0.7, 1), "test", "rename", "train"),
        "transformer": fold_runs.base("transformer", scorer(0.6, 2), "test", "train"),
    }


@pytest.fixture(autouse=True)
def probe(fold_runs):
    """A probe has the test records, changed; to the scorers here they are the same."""
    fold_runs.records["rename"] = fold_runs.records["test"]


def fusion_in(path):
    return json.loads((path / "fusion.json").read_text())


def said(fold_runs, scorer, splits="train"):
    """``(N, 2)`` log-odds of the two models."""
    return np.array(
        [[scorer(skill, seed)(entry) for entry in fold_runs.records[splits]] for skill, seed in ((0.7, 1), (0.6, 2))]
    ).T


def standardised(fold_runs, scorer, splits="train"):
    """``(N, 2)`` the same, less the mean and over the deviation that each has on validation."""
    valid = said(fold_runs, scorer, "valid")
    return (said(fold_runs, scorer, splits) - valid.mean(axis=0)) / valid.std(axis=0)


def within_folds(labels, scores, fold):
    parts = [fold == number for number in np.unique(fold)]
    pairs = [(labels[part] == 0).sum() * (labels[part] == 1).sum() for part in parts]
    return np.average([roc_auc_score(labels[part], scores[part]) for part in parts], weights=pairs)


@pytest.mark.parametrize("method", ["average", "stacker"])
def test_each_fold_is_scored_by_what_was_learnt_on_the_others(fuse, models, fold_runs, scorer, method):
    path = fuse(models, method=method)
    found = fusion_in(path)
    fold, labels = np.array(fold_runs.fold_of), np.array([entry["label"] for entry in fold_runs.records["train"]])
    scores = standardised(fold_runs, scorer)
    expected, called = np.zeros(180), np.zeros(180, dtype=bool)
    for number in range(3):
        inside, outside = fold == number, fold != number
        fuser = fit_fuser(method, scores[outside], labels[outside], regularisation=1.0)
        expected[inside] = fuser.probabilities(scores[inside])
        threshold = best_f1_threshold(labels[outside], fuser.probabilities(scores[outside])).value
        called[inside] = expected[inside] >= threshold
    rows = rows_of(path / "predictions_out_of_fold.jsonl")
    assert [row["probability"] for row in rows] == pytest.approx(expected, rel=1e-6)
    assert [row["fold"] for row in rows] == fold.tolist()
    assert [row["id"] for row in rows] == [entry["id"] for entry in fold_runs.records["train"]]
    assert rows[5]["group"] == "joined-1"
    fused = found["out_of_fold"]["systems"]["fusion"]
    assert fused["log_loss"] == pytest.approx(log_losses(labels, np.log(expected / (1 - expected))).mean(), abs=1e-5)
    assert fused["auroc"] == pytest.approx(within_folds(labels, expected, fold), abs=1e-6)
    hits = (called & (labels == 1)).sum()
    assert fused["f1"] == pytest.approx(2 * hits / (called.sum() + labels.sum()), abs=1e-6)


def test_labels_of_a_fold_change_nothing_that_is_learnt_for_it(fold_runs, scorer):
    """Planted: a threshold, a choice of model or a fusion learnt on its own fold would move with these labels."""
    scores = standardised(fold_runs, scorer)
    fold, labels = np.array(fold_runs.fold_of), np.arange(180) % 2

    def fit(some, their_labels):
        return fit_fuser("stacker", some, their_labels, regularisation=1.0)

    turned = np.where(fold == 1, 1 - labels, labels)
    one, other = (cross_fit(scores, own, fold, ["a", "b"], fit) for own in (labels, turned))
    inside = fold == 1
    for name in one.systems:
        assert (one.systems[name].log_odds[inside] == other.systems[name].log_odds[inside]).all()
        assert (one.systems[name].is_called[inside] == other.systems[name].is_called[inside]).all()
    assert one.best_of_fold[1] == other.best_of_fold[1]
    assert (one.fusers[1].weights == other.fusers[1].weights).all()
    assert (one.systems["fusion"].log_odds[~inside] != other.systems["fusion"].log_odds[~inside]).any()


def test_the_best_model_is_chosen_for_each_fold_by_the_others(fold_runs):
    """In fold 0 the second model is far better, and only there: what it is compared with must not know that."""
    fold, labels = np.array(fold_runs.fold_of), np.arange(180) % 2
    sign = 2.0 * labels - 1
    noise = np.random.default_rng(0).normal(size=(180, 2))
    skill = np.stack([np.where(fold == 0, -0.5, 1.0), np.where(fold == 0, 5.0, 0.7)], axis=-1)
    scores = skill * sign[:, None] + noise
    found = cross_fit(scores, labels, fold, ["a", "b"], lambda s, y: fit_fuser("average", s, y, regularisation=1.0))
    assert found.best_of_fold == ["a", "b", "b"]
    for number, name in enumerate(found.best_of_fold):
        own = found.systems[name].log_odds
        assert (found.best.log_odds[fold == number] == own[fold == number]).all()
    assert (found.best.log_odds[fold == 1] != found.systems["a"].log_odds[fold == 1]).any()


def test_a_shrunk_model_is_not_worse_and_offsets_between_folds_cost_nothing(fuse, models, fold_runs, scorer):
    """Planted: with weights of sum 1 and no scale, the model of the larger numbers had all the weight."""
    plain = fusion_in(fuse(models))
    changes = [(0.0, 0.01), (3.0, 0.02), (-2.0, 0.005)]

    def changed(own, number, factor):
        return lambda entry: factor * own(entry) + number

    shrunk = [
        fold_runs.fold_models(f"gnn-{fold}", changed(scorer(0.7, 1), *change))[fold]
        for fold, change in enumerate(changes)
    ]
    found = fusion_in(fuse({"gnn": shrunk, "transformer": models["transformer"]}))
    assert found["weights"] == pytest.approx(plain["weights"], abs=1e-5)
    assert found["weights"]["gnn"] > 0.3
    assert found["out_of_fold"]["systems"]["fusion"] == pytest.approx(
        plain["out_of_fold"]["systems"]["fusion"], abs=1e-5
    )
    assert found["out_of_fold"]["systems"]["gnn"] == pytest.approx(plain["out_of_fold"]["systems"]["gnn"], abs=1e-5)


def test_a_fusion_that_is_one_model_is_announced(fuse, fold_runs, scorer):
    against = {
        "a": fold_runs.fold_models("a", scorer(0.8, 1)),
        "b": fold_runs.fold_models("b", scorer(-0.8, 2)),
    }
    found = fusion_in(fuse(against))
    assert found["weights"] == {"a": 1.0, "b": 0.0}
    assert "a has weight 1.000: the fusion is one model" in found["warnings"]


def test_p_values_of_the_gain_are_corrected_and_the_interval_says_for_whom(fuse, models):
    found = fusion_in(fuse(models))["out_of_fold"]
    gain = found["gain"]
    assert [each["p_value_corrected"] for each in gain.values()] == pytest.approx(
        holm([each["p_value"] for each in gain.values()]), abs=1e-5
    )
    assert "commits are drawn, never projects" in found["interval_for"]
    assert "one seed" in found["interval_for"]


def test_two_models_that_complete_each_other_gain_and_two_alike_do_not(fuse, fold_runs, scorer):
    good = {name: fold_runs.fold_models(name, scorer(0.8, seed)) for seed, name in enumerate(("a", "b"))}
    gain = fusion_in(fuse(good))["out_of_fold"]["gain"]
    assert gain["auroc"]["low"] > 0
    assert gain["log_loss"]["high"] < 0
    alike = {"a": good["a"], "c": fold_runs.fold_models("a-c", scorer(0.8, 0))}
    found = fusion_in(fuse(alike))
    assert found["weights"] == {"a": 0.5, "c": 0.5}
    for metric in found["out_of_fold"]["gain"].values():
        assert (metric["value"], metric["low"], metric["high"], metric["p_value"]) == (0.0, 0.0, 0.0, 1.0)


def test_a_model_that_guesses_takes_little_from_one_that_knows(fuse, fold_runs, scorer):
    models = {
        "coin": fold_runs.fold_models("coin", scorer(0.0, 1)),
        "oracle": fold_runs.fold_models("oracle", scorer(1.7, 2)),
    }
    found = fusion_in(fuse(models))
    assert found["best_base"] == "oracle"
    assert found["out_of_fold"]["best_of_fold"] == ["oracle"] * 3
    systems = found["out_of_fold"]["systems"]
    assert systems["fusion"]["auroc"] == pytest.approx(systems["oracle"]["auroc"], abs=0.01)
    assert systems["fusion"]["log_loss"] < systems["oracle"]["log_loss"] + 0.01


@pytest.mark.parametrize("method", ["average", "stacker"])
def test_bases_are_fused_as_was_learnt_on_their_own_scale(fuse, models, bases, fold_runs, scorer, method):
    path = fuse(models, bases=bases, method=method)
    found = fusion_in(path)
    raw = said(fold_runs, scorer, "valid")
    assert [each["mean"] for each in found["scales"]["bases"].values()] == pytest.approx(raw.mean(axis=0))
    assert [each["deviation"] for each in found["scales"]["bases"].values()] == pytest.approx(raw.std(axis=0))
    weights = found["weights"] if method == "average" else found["coefficients"]
    coefficients = np.array(list(weights.values())) * (found["scale"] if method == "average" else 1.0)
    fused = {
        split: standardised(fold_runs, scorer, split) @ coefficients + found["intercept"] for split in ("valid", "test")
    }
    temperature = fit_temperature([entry["label"] for entry in fold_runs.records["valid"]], fused["valid"])
    assert found["temperature"] == pytest.approx({"value": temperature.value, "bias": temperature.bias})
    for split, log_odds in fused.items():
        rows = rows_of(path / f"predictions_{split}.jsonl")
        assert [row["probability"] for row in rows] == pytest.approx(sigmoid(temperature.apply(log_odds)))
        assert list(rows[0]) == ["id", "group", "label", "probability"]
    assert found["applied_to"]["files"] == ["predictions_valid.jsonl", "predictions_test.jsonl"]
    assert found["applied_to"]["model_run_keys"] == dict.fromkeys(models, "c" * 64)
    assert "weights of labels" in found["applied_to"]["training"]
    assert not (path / "predictions_rename.jsonl").exists()
    assert any("predictions_rename.jsonl is not fused" in warning for warning in found["warnings"])


def test_a_base_that_is_another_model_than_its_fold_models_is_announced(fuse, models, bases, fold_runs, scorer):
    other = bases | {"gnn": fold_runs.base("gnn-other", scorer(3.0, 1), "test")}
    assert any("gnn: the base has AUROC" in warning for warning in fusion_in(fuse(models, bases=other))["warnings"])
    assert not any("the base has AUROC" in warning for warning in fusion_in(fuse(models, bases=bases))["warnings"])


def test_test_labels_and_test_records_decide_nothing(fuse, models, bases, fold_runs):
    """Planted: with every test label turned, nothing differs but the copied labels."""
    before = fuse(models, bases=bases)
    for base in bases.values():
        fold_runs.change(
            base, "predictions_test.jsonl", lambda rows: [row | {"label": 1 - row["label"]} for row in rows]
        )
    (fold_runs.data / "test.jsonl").unlink()
    after = fuse(models, bases=bases)
    for name in ("fusion.json", "predictions_valid.jsonl", "predictions_out_of_fold.jsonl"):
        assert (before / name).read_bytes() == (after / name).read_bytes()
    pairs = list(zip(*(rows_of(path / "predictions_test.jsonl") for path in (before, after)), strict=True))
    assert all(one["probability"] == other["probability"] for one, other in pairs)
    assert all(one["label"] == 1 - other["label"] for one, other in pairs)


def test_validation_of_the_bases_decides_scale_and_certainty_and_nothing_else(fuse, models, bases, fold_runs):
    """The weights are learnt on training: scores of a base's validation that are turned leave them."""
    before = fusion_in(fuse(models, bases=bases))
    fold_runs.change(
        bases["gnn"],
        "predictions_valid.jsonl",
        lambda rows: [row | {"logits": row["logits"][::-1], "probability": 1 - row["probability"]} for row in rows],
    )
    after = fusion_in(fuse(models, bases=bases))
    assert after["weights"] == before["weights"]
    assert after["out_of_fold"] == before["out_of_fold"]
    assert after["scales"]["bases"]["gnn"] != before["scales"]["bases"]["gnn"]
    assert after["temperature"] != before["temperature"]


def test_labels_of_validation_change_no_weight_and_no_gain(fuse, models, fold_runs):
    """Planted: the scale of fold models is learnt without labels."""
    before = fusion_in(fuse(models))
    for entry in fold_runs.records["valid"][:30]:
        entry["label"] = 1 - entry["label"]
    fold_runs.write_data()
    for runs in models.values():
        for run_path in runs:
            fold_runs.change(
                run_path,
                "predictions_valid.jsonl",
                lambda rows: [row | {"label": 1 - row["label"]} if at < 30 else row for at, row in enumerate(rows)],
            )
    assert fusion_in(fuse(models)) == before


def test_a_fused_run_is_read_in_place_of_a_predict_run(fuse, models, bases, fold_runs):
    path = fuse(models, bases=bases)
    source = read_source(path)
    assert source.model_kind == "fusion"
    assert source.run == {"kind": "fuse", "run_key": source.model_run_key}
    assert set(source.sha256) == {"valid", "test"}
    for split in ("valid", "test"):
        records = read_split(fold_runs.data / f"{split}.jsonl")
        assert len(read_probabilities(path / f"predictions_{split}.jsonl", records)) == len(records)


def test_equal_input_gives_equal_bytes(fuse, models, bases):
    first, second = fuse(models, bases=bases), fuse(models, bases=bases)
    for name in ("fusion.json", "predictions_out_of_fold.jsonl", "predictions_valid.jsonl", "predictions_test.jsonl"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_without_bases_only_the_gain_is_measured(fuse, models):
    path = fuse(models)
    assert sorted(p.name for p in path.glob("*.jsonl")) == ["predictions_out_of_fold.jsonl", "progress.jsonl"]
    assert fusion_in(path)["scales"]["bases"] == {}
    assert fusion_in(path)["applied_to"] is None
    assert fusion_in(path)["temperature"] is None


def test_groups_are_drawn_and_what_was_never_held_out_does_not_count(fuse, fold_runs, scorer):
    fold_runs.write_folds([None if row < 4 else row // 60 for row in range(180)])
    found = fusion_in(fuse({name: fold_runs.fold_models(name, scorer(0.8, seed)) for seed, name in enumerate("ab")}))
    assert found["out_of_fold"]["num_records"] == 176
    assert (found["out_of_fold"]["num_groups"], found["out_of_fold"]["num_folds"]) == (44, 3)
    assert any("4 of 180 records were never held out" in warning for warning in found["warnings"])


def test_models_that_cannot_be_fused_are_refused(fuse, models, bases, fold_runs, scorer):
    with pytest.raises(SettingsInvalid, match="joins at least two models"):
        fuse({"gnn": models["gnn"]})
    with pytest.raises(SettingsInvalid, match="'fusion' is the name of what is made here"):
        fuse({"fusion": models["gnn"], "gnn": models["gnn"]})
    with pytest.raises(
        SettingsInvalid, match=r"bases: expected the models of out_of_fold \(gnn, transformer\), found gnn"
    ):
        fuse(models, bases={"gnn": bases["gnn"]})
    with pytest.raises(SettingsInvalid, match=r"bases.gnn: .* of kind transformer, and the fold models .* of kind gnn"):
        fuse(models, bases={"gnn": bases["transformer"], "transformer": bases["gnn"]})
    with pytest.raises(SettingsInvalid, match=r"bases.gnn: the model of .*gnn-fold0 left a fold out"):
        fuse(models, bases=bases | {"gnn": models["gnn"][0]})


BASE_FAULTS = {
    "other records": (lambda rows: [rows[0] | {"id": "X"}, *rows[1:]], "2 records .* such as 'CLEAN-TEST-0'"),
    "fewer records": (lambda rows: rows[1:], "1 records are scored here or in"),
    "other labels": (lambda rows: [rows[0] | {"label": 1}, *rows[1:]], "CLEAN-TEST-0' has another label than in"),
    "a record twice": (lambda rows: [*rows, rows[0]], "'CLEAN-TEST-0' is scored twice"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BASE_FAULTS.values(), ids=BASE_FAULTS)
def test_bases_that_scored_something_else_are_refused(fuse, models, bases, fold_runs, change, message):
    fold_runs.change(bases["transformer"], "predictions_test.jsonl", change)
    with pytest.raises(DataInvalid, match=message):
        fuse(models, bases=bases)


def test_another_order_of_a_bases_rows_is_matched_by_id(fuse, models, bases, fold_runs):
    before = fuse(models, bases=bases)
    fold_runs.change(bases["transformer"], "predictions_test.jsonl", lambda rows: rows[::-1])
    assert (fuse(models, bases=bases) / "predictions_test.jsonl").read_bytes() == (
        before / "predictions_test.jsonl"
    ).read_bytes()


def test_a_base_that_is_not_as_it_was_written_is_refused(fuse, models, bases):
    path = bases["gnn"] / "predictions_test.jsonl"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(FusionLeak, match="no finished predict run as it was written"):
        fuse(models, bases=bases)


def test_a_fusion_row_seen_in_training_is_refused_before_anything_is_written(fuse, models, fold_runs, tmp_path):
    seen = rows_of(models["gnn"][0] / "predictions_held_out.jsonl")[0]
    fold_runs.change(models["gnn"][1], "predictions_held_out.jsonl", lambda rows: [*rows, seen | {"fold": 1}])
    with pytest.raises(FusionLeak, match="so this run's model has learnt from it"):
        fuse(models)
    assert not list(tmp_path.glob("fuse-*/fusion.json"))


def test_a_job_that_is_asked_to_stop_leaves_nothing(fuse, models, tmp_path):
    with pytest.raises(Interrupted):
        fuse(models, stop=True)
    assert not list(tmp_path.glob("fuse-*/fusion.json"))
