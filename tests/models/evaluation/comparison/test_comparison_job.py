"""The compare job end to end on small hand-made runs."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from models.errors import DataInvalid, Interrupted, SettingsInvalid
from models.evaluation.comparison.job import COMPARISON_FILE, run
from models.evaluation.metrics import metrics_at
from models.evaluation.records import read_probabilities, read_split
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.compare import CompareSettings
from models.store.manifest import write_manifest
from models.store.openings import read_openings

SEEDS = ("1", "2", "3")
BASELINES = ["majority", "always_1", "length", "project", "tfidf_lr"]


def entries(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def seal(folder, kind="predict", **numbers):
    """Finish a run as its job would."""
    files = sorted(path.name for path in folder.glob("predictions_*.jsonl"))
    content = {"kind": kind, "numbers": {"held_out": None, "left_out": None, **numbers}, "files": files}
    (folder / "result.json").write_text(json.dumps(content))
    write_manifest(folder, [*files, "result.json"], kind=kind, run_key="0" * 64, build_key="1" * 64)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def system(tmp_path, records_path):
    """Writes predict runs of a system, one a seed; gives it as the settings name it."""

    def made(name, *, skill, seeds=SEEDS, splits=("valid", "test"), probes=()):
        found = {}
        for seed in seeds:
            folder = tmp_path / f"{name}-{seed}"
            folder.mkdir()
            random = np.random.default_rng([*name.encode(), int(seed)])
            files = {split: records_path / f"{split}.jsonl" for split in splits}
            files |= {probe: tmp_path / probe / "test.jsonl" for probe in probes}
            for split, path in files.items():
                rows = []
                for entry in entries(path):
                    score = float(np.clip(skill * entry["label"] + (1 - skill) * random.random(), 0, 1))
                    rows.append({"id": entry["id"], "label": entry["label"], "probability": score})
                write(folder / f"predictions_{split}.jsonl", rows)
            seal(folder)
            found[seed] = folder
        return {"title": name.title(), "phase": "phase1", "model_kind": "gnn", "predictions": found}

    return made


@pytest.fixture
def probe(tmp_path, records_path):
    """Writes a probe run: pairs, or the test records with other code."""

    def made(name, kind):
        folder = tmp_path / name
        folder.mkdir()
        rows = entries(records_path / "test.jsonl")
        if kind == "pairs":
            for at, row in enumerate(rows):  # labels alternate
                row["id"], row["label"] = f"PAIR-{at}", 1 - at % 2
                row["metadata"] |= {"pair": f"p{at // 2}", "side": ("vulnerable", "fixed")[at % 2]}
        else:
            for row in rows:
                row["code"] = row["code"].replace("x", "y")
        write(folder / "test.jsonl", rows)
        (folder / "probe.json").write_text(json.dumps({"kind": kind}))
        return folder

    return made


@pytest.fixture
def compare(tmp_path, records_path):
    """Runs the job; gives the parsed comparison and the result."""

    def call(systems, *, attempt=1, stop=False, **settings):
        run_path = tmp_path / f"compare-{attempt}"
        run_path.mkdir(exist_ok=True)
        events = EventStream(run_path / "progress.jsonl", echo=None)
        context = JobContext(run_path, tmp_path / "runs", events, stop_requested=lambda: stop, attempt=attempt)
        settings = {"num_resamples": 400, "data": records_path, "systems": systems, **settings}
        result = run(CompareSettings.model_validate(settings), context)
        return json.loads((run_path / COMPARISON_FILE).read_text()), result

    return call


def notices(tmp_path):
    lines = entries(tmp_path / "compare-1" / "progress.jsonl")
    return [event["message"] for event in lines if event["event"] == "notice"]


def test_the_document_holds_systems_and_baselines_by_seed(compare, system, records_path):
    good, poor = system("good", skill=0.6), system("poor", skill=0.1)
    found, result = compare({"good": good, "poor": poor})
    assert found["test_opened"]
    assert list(found["systems"]) == ["good", "poor", *BASELINES]
    test = read_split(records_path / "test.jsonl")
    one = found["systems"]["good"]
    assert one["seeds"] == list(SEEDS)
    for seed in SEEDS:
        scores = read_probabilities(good["predictions"][seed] / "predictions_test.jsonl", test)
        expected = metrics_at(test.labels, scores, one["thresholds"][seed])
        for metric, value in expected.items():
            assert one["metrics"][metric]["by_seed"][seed] == pytest.approx(value, abs=1e-6)
    for measured in found["systems"].values():
        for name, metric in measured["metrics"].items():
            assert metric["value"] == pytest.approx(np.mean(list(metric["by_seed"].values())), abs=2e-6)
            assert (metric["low"] is None) == (name == "ece")
        assert sum(entry["num_records"] for entry in measured["calibration"]) == 44 * len(measured["seeds"])
    baseline = found["systems"]["tfidf_lr"]
    assert (baseline["seeds"], baseline["median_seed"], baseline["metrics"]["f1"]["seed_sd"]) == (["-"], None, None)
    assert result.files == (COMPARISON_FILE,)
    assert result.numbers["metrics"]["good"]["f1"] == one["metrics"]["f1"]["value"]


def test_a_good_system_is_shown_to_be_better_and_the_sentence_says_so(compare, system):
    found, _ = compare({"poor": system("poor", skill=0.1), "good": system("good", skill=0.7)})
    assert [row["metric"] for row in found["comparisons"]] == ["f1", "mcc", "auroc"]
    assert all(row["shown"] and row["high"] < 0 for row in found["comparisons"])
    (verdict,) = found["verdicts"]
    assert verdict.startswith("good is shown to be better than poor on F1 (+")
    assert found["comparisons"][0]["p_mcnemar"] is not None
    assert found["comparisons"][1]["p_mcnemar"] is None


def test_no_difference_comes_with_what_could_not_be_seen(compare, system):
    found, _ = compare({"one": system("one", skill=0.3), "two": system("two", skill=0.3, seeds=("1", "2"))})
    (verdict,) = found["verdicts"]
    least = found["comparisons"][1]["minimum_detectable"]
    assert verdict.startswith("No difference is shown between one and two on F1, MCC or AUROC: with 2 seeds and 44")
    assert ("any on F1" in verdict) == (least >= 1.0)
    assert any(
        "one (3 seeds) and two (2 seeds) are compared over 2 seeds that both have" in w for w in found["warnings"]
    )


def test_nothing_of_the_test_split_reaches_what_is_frozen(compare, system, records_path):
    systems = {"one": system("one", skill=0.4), "two": system("two", skill=0.3)}
    before, _ = compare(systems, attempt=1)
    runs = [run_path for each in systems.values() for run_path in each["predictions"].values()]
    random = np.random.default_rng(5)
    for path in (records_path / "test.jsonl", *(run_path / "predictions_test.jsonl" for run_path in runs)):
        rows = entries(path)
        for row in rows:
            row["label"] = 1 - row["label"]
            if "probability" in row:
                row["probability"] = float(random.random())
        write(path, rows)
    for run_path in runs:
        seal(run_path)
    after, _ = compare(systems, attempt=2)
    for name, told in before["systems"].items():
        now = after["systems"][name]
        assert now["thresholds"] == told["thresholds"]
        assert now["vds"]["thresholds"] == told["vds"]["thresholds"]
        assert now["median_seed"] == told["median_seed"]
        if told["is_model"]:
            assert now["metrics"] != told["metrics"]


def test_where_no_run_opened_the_test_split_it_stays_sealed_and_every_sentence_says_so(
    compare, system, records_path, tmp_path, probe
):
    (records_path / "test.jsonl").rename(tmp_path / "test.jsonl")
    (records_path / "test.jsonl").write_text("not to be read")
    systems = {name: system(name, skill=0.5, splits=("valid",)) for name in ("one", "other")}
    shutil.copy(tmp_path / "test.jsonl", records_path / "copy.jsonl")
    found, result = compare(systems)
    assert not found["test_opened"]
    assert not result.numbers["test_opened"]
    assert (found["data"]["measured_on"], found["data"]["test_sha256"]) == ("valid", None)
    assert all(verdict.startswith("On validation, where thresholds were chosen too") for verdict in found["verdicts"])
    assert "the test split stays sealed" in found["warnings"][0]
    assert read_openings(tmp_path / "runs") == []


def test_baselines_on_test_and_probes_are_openings_of_their_own(compare, system, probe, tmp_path):
    folder = probe("rename", "rename")
    compare({"one": system("one", skill=0.5, probes=("rename",))}, probes={"rename": folder}, attempt=2)
    openings = read_openings(tmp_path / "runs")
    assert [(opening.split, opening.attempt) for opening in openings] == [("test", 2), ("rename", 2)]
    assert len({opening.run_key for opening in openings}) == 1
    assert "tfidf_lr" in openings[0].purpose


def test_probes_are_measured_on_those_who_scored_them(compare, system, probe):
    probes = {"pairs": probe("pairs", "pairs"), "rename": probe("rename", "rename")}
    systems = {"one": system("one", skill=0.9, probes=("pairs", "rename")), "two": system("two", skill=0.5)}
    found, _ = compare(systems, probes=probes)
    one, two = found["systems"]["one"], found["systems"]["two"]
    assert (two["pairs"], two["robustness"]) == (None, {})
    assert one["pairs"]["num_pairs"] == 22
    outcomes = [one["pairs"][name]["value"] for name in ("P-C", "P-V", "P-B", "P-R")]
    assert sum(outcomes) == pytest.approx(1.0, abs=1e-5)
    assert one["pairs"]["P-C"]["value"] > 0.9
    changed = one["robustness"]["rename"]
    unchanged = one["metrics"]["auroc"]["value"]
    assert changed["auroc"]["difference"] == pytest.approx(changed["auroc"]["value"] - unchanged, abs=2e-6)
    assert 0.0 <= changed["answers_changed"] < 0.2
    assert found["systems"]["tfidf_lr"]["pairs"]["num_pairs"] == 22


def test_an_unchanged_probe_changes_nothing(compare, system, probe):
    folder = probe("same", "reformat")
    one = system("one", skill=0.4, probes=("same",))
    for run_path in one["predictions"].values():
        shutil.copy(run_path / "predictions_test.jsonl", run_path / "predictions_same.jsonl")
        seal(run_path)
    found, _ = compare({"one": one}, probes={"same": folder})
    same = found["systems"]["one"]["robustness"]["same"]
    assert same["answers_changed"] == 0.0
    assert [same["f1"][key] for key in ("difference", "low", "high")] == [0.0, 0.0, 0.0]
    assert found["comparisons"] == found["verdicts"] == []


def test_equal_input_gives_equal_bytes(compare, system, tmp_path):
    systems = {"one": system("one", skill=0.4), "two": system("two", skill=0.3)}
    compare(systems, attempt=1)
    compare(systems, attempt=2)
    first, second = (tmp_path / f"compare-{attempt}" / COMPARISON_FILE for attempt in (1, 2))
    assert first.read_bytes() == second.read_bytes()
    assert str(tmp_path) not in first.read_text()


def test_what_weakens_the_numbers_is_said(compare, system, tmp_path):
    one = system("one", skill=0.0)
    shutil.copy(one["predictions"]["1"] / "predictions_valid.jsonl", one["predictions"]["3"])
    seal(one["predictions"]["3"])
    found, _ = compare({"one": one, "two": system("two", skill=0.2)}, num_resamples=50)
    said = "\n".join(found["warnings"])
    for part in (
        "test is small: 44 records of 11 groups",
        "validation has 20 safe records, too few for 0.005",
        "one seed 1 and one seed 3 scored every validation record alike",
        "3 seeds: a t-test over them sees only differences of 3.26 or more",
        "not above the best baseline: one (",
        "num_resamples=50 is too few",
    ):
        assert part in said
    assert notices(tmp_path) == found["warnings"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.update(id="OTHER"), "record 1 has id 'OTHER'"),
        (lambda row: row.update(label=1), "has label 1, not 0"),
        (lambda row: row.update(code="int f;"), "has other code"),
    ],
)
@pytest.mark.parametrize("split", ["valid", "test"])
def test_other_records_in_the_same_data_are_refused(compare, system, records_path, tmp_path, split, change, message):
    other = tmp_path / "other"
    shutil.copytree(records_path, other)
    rows = entries(other / f"{split}.jsonl")
    change(rows[0])
    write(other / f"{split}.jsonl", rows)
    with pytest.raises(DataInvalid, match=message):
        compare({"one": system("one", skill=0.5)}, same_data=[other])


def test_other_training_records_are_no_reason_to_refuse_and_have_a_text_baseline(
    compare, system, records_path, tmp_path
):
    one, other, same = system("one", skill=0.5), tmp_path / "other", tmp_path / "same"
    shutil.copytree(records_path, same)
    shutil.copytree(records_path, other)
    write(other / "train.jsonl", entries(records_path / "train.jsonl")[:40])
    found, _ = compare({"one": one}, same_data=[same, other])
    assert list(found["systems"]) == ["one", *BASELINES, "tfidf_lr_other"]
    baselines = [found["systems"][name] for name in ("tfidf_lr", "tfidf_lr_other")]
    num_train = len(entries(records_path / "train.jsonl"))
    for baseline, told in zip(
        baselines, (f"{num_train} training records of data", "40 training records of same_data[1]"), strict=True
    ):
        assert baseline["description"].endswith(f"from the {told}")
    alone, _ = compare({"one": one}, data=other, attempt=2)
    assert alone["systems"]["tfidf_lr"]["metrics"] == baselines[1]["metrics"]
    assert baselines[0]["metrics"] != baselines[1]["metrics"]


def test_leaks_are_looked_for_in_every_training_set(compare, system, records_path, tmp_path):
    one, other = system("one", skill=0.5), tmp_path / "other"
    shutil.copytree(records_path, other)
    twins = {"duplicates": {"with_twin_in_train": {"valid": {"either": 1}, "test": {"either": 5}}}}
    (other / "preprocessing_metadata.json").write_text(json.dumps(twins))
    leaked = [row | {"id": f"L{at}"} for at, row in enumerate(entries(records_path / "test.jsonl")[:6])]
    write(other / "train.jsonl", entries(records_path / "train.jsonl") + leaked)
    found, _ = compare({"one": one}, same_data=[other])
    num_train, groups = len(entries(records_path / "train.jsonl")), {row["metadata"]["group"] for row in leaked}
    assert found["leaks"] == [
        {"records": "data", "num_train": num_train, "groups_in_train": 0, "twins_in_train": None},
        {
            "records": "same_data[0]",
            "num_train": num_train + 6,
            "groups_in_train": len(groups),
            "twins_in_train": 5,
        },
    ]
    (warning,) = (warning for warning in found["warnings"] if " leak: " in warning)
    assert warning.startswith(f"training records of same_data[0] leak: {len(groups)} test commits and 5 copies of test")
    (other / "preprocessing_metadata.json").write_text("{}")
    with pytest.raises(DataInvalid, match="expected what the preprocess job says"):
        compare({"one": one}, same_data=[other])


def test_rows_say_what_each_test_says(compare, system):
    found, _ = compare({"one": system("one", skill=0.4), "two": system("two", skill=0.35)}, num_resamples=200)
    for row in found["comparisons"]:
        assert 2 - 1e-6 <= row["degrees"] <= 13
        assert 0 < row["p_combined"] <= row["p_combined_corrected"] <= 1
        assert row["shown"] == (row["p_bootstrap_corrected"] < 0.05 and row["p_combined_corrected"] < 0.05)
        assert row["too_bold"] == (row["p_bootstrap_corrected"] < 0.05 and not row["shown"])


def tampered(run_path):
    rows = entries(run_path / "predictions_test.jsonl")
    write(run_path / "predictions_test.jsonl", [row | {"probability": float(row["label"])} for row in rows])


def scored_again(run_path):
    shutil.copy(run_path / "predictions_test.jsonl", run_path / "predictions_rename.jsonl")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (tampered, "predictions_test.jsonl: not as its run wrote it"),
        (scored_again, "predictions_rename.jsonl: the manifest of the run does not list it"),
        (lambda run_path: (run_path / "predictions_valid.jsonl").unlink(), "valid.jsonl: not as its run wrote it"),
        (lambda run_path: (run_path / "manifest.json").unlink(), "is no finished run"),
        (lambda run_path: (run_path / "manifest.json").write_text("{}"), "its manifest is damaged"),
        (lambda run_path: seal(run_path, kind="train"), "is a train run; expected one of predict or fuse"),
        (lambda run_path: seal(run_path, left_out={"fold": 0}), "its model left a fold out"),
        (lambda run_path: seal(run_path, held_out={"fold": 0}), "its model left a fold out"),
    ],
)
def test_runs_that_are_not_what_they_were_are_refused(compare, system, tmp_path, fault, message):
    one = system("one", skill=0.5)
    fault(one["predictions"]["2"])
    with pytest.raises(DataInvalid, match=message):
        compare({"one": one})
    assert read_openings(tmp_path / "runs") == []


def test_a_fusion_is_a_system(compare, system):
    one = system("one", skill=0.5)
    for run_path in one["predictions"].values():
        seal(run_path, kind="fuse", model_kind="fusion")
    compare({"one": one})


def test_runs_that_do_not_belong_together_are_refused(compare, system, records_path):
    sealed, opened = system("sealed", skill=0.5, splits=("valid",)), system("opened", skill=0.5)
    with pytest.raises(SettingsInvalid, match="sealed seed 1, sealed seed 2, sealed seed 3 have no predictions_test"):
        compare({"sealed": sealed, "opened": opened})
    with pytest.raises(SettingsInvalid, match="share no seed"):
        compare({"opened": opened, "others": system("others", skill=0.5, seeds=("7", "8"))})
    with pytest.raises(SettingsInvalid, match="'tfidf_lr' is the name of a baseline"):
        compare({"tfidf_lr": opened})
    (opened["predictions"]["2"] / "predictions_valid.jsonl").unlink()
    seal(opened["predictions"]["2"])
    with pytest.raises(DataInvalid, match="predict this split with the model first"):
        compare({"opened": opened})


def test_probes_that_cannot_be_measured_are_refused(compare, system, probe, tmp_path, records_path):
    renamed, pairs = probe("rename", "rename"), probe("pairs", "pairs")
    one = system("one", skill=0.5, probes=("rename",))
    with pytest.raises(SettingsInvalid, match="both of pairs"):
        compare({"one": one}, probes={"pairs": pairs, "more": pairs})
    with pytest.raises(DataInvalid, match="expected the result of a probe job"):
        compare({"one": one}, probes={"rename": records_path})
    (renamed / "probe.json").write_text('{"kind": "translate"}')
    with pytest.raises(DataInvalid, match="'translate' is not known"):
        compare({"one": one}, probes={"rename": renamed})
    (renamed / "probe.json").write_text('{"kind": "rename"}')
    write(renamed / "test.jsonl", entries(renamed / "test.jsonl")[::-1])
    with pytest.raises(DataInvalid, match="expected the ids and labels of"):
        compare({"one": one}, probes={"rename": renamed})
    (one["predictions"]["2"] / "predictions_rename.jsonl").unlink()
    seal(one["predictions"]["2"])
    with pytest.raises(SettingsInvalid, match="one seed 2 have no predictions_rename"):
        compare({"one": one}, probes={"rename": renamed})


def test_records_that_nothing_can_be_drawn_from_are_refused(compare, system, records_path):
    one = system("one", skill=0.5)
    rows = entries(records_path / "valid.jsonl")
    write(records_path / "valid.jsonl", [{**row, "metadata": {**row["metadata"], "group": "g"}} for row in rows])
    with pytest.raises(DataInvalid, match="all records are of one group"):
        compare({"one": one})
    write(records_path / "valid.jsonl", [{**row, "label": 0} for row in rows])
    with pytest.raises(DataInvalid, match="every record has label 0"):
        compare({"one": one})


def test_findings_are_refused(compare, system, findings_path):
    with pytest.raises(SettingsInvalid, match="holds findings"):
        compare({"one": system("one", skill=0.5)}, data=findings_path)


def test_settings_that_contradict_themselves_are_refused(system):
    one = system("one", skill=0.5)
    for change, message in (
        ({"comparisons": [("a", "a")]}, "with itself"),
        ({"comparisons": [("a", "c")]}, "no system is called 'c'"),
        ({"comparisons": [("a", "b"), ("b", "a")]}, "named twice"),
        ({"probes": {"valid": "."}}, "name of a split"),
        ({"probes": {"../x": "."}}, "String should match pattern"),
    ):
        with pytest.raises(ValueError, match=message):
            CompareSettings.model_validate({"data": ".", "systems": {"a": one, "b": one}, **change})


def test_a_job_that_is_asked_to_stop_leaves_nothing(compare, system, tmp_path):
    with pytest.raises(Interrupted):
        compare({"one": system("one", skill=0.5)}, stop=True)
    assert not (tmp_path / "compare-1" / COMPARISON_FILE).exists()
