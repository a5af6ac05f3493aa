"""What travels with a job answers the same question there as here, and no sealed record travels unasked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path, PurePosixPath

import pytest

from benchmarks.resume_cases import tiny_run
from models.data.fold_file import read_folds
from models.data.model_hub import ModelHub
from models.errors import SettingsInvalid
from models.jobs.build import build_of
from models.jobs.keys import run_key
from models.jobs.registry import parse_job
from models.settings.fields import Settings
from models.settings.predict import PredictSettings
from models.settings.train import TrainSettings
from models.store.manifest import write_manifest
from tasks.aws.channels import Cargo, cargo_of, foreseen_cargo

COMMIT = "a" * 40


def delivered(settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Cargo, Settings]:
    """What travels, laid out as the platform does it under another folder, and the job as it is read there."""
    monkeypatch.setattr("tasks.aws.channels.DATA_FOLDER", PurePosixPath(folder))
    cargo = cargo_of(settings)
    for parcel in cargo.parcels:
        for name, path in parcel.files.items():
            target = folder / parcel.channel / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return cargo, parse_job(cargo.settings.model_dump_json())


@pytest.mark.parametrize("case", ["gnn", "transformer", "transformer-t5"])
def test_a_training_answers_the_same_question_there(case, records, tmp_path, monkeypatch):
    settings = tiny_run(case, records, num_ranks=1)
    cargo, there = delivered(settings, tmp_path / "data", monkeypatch)

    assert run_key(there) == run_key(settings)
    assert build_of(there).key == build_of(settings).key
    assert str(records) not in there.model_dump_json()
    carried = {f"{parcel.channel}/{name}" for parcel in cargo.parcels for name in parcel.files}
    assert {"train_data/train.jsonl", "train_data/train.arrow", "val_data/valid.jsonl"} <= carried
    assert ("val_data/tokenizer/tokenizer.json" in carried) == (case != "gnn")
    assert ("model-backbone/config.json" in carried) == (case == "transformer-t5")
    assert not [name for name in carried if "test." in name]


def test_test_records_travel_with_a_training_that_is_asked_to_open_them(records, tmp_path, monkeypatch):
    settings = tiny_run("gnn", records, num_ranks=1).model_copy(update={"test_data": records / "test.jsonl"})
    cargo, there = delivered(settings, tmp_path / "data", monkeypatch)

    assert isinstance(there, TrainSettings)
    assert there.test_data == tmp_path / "data/test_data/test.jsonl"
    assert run_key(there) == run_key(settings)
    assert "test_data" in {parcel.channel for parcel in cargo.parcels}


@pytest.fixture
def folds(records, tmp_path):
    """A finished folds run of the records, with something beside it that does not belong to it."""
    path = tmp_path / "folds"
    path.mkdir()
    ids = [json.loads(line)["id"] for line in (records / "train.jsonl").read_bytes().splitlines()]
    rows = ({"id": record_id, "fold": number % 2, "group": record_id} for number, record_id in enumerate(ids))
    (path / "folds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (path / "folds.json").write_text('{"num_folds": 2}')
    (path / "settings.json").write_text("{}")
    (path / "record.json").write_text('{"host": "here"}')
    write_manifest(path, ["folds.jsonl", "folds.json"], kind="folds", run_key="4" * 64, build_key="5" * 64)
    return path


def test_folds_and_weights_travel_with_a_training_that_leaves_one_out(records, folds, tmp_path, monkeypatch):
    changes = {"folds": folds, "left_out_fold": 1, "weights": records / "weights.jsonl", "weighting": "sampling"}
    settings = tiny_run("gnn", records, num_ranks=1).model_copy(update=changes)
    cargo, there = delivered(settings, tmp_path / "data", monkeypatch)

    assert isinstance(there, TrainSettings)
    assert run_key(there) == run_key(settings)
    assert (there.folds, there.weights) == (tmp_path / "data/folds", tmp_path / "data/weights/weights.jsonl")
    files = {parcel.channel: set(parcel.files) for parcel in cargo.parcels}
    assert files["folds"] == {"folds.jsonl", "folds.json", "settings.json", "manifest.json"}
    assert files["weights"] == {"weights.jsonl"}
    assert there.folds is not None
    assert read_folds(there.folds, []).sha256 == read_folds(folds, []).sha256


@pytest.fixture
def finished(records, tmp_path):
    """A finished training run and the finished run of its data."""
    data, model = tmp_path / "preprocessed", tmp_path / "trained"
    shutil.copytree(records, data)
    names = [path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file()]
    write_manifest(data, names, kind="preprocess", run_key="0" * 64, build_key="1" * 64)
    model.mkdir()
    (model / "weights.bin").write_bytes(b"w")
    (model / "log.txt").write_text("not part of it")
    (model / "settings.json").write_text(tiny_run("gnn", records, num_ranks=1).model_dump_json())
    write_manifest(model, ["weights.bin"], kind="train", run_key="2" * 64, build_key="3" * 64)
    return PredictSettings(model_run=model, data=data)


@pytest.mark.parametrize("open_test", [None, "final measurement"])
def test_a_prediction_takes_the_asked_splits_and_the_sealed_one_only_to_open_it(
    open_test, finished, tmp_path, monkeypatch
):
    settings = finished.model_copy(update={"open_test": open_test})
    cargo, there = delivered(settings, tmp_path / "data", monkeypatch)

    assert run_key(there) == run_key(settings)
    files = {parcel.channel: set(parcel.files) for parcel in cargo.parcels}
    assert files["model_run"] == {"weights.bin", "settings.json", "manifest.json"}
    assert {"valid.jsonl", "valid.arrow", "manifest.json", "tokenizer/tokenizer.json"} <= files["data"]
    assert ("test.jsonl" in files["data"]) == (open_test is not None)
    assert "train.jsonl" not in files["data"]


def test_a_prediction_of_what_was_left_out_takes_folds_and_training_records(finished, folds, tmp_path, monkeypatch):
    settings = finished.model_copy(update={"splits": ("valid", "held_out"), "folds": folds})
    cargo, there = delivered(settings, tmp_path / "data", monkeypatch)

    assert run_key(there) == run_key(settings)
    files = {parcel.channel: set(parcel.files) for parcel in cargo.parcels}
    assert {"train.jsonl", "train.arrow", "valid.jsonl"} <= files["data"]
    assert not [name for name in files["data"] if "held_out" in name or "test." in name]
    assert "folds.jsonl" in files["folds"]


def test_probes_travel_with_a_prediction_each_in_a_channel_of_its_own(finished, records, tmp_path, monkeypatch):
    probes = {}
    for name in ("rename", "pairs"):
        probes[name] = tmp_path / f"probe-{name}"
        probes[name].mkdir()
        for file in ("test.jsonl", "test.arrow", "settings.json"):
            shutil.copyfile(records / file if file != "settings.json" else __file__, probes[name] / file)
        write_manifest(probes[name], ["test.jsonl", "test.arrow"], kind="probe", run_key="6" * 64, build_key="7" * 64)
    settings = finished.model_copy(update={"open_test": "final measurement", "probes": probes})
    cargo, there = delivered(settings, tmp_path / "data", monkeypatch)

    assert isinstance(there, PredictSettings)
    assert there.probes == {name: tmp_path / f"data/probes-{name}" for name in probes}
    assert run_key(there) == run_key(settings)
    files = {parcel.channel: set(parcel.files) for parcel in cargo.parcels}
    assert files["probes-rename"] == {"test.jsonl", "test.arrow", "settings.json", "manifest.json"}
    assert str(tmp_path / "probe-") not in there.model_dump_json()


def test_folds_that_are_not_finished_do_not_travel(records, folds):
    (folds / "manifest.json").unlink()
    settings = tiny_run("gnn", records, num_ranks=1).model_copy(update={"folds": folds, "left_out_fold": 0})
    with pytest.raises(SettingsInvalid, match=r"folds: .* is not finished"):
        cargo_of(settings)


def test_a_folder_that_could_only_travel_with_its_sealed_records_is_refused(finished, records):
    with pytest.raises(SettingsInvalid, match="the sealed test records too"):
        cargo_of(finished.model_copy(update={"data": records}))


def test_a_backbone_found_by_name_is_found_there_by_name(records, tmp_path, monkeypatch):
    repository = tmp_path / "cache" / "models--lab--tiny"
    shutil.copytree(records / "backbone", repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    tiny = tiny_run("transformer-t5", records, num_ranks=1)
    settings = tiny.model_copy(update={"model": tiny.model.model_copy(update={"backbone": "lab/tiny"})})
    here = build_of(settings)

    cargo, there = delivered(settings, tmp_path / "data", monkeypatch)
    hub = cargo.environment["HF_HUB_CACHE"]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", hub)

    assert hub == str(tmp_path / "data/hub")
    assert build_of(there).key == here.key
    assert here.machine["backbone"] == f"lab/tiny@{COMMIT}"
    assert run_key(there) == run_key(settings)
    assert ModelHub().cached_path("lab/tiny", "model.safetensors") is not None


def test_a_backbone_that_would_be_fetched_is_foreseen_without_asking_for_it(records, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(ModelHub, "file_names", lambda *_: pytest.fail("the hub was asked"))
    monkeypatch.setattr(ModelHub, "fetch", lambda *_: pytest.fail("the hub was asked"))
    tiny = tiny_run("transformer-t5", records, num_ranks=1)
    changes = {"backbone": "lab/tiny", "revision": COMMIT, "allow_network": True, "pretrained": "auto"}
    settings = tiny.model_copy(update={"model": tiny.model.model_copy(update=changes)})

    (hub,) = [parcel for parcel in foreseen_cargo(settings).parcels if parcel.channel == "hub"]
    assert (set(hub.missing), hub.files) == ({"models--lab--tiny"}, {})
    assert "HF_HUB_CACHE" in foreseen_cargo(settings).environment


def test_a_run_that_lost_a_file_does_not_travel(finished):
    (finished.model_run / "weights.bin").unlink()
    with pytest.raises(SettingsInvalid, match=r"model_run: .*weights\.bin is missing"):
        cargo_of(finished)


def test_a_missing_columnar_copy_is_made_before_it_travels(records, tmp_path, monkeypatch):
    folder = tmp_path / "alone"
    folder.mkdir()
    for name in ("train.jsonl", "valid.jsonl"):
        shutil.copyfile(records / name, folder / name)
    settings = tiny_run("gnn", folder, num_ranks=1)
    before = sorted(folder.iterdir())
    foreseen = {parcel.channel: parcel for parcel in foreseen_cargo(settings).parcels}
    assert sorted(folder.iterdir()) == before  # only looked at
    assert foreseen["train_data"].missing == {"train.arrow": folder / "train.arrow"}
    assert foreseen["train_data"].prefix == "inputs/CONTENT-OF-train_data"
    cargo = cargo_of(settings)
    assert not any(parcel.missing for parcel in cargo.parcels)
    assert foreseen_cargo(settings) == cargo

    assert {name for parcel in cargo.parcels for name in parcel.files} >= {"train.arrow", "valid.arrow"}
    assert json.loads((folder / "train.jsonl").read_text().splitlines()[0])["id"]


@pytest.mark.parametrize("kind", ["reranker", "cross_encoder", "patch_ranker", "embeddings"])
def test_lists_and_pairs_travel_with_their_texts_and_a_reranker_with_its_encoder(
    kind, records, folds, tmp_path, monkeypatch
):
    lists = tmp_path / "lists.jsonl"
    lists.write_text("{}\n")
    model = {"kind": kind, **({"encoder": folds} if kind == "reranker" else {})}
    settings = TrainSettings(train_data=lists, val_data=lists, texts=records / "train.jsonl", model=model)
    cargo, there = delivered(settings, tmp_path / "data", monkeypatch)

    assert isinstance(there, TrainSettings)
    assert run_key(there) == run_key(settings)
    assert there.texts == tmp_path / "data/texts/train.jsonl"
    carried = {f"{parcel.channel}/{name}" for parcel in cargo.parcels for name in parcel.files}
    assert {"train_data/lists.jsonl", "texts/train.jsonl", "texts/train.arrow"} <= carried
    assert "train_data/lists.arrow" not in carried
    assert {"model-encoder/manifest.json", "model-encoder/settings.json"} <= carried or kind != "reranker"
    assert not [name for name in carried if "record.json" in name or "test." in name]
