from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import BuildDiffers, SettingsInvalid, StoreUnavailable
from models.jobs.build import build_of
from models.jobs.layout import BUILD_FILE, is_finished, label_of, make_run_folder, plan_run, read_result
from models.jobs.registry import parse_job
from models.settings.fields import Settings
from models.store.manifest import write_manifest

CHANGED_FILE = "models/training/trainer.py"


@pytest.fixture
def settings(train_document: Callable[..., dict[str, Any]]) -> Settings:
    return parse_job(json.dumps(train_document()))


def leave_other_build(settings: Settings, runs_path: Path, *, generation: bool = False, finished: bool = False) -> Path:
    """A run of the same settings by code in which one file was another."""
    folder = plan_run(settings, runs_path).run_path.parent
    run_path = folder / "0ther000"
    run_path.mkdir(parents=True)
    written = build_of(settings).to_json()
    written["files"] = {**written["files"], CHANGED_FILE: "another digest"}
    (run_path / BUILD_FILE).write_text(json.dumps(written))
    (run_path / "result.json").write_text(json.dumps({"numbers": {"f1": 0.5}}))
    if generation:
        (run_path / "checkpoints" / "step-000000002-a1").mkdir(parents=True)
    if finished:
        write_manifest(run_path, ["result.json"], kind="train", run_key="k", build_key="b")
    return run_path


def test_a_run_lies_under_kind_label_run_key_and_build_key(settings: Settings, tmp_path: Path):
    plan = plan_run(settings, tmp_path)
    folder = plan.run_path.parent
    assert plan.run_path.name == plan.build_key[:8]
    assert folder.name == f"{plan.label}-{plan.run_key[:12]}"
    assert folder.parent == tmp_path / "train"
    assert plan.label.startswith(label_of(settings))
    assert not folder.exists()


def test_lookup_is_by_key_whatever_the_label_and_its_date_say(settings: Settings, tmp_path: Path):
    first = plan_run(settings, tmp_path)
    older = tmp_path / "train" / f"called_otherwise_19991231-{first.run_key[:12]}"
    older.mkdir(parents=True)
    assert plan_run(settings, tmp_path).run_path == older / first.build_key[:8]


@pytest.mark.parametrize(
    ("document", "label"),
    [
        ({"kind": "train", "model": {"kind": "gnn", "learning_rate": 2e-5}}, "gnn_lr2e-5_bs32_ep100_wd0.0001_s42"),
        ({"kind": "preprocess"}, "codexglue_bpe6000_len512"),
        ({"kind": "preprocess", "tokenizer": "/models/codet5p"}, "codexglue_codet5p_len512"),
        ({"kind": "predict", "model_run": "x"}, "valid"),
        ({"kind": "predict", "model_run": "x", "open_test": "report"}, "test"),
        ({"kind": "evaluate", "predictions": {}}, "metrics"),
    ],
)
def test_a_label_tells_people_what_is_run(document: dict[str, Any], label: str):
    inputs = {"train_data": "t", "val_data": "v"} if document["kind"] == "train" else {"data": "d"}
    assert label_of(parse_job(json.dumps(inputs | document))) == label


def test_a_finished_run_of_another_build_is_reported_with_the_file_that_differs(settings: Settings, tmp_path: Path):
    other = leave_other_build(settings, tmp_path, generation=True, finished=True)
    plan = plan_run(settings, tmp_path)
    assert [(found.path, found.finished, found.differences) for found in plan.others] == [
        (other, True, [f"{CHANGED_FILE} changed"])
    ]
    assert plan.run_path != other
    assert plan.reused is None


def test_an_unfinished_run_of_another_build_is_refused_with_the_file_that_differs(settings: Settings, tmp_path: Path):
    other = leave_other_build(settings, tmp_path, generation=True)
    with pytest.raises(BuildDiffers, match=f"{CHANGED_FILE} changed.*--reuse-build"):
        plan_run(settings, tmp_path)
    plan = plan_run(settings, tmp_path, reuse_build=True)
    assert plan.run_path == other
    assert plan.reused is not None
    assert plan.reused.path == other


def test_an_unfinished_run_of_another_build_does_not_stop_the_own_one(settings: Settings, tmp_path: Path):
    own = plan_run(settings, tmp_path).run_path
    leave_other_build(settings, tmp_path, generation=True)
    own.mkdir(parents=True)
    assert plan_run(settings, tmp_path).run_path == own


def test_another_build_without_a_checkpoint_holds_nothing_worth_keeping(settings: Settings, tmp_path: Path):
    other = leave_other_build(settings, tmp_path)
    (other / "checkpoints").mkdir()
    (other / "checkpoints" / "head.json").write_text("{}")  # it took over, and died before its first checkpoint
    plan = plan_run(settings, tmp_path)
    assert plan.others == ()
    assert plan.run_path != other


def test_a_missing_input_is_refused_before_anything_is_made(
    train_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    settings = parse_job(json.dumps(train_document(val_data=str(tmp_path / "nowhere.jsonl"))))
    with pytest.raises(SettingsInvalid, match=r"val_data.*nowhere\.jsonl"):
        plan_run(settings, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("place", ["/proc/nope/run", "/dev/null/x/run", "/proc/version"])
def test_a_place_where_no_run_can_lie_is_refused_with_what_to_give(place: str):
    with pytest.raises(SettingsInvalid, match=f"no run can lie in {place}.*choose another --runs"):
        make_run_folder(Path(place))


def test_a_full_disk_is_no_fault_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        make_run_folder(tmp_path / "run")


def test_a_run_is_finished_only_while_its_files_hold_their_bytes(tmp_path: Path):
    (tmp_path / "result.json").write_text('{"numbers": {"f1": 0.5}}')
    assert not is_finished(tmp_path)
    write_manifest(tmp_path, ["result.json"], kind="train", run_key="k", build_key="b")
    assert is_finished(tmp_path)
    assert read_result(tmp_path)["numbers"] == {"f1": 0.5}
    (tmp_path / "result.json").write_text('{"numbers": {"f1": 0.6}}')
    assert not is_finished(tmp_path)
    (tmp_path / "result.json").unlink()
    assert not is_finished(tmp_path)
