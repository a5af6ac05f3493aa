from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.errors import EXIT_CRASHED, EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED
from models.jobs import place_check
from models.jobs.build import Build, build_of
from models.jobs.keys import role_of
from models.jobs.placement import Machine
from models.jobs.stopping import StopSignal
from models.settings.fields import Settings
from models.settings.flags import member_models
from models.settings.train import TrainSettings
from models.store.openings import read_openings
from models.training import gnn
from models.training.order import epoch_order
from models.training.trainer import Trainer

Document = Callable[..., dict[str, Any]]
RunJob = Callable[..., int]


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def final_files(run_path: Path) -> dict[str, bytes]:
    """What the promise names: the listed files, the manifest, and the parts of the last checkpoint."""
    names = [*read(run_path / "manifest.json")["files"], "manifest.json"]
    newest = run_path / "checkpoints" / read(run_path / "checkpoints" / "head.json")["newest"]
    parts = {path.name: path.read_bytes() for path in newest.iterdir() if path.name != "manifest.json"}
    return {name: (run_path / name).read_bytes() for name in names} | parts


def steps_told(run_path: Path) -> list[int]:
    events = [json.loads(line) for line in (run_path / "progress.jsonl").read_text().splitlines()]
    return [event["step"] for event in events if event["event"] == "step"]


class StopAfter(StopSignal):
    """Up once it was read so many times: in each step and after each of the epochs of five steps."""

    def __init__(self, num_looks: int) -> None:
        super().__init__()
        self.num_left = num_looks

    def __call__(self) -> bool:
        self.num_left -= 1
        return self.num_left <= 0


def other_values(path: tuple[str, ...]) -> list[Any]:
    return {
        ("checkpoints", "every_seconds"): [1e-6, 1e6],
        ("checkpoints", "every_steps"): [None, 1, 3],
        ("checkpoints", "keep"): [1, 5],
        ("checkpoints", "overlap_steps"): [1],
        ("log_every_seconds",): [1e6],
        ("model", "allow_network"): [],  # of the transformer: test_transformer.py
    }[path]


def incidental(cls: type[Settings], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, field in cls.model_fields.items():
        members = member_models(field.annotation)
        for member in members:
            found += [path for path in incidental(member, (*above, name)) if path not in found]
        if not members and role_of(field) == "incidental":
            found.append((*above, name))
    return found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(path, value, id=f"{path[-1]}={value}")
        for path in incidental(TrainSettings)
        for value in other_values(path)
    ],
)
def test_a_setting_that_decides_nothing_changes_no_byte(
    path: tuple[str, ...], value: Any, run_job: RunJob, train_document: Document, undisturbed: Path, tmp_path: Path
):
    document = train_document()
    (document if len(path) == 1 else document[path[0]])[path[-1]] = value
    assert run_job(document, "other") == EXIT_DONE
    assert final_files(tmp_path / "other") == final_files(undisturbed)


def test_equal_data_at_another_place_changes_no_byte(
    run_job: RunJob, train_document: Document, undisturbed: Path, records_path: Path, tmp_path: Path
):
    moved = {name: tmp_path / f"moved-{name}.jsonl" for name in ("train", "valid")}
    for name, path in moved.items():
        shutil.copyfile(records_path / f"{name}.jsonl", path)
    document = train_document(train_data=str(moved["train"]), val_data=str(moved["valid"]))
    assert run_job(document, "a/folder/elsewhere") == EXIT_DONE
    assert final_files(tmp_path / "a" / "folder" / "elsewhere") == final_files(undisturbed)


@pytest.mark.parametrize("change", [{"seed": 43}, {"model": {"dropout": 0.31}}], ids=["seed", "dropout"])
def test_a_setting_that_decides_changes_the_weights(
    change: dict[str, Any], run_job: RunJob, train_document: Document, undisturbed: Path, tmp_path: Path
):
    assert run_job(train_document(**change), "other") == EXIT_DONE
    other = (tmp_path / "other" / "best_model.safetensors").read_bytes()
    assert other != (undisturbed / "best_model.safetensors").read_bytes()


@pytest.mark.parametrize(("num_looks", "num_steps"), [(1, 1), (4, 4), (5, 5), (6, 5), (7, 6), (16, 14), (18, 15)])
def test_a_run_asked_to_stop_leaves_at_that_step_and_ends_with_the_same_bytes(
    num_looks: int, num_steps: int, run_job: RunJob, train_document: Document, undisturbed: Path, tmp_path: Path
):
    document = train_document(checkpoints={"every_steps": None})
    assert run_job(document, "run", stop=StopAfter(num_looks)) == EXIT_INTERRUPTED
    outcome = read(tmp_path / "run" / "outcome.json")
    assert (outcome["outcome"], outcome["step"]) == ("interrupted", num_steps)
    head = read(tmp_path / "run" / "checkpoints" / "head.json")
    assert head["newest"] == f"step-{num_steps:09d}-a1"
    assert run_job(document, "run") == EXIT_DONE
    assert final_files(tmp_path / "run") == final_files(undisturbed)
    attempts = read(tmp_path / "run" / "record.json")["attempts"]
    assert [attempt["resumed_at_step"] for attempt in attempts] == [0, num_steps]
    assert [attempt["outcome"] for attempt in attempts] == ["interrupted", "done"]
    assert (attempts[0]["step"], attempts[0]["num_checkpoints"] > 0) == (num_steps, True)
    assert attempts[0]["seconds"] >= attempts[0]["seconds_training"] > 0


def test_a_run_stopped_after_each_step_tells_each_step_once(
    run_job: RunJob, train_document: Document, undisturbed: Path, tmp_path: Path
):
    document = train_document(model={"epochs": 1})
    while run_job(document, "run", stop=StopAfter(2)) == EXIT_INTERRUPTED:
        pass
    assert steps_told(tmp_path / "run") == [1, 2, 3, 4, 5]


def test_a_run_begun_by_other_code_is_continued_only_when_asked_and_that_is_recorded(
    run_job: RunJob, train_document: Document, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def changed(settings: Settings, machine: Machine | None) -> Build:
        build = build_of(settings)
        return replace(build, files={**build.files, "models/training/trainer.py": "edited since"})

    assert run_job(train_document(), "run", stop=StopAfter(9)) == EXIT_INTERRUPTED
    monkeypatch.setattr(place_check, "build_of", changed)
    assert run_job(train_document(), "run") == EXIT_REFUSED
    assert "models/training/trainer.py changed" in read(tmp_path / "run" / "outcome.json")["message"]
    assert run_job(train_document(), "run", reuse_build=True) == EXIT_DONE
    attempt = read(tmp_path / "run" / "record.json")["attempts"][-1]
    assert attempt["resumed_at_step"] == 8
    assert attempt["continued_other_build"] == ["models/training/trainer.py changed"]
    assert final_files(tmp_path / "run") == final_files(undisturbed)


def test_an_attempt_that_died_before_its_first_checkpoint_is_not_told_twice(
    run_job: RunJob, train_document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def dies(trainer: Trainer) -> None:
        raise RuntimeError("the machine went away")

    document = train_document(model={"epochs": 1}, checkpoints={"every_steps": None})
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "save", dies)
        assert run_job(document, "run") == EXIT_CRASHED
    assert run_job(document, "run") == EXIT_DONE
    assert steps_told(tmp_path / "run") == [1, 2, 3, 4, 5]


def test_a_damaged_checkpoint_is_passed_over_on_record(
    run_job: RunJob, train_document: Document, undisturbed: Path, tmp_path: Path
):
    document = train_document(checkpoints={"every_steps": 2, "keep": 5})
    assert run_job(document, "run", stop=StopAfter(9)) == EXIT_INTERRUPTED
    damaged = tmp_path / "run" / "checkpoints" / "step-000000008-a1" / "optimizer.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    assert run_job(document, "run") == EXIT_DONE
    assert final_files(tmp_path / "run") == final_files(undisturbed)
    attempt = read(tmp_path / "run" / "record.json")["attempts"][-1]
    assert attempt["resumed_at_step"] == 7  # saved two steps after the end of the epoch
    assert any("step-000000008" in phrase for phrase in attempt["skipped_checkpoints"])
    assert "checkpoint not used: " in (tmp_path / "run" / "progress.jsonl").read_text()


def test_a_damaged_result_of_a_finished_run_is_made_again_without_training(
    run_job: RunJob, train_document: Document, undisturbed: Path, tmp_path: Path
):
    assert run_job(train_document(), "run") == EXIT_DONE
    (tmp_path / "run" / "best_model.safetensors").write_bytes(b"damaged")
    assert run_job(train_document(), "run") == EXIT_DONE
    assert final_files(tmp_path / "run") == final_files(undisturbed)
    assert read(tmp_path / "run" / "record.json")["attempts"][-1]["resumed_at_step"] == 15


def test_the_result_describes_the_run(undisturbed: Path):
    numbers = read(undisturbed / "result.json")["numbers"]
    history = read(undisturbed / "history.json")
    assert (numbers["num_train"], numbers["num_val"], numbers["num_steps"], numbers["num_epochs"]) == (60, 24, 15, 3)
    assert numbers["best"]["val_f1_vulnerable"] == max(epoch["val_f1_vulnerable"] for epoch in history["epochs"])
    assert numbers["sample_digest"] == history["sample_digests"][-1]
    assert (numbers["stop_reason"], numbers["batch_size"], numbers["quick_test"]) == ("all epochs done", 12, False)


def test_the_sample_digest_is_that_of_the_orders_of_all_epochs(undisturbed: Path):
    import hashlib

    digest = ""
    for epoch in range(3):
        order = epoch_order(60, seed=42, epoch=epoch)
        for first in range(0, 60, 12):
            digest = hashlib.sha256(digest.encode() + order[first : first + 12].astype("<i8").tobytes()).hexdigest()
    assert digest == read(undisturbed / "result.json")["numbers"]["sample_digest"]


def test_a_quick_test_takes_a_hundred_records_and_one_epoch(
    run_job: RunJob, train_document: Document, records_path: Path, tmp_path: Path
):
    lines = (records_path / "train.jsonl").read_text().splitlines()
    more = [line.replace('"id": "TRAIN-', '"id": "MORE-') for line in lines]
    (tmp_path / "train.jsonl").write_text("\n".join([*lines, *more]) + "\n")
    assert run_job(train_document(train_data=str(tmp_path / "train.jsonl"), quick_test=True), "run") == EXIT_DONE
    numbers = read(tmp_path / "run" / "result.json")["numbers"]
    assert (numbers["num_train"], numbers["num_epochs"], numbers["num_steps"]) == (100, 1, 9)
    assert numbers["quick_test"] is True


@pytest.mark.parametrize(("memory_bytes", "fits"), [(10**6, False), (10**12, True)])
def test_auto_batch_size_lowers_the_batch_to_what_fits(
    memory_bytes: int,
    fits: bool,
    run_job: RunJob,
    train_document: Document,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(gnn, "device_memory_bytes", lambda device: memory_bytes)
    model = {"auto_batch_size": True, "epochs": 1, "hidden_dim": 64}
    document = train_document(model, checkpoints={"every_steps": None})
    assert run_job(document, "run") == EXIT_DONE
    numbers = read(tmp_path / "run" / "result.json")["numbers"]
    assert (numbers["batch_size"] == 12) == fits
    assert 1 <= numbers["batch_size"] <= 12
    assert numbers["num_steps"] == -(-60 // numbers["batch_size"])


def test_both_architectures_stand_behind_one_settings_class(
    run_job: RunJob, train_document: Document, undisturbed: Path, tmp_path: Path
):
    assert run_job(train_document(model={"architecture": "typed"}), "run") == EXIT_DONE
    found, plain = (read(path / "result.json")["numbers"]["num_parameters"] for path in (tmp_path / "run", undisturbed))
    assert found != plain


def edited(path: Path, target: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> str:
    records = change([json.loads(line) for line in path.read_text().splitlines()])
    target.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(target)


def beyond_vocabulary(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    records[3]["ast_nodes"][0] = 4000
    return records


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda records: [], "holds no record"),
        (beyond_vocabulary, "node id 4000 is beyond model.vocab_size=1000"),
        (lambda records: [{"id": "no more than this"}], "train.jsonl:1: not a record"),
        (lambda records: [{**records[0], "id": "VALID-3"}], "1 records are also in train.jsonl (such as VALID-3)"),
    ],
    ids=["empty", "foreign node", "broken", "overlap"],
)
def test_records_that_cannot_be_trained_on_are_refused_in_words(
    change: Any, message: str, run_job: RunJob, train_document: Document, records_path: Path, tmp_path: Path
):
    path = edited(records_path / "train.jsonl", tmp_path / "train.jsonl", change)
    assert run_job(train_document(train_data=path), "run") == EXIT_REFUSED
    outcome = read(tmp_path / "run" / "outcome.json")
    assert (outcome["outcome"], outcome["error"]) == ("refused", "DataInvalid")
    assert message in outcome["message"]


def without_nodes(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**record, "ast_nodes": [], "edge_index": [], "edge_type": []} for record in records]


@pytest.mark.parametrize("emptied", ["train", "val"])
def test_records_of_which_none_has_a_graph_are_refused(
    emptied: str, run_job: RunJob, train_document: Document, records_path: Path, tmp_path: Path
):
    document = train_document()
    path = Path(document[f"{emptied}_data"])
    document[f"{emptied}_data"] = edited(path, tmp_path / path.name, without_nodes)
    assert run_job(document, "run") == EXIT_REFUSED
    outcome = read(tmp_path / "run" / "outcome.json")
    assert outcome["error"] == "DataInvalid"
    assert f"{path.name}: no record has a syntax graph" in outcome["message"]
    assert "model.kind transformer" in outcome["message"]


def test_some_graphs_without_any_node_train_all_the_same(
    run_job: RunJob, train_document: Document, records_path: Path, tmp_path: Path
):
    def all_but_one(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*without_nodes(records[:-1]), records[-1]]

    path = edited(records_path / "train.jsonl", tmp_path / "train.jsonl", all_but_one)
    assert run_job(train_document(train_data=path, model={"epochs": 1}), "run") == EXIT_DONE


def test_the_sealed_records_stay_closed_unless_asked_for(undisturbed: Path):
    assert read_openings(undisturbed) == []
    assert [path.name for path in undisturbed.glob("predictions_*")] == ["predictions_valid.jsonl"]


def test_predicting_again_gives_the_bytes_of_the_training_and_each_opening_is_logged(
    run_job: RunJob, train_document: Document, records_path: Path, tmp_path: Path
):
    assert run_job(train_document(test_data=str(records_path / "test.jsonl")), "trained") == EXIT_DONE
    predict = {"kind": "predict", "model_run": str(tmp_path / "trained"), "data": str(records_path)}
    assert run_job({**predict, "open_test": "a report"}, "predicted") == EXIT_DONE
    for name in ("predictions_valid.jsonl", "predictions_test.jsonl"):
        assert (tmp_path / "predicted" / name).read_bytes() == (tmp_path / "trained" / name).read_bytes()
        assert name in read(tmp_path / "trained" / "manifest.json")["files"]
    assert [opening.purpose for opening in read_openings(tmp_path)] == ["after training", "a report"]
    rows = [json.loads(line) for line in (tmp_path / "predicted" / name).read_text().splitlines()]
    records = [json.loads(line) for line in (records_path / "test.jsonl").read_text().splitlines()]
    assert [(row["id"], row["label"], row["group"]) for row in rows] == [
        (record["id"], record["label"], record["metadata"]["group"]) for record in records
    ]


def test_a_prediction_in_several_processes_is_refused(
    run_job: RunJob, undisturbed: Path, records_path: Path, tmp_path: Path
):
    predict = {"kind": "predict", "model_run": str(undisturbed), "data": str(records_path)}
    assert run_job({**predict, "compute": {"num_ranks": 2}}, "predicted") == EXIT_REFUSED
    assert "a prediction runs in one process" in read(tmp_path / "predicted" / "outcome.json")["message"]


def test_predictions_of_the_best_weights_give_the_best_score(
    run_job: RunJob, undisturbed: Path, records_path: Path, tmp_path: Path
):
    predict = {
        "kind": "predict",
        "model_run": str(undisturbed),
        "data": str(records_path),
        "splits": ["valid", "train"],
    }
    assert run_job(predict, "predicted") == EXIT_DONE
    rows = [json.loads(line) for line in (tmp_path / "predicted" / "predictions_valid.jsonl").read_text().splitlines()]
    hits = sum((row["probability"] > 0.5) == row["label"] for row in rows)
    best = read(undisturbed / "result.json")["numbers"]["best"]
    assert hits / len(rows) == pytest.approx(best["val_accuracy"])
    assert read(tmp_path / "predicted" / "result.json")["numbers"]["num_records"] == {"valid": 24, "train": 60}
    assert read_openings(tmp_path) == []


@pytest.mark.parametrize("damage", ["unfinished", "weights"])
def test_a_model_run_that_does_not_hold_is_not_predicted_with(
    damage: str, run_job: RunJob, undisturbed: Path, records_path: Path, tmp_path: Path
):
    shutil.copytree(undisturbed, tmp_path / "trained")
    if damage == "unfinished":
        (tmp_path / "trained" / "manifest.json").unlink()
    else:
        (tmp_path / "trained" / "best_model.safetensors").write_bytes(b"damaged")
    code = run_job({"kind": "predict", "model_run": str(tmp_path / "trained"), "data": str(records_path)}, "predicted")
    expected = {"unfinished": (EXIT_REFUSED, "SettingsInvalid"), "weights": (1, "ObjectCorrupt")}
    assert (code, read(tmp_path / "predicted" / "outcome.json")["error"]) == expected[damage]


def test_weights_from_a_file_are_those_of_the_loss_and_equal_ones_change_no_byte(
    run_job: Callable[..., int], train_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    document = train_document()
    ids = [json.loads(line)["id"] for line in Path(document["train_data"]).read_text().splitlines()]

    def best_with(name: str, weight_of: Callable[[int], float]) -> bytes:
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"id": i, "weight": weight_of(n)}) + "\n" for n, i in enumerate(ids)))
        assert run_job(document | {"weights": str(path)}, name) == 0
        return (tmp_path / name / "best_model.safetensors").read_bytes()

    assert run_job(document, "without") == 0
    without = (tmp_path / "without" / "best_model.safetensors").read_bytes()

    assert best_with("equal", lambda _: 1.0) == without
    assert best_with("uneven", lambda n: 0.1 + n % 3) != without
