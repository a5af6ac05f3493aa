from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import (
    EXIT_BUSY,
    EXIT_CRASHED,
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    DataInvalid,
    Interrupted,
    StoreUnavailable,
)
from models.jobs import endings, execution
from models.jobs.contract import JobContext, JobResult
from models.jobs.execution import Execution, execute
from models.jobs.layout import BUILD_FILE, is_finished
from models.jobs.registry import parse_job
from models.settings.fields import Settings
from models.store.head import Head
from models.store.lock import RunLock

Body = Callable[[JobContext], JobResult]


@pytest.fixture
def settings(train_document: Callable[..., dict[str, Any]]) -> Settings:
    return parse_job(json.dumps(train_document()))


@pytest.fixture
def run_with(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Runs a job whose body is given; exit code and outcome."""

    def run(body: Body, **options: Any) -> tuple[int, dict[str, Any]]:
        monkeypatch.setattr(execution, "entry_of", lambda _: lambda _, context: body(context))
        code = execute(Execution(options.pop("settings", settings), tmp_path / "run", tmp_path, **options))
        return code, read(tmp_path / "run" / "outcome.json")

    return run


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def writes_weights(context: JobContext) -> JobResult:
    context.events.phase("train")
    (context.run_path / "weights").write_text("w")
    return JobResult({"f1": 0.5}, ("weights",), {"seconds_training": 1.0})


def never(context: JobContext) -> JobResult:
    raise AssertionError("the job ran again")


def test_a_job_leaves_all_that_the_contract_names(run_with: Callable[..., Any], settings: Settings, tmp_path: Path):
    code, outcome = run_with(writes_weights)
    assert (code, outcome["outcome"], outcome["attempt"], outcome["error"]) == (EXIT_DONE, "done", 1, None)
    run_path = tmp_path / "run"
    assert parse_job((run_path / "settings.json").read_bytes()) == settings
    assert read(run_path / "result.json") == {"kind": "train", "numbers": {"f1": 0.5}, "files": ["weights"]}
    assert set(read(run_path / "manifest.json")["files"]) == {"weights", "result.json"}
    assert read(run_path / "record.json")["attempts"][0]["seconds_training"] == 1.0
    config = read(run_path / "exp_config.json")
    assert config.keys() == {"git_commit", "git_dirty", "dataset_sha256", "settings", "libraries", "machine"}
    assert config["settings"]["seed"] == 42
    assert json.loads((run_path / "progress.jsonl").read_text())["phase"] == "train"


def test_the_manifest_comes_after_every_file_that_it_lists(
    run_with: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real, present = endings.write_manifest, {}

    def seen(run_path: Path, *arguments: Any, **options: Any) -> None:
        present.update({name: (run_path / name).exists() for name in ("weights", "result.json", "outcome.json")})
        real(run_path, *arguments, **options)

    monkeypatch.setattr(endings, "write_manifest", seen)
    run_with(writes_weights)
    assert present == {"weights": True, "result.json": True, "outcome.json": False}


def test_a_finished_run_is_verified_and_not_run_again(run_with: Callable[..., Any], tmp_path: Path):
    run_with(writes_weights)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.name != "outcome.json"}
    code, outcome = run_with(never)
    assert (code, outcome["outcome"]) == (EXIT_DONE, "done")
    assert {name: (tmp_path / "run" / name).read_bytes() for name in before if name != "lock"} == {
        name: content for name, content in before.items() if name != "lock"
    }


def test_a_damaged_file_makes_a_finished_run_run_again(run_with: Callable[..., Any], tmp_path: Path):
    run_with(writes_weights)
    (tmp_path / "run" / "weights").write_text("damaged")
    code, outcome = run_with(writes_weights)
    assert (code, outcome["attempt"]) == (EXIT_DONE, 2)
    assert is_finished(tmp_path / "run")


def test_a_finished_run_does_not_answer_other_settings_and_is_left_as_it_is(
    run_with: Callable[..., Any],
    train_document: Callable[..., dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    run_with(writes_weights)
    before = contents(tmp_path / "run")
    code, outcome = run_with(never, settings=parse_job(json.dumps(train_document(seed=7))))
    assert (code, outcome["outcome"]) == (EXIT_REFUSED, "done")
    assert "seed: 42 then, 7 now" in capsys.readouterr().err
    assert contents(tmp_path / "run") == before
    gone = parse_job(json.dumps(train_document(val_data=str(tmp_path / "nowhere.jsonl"))))
    assert run_with(never, settings=gone)[0] == EXIT_REFUSED
    assert contents(tmp_path / "run") == before


def test_an_unfinished_run_is_left_as_it_is_by_other_settings_which_are_named(
    run_with: Callable[..., Any],
    train_document: Callable[..., dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    run_with(raises(Interrupted(2)))
    (tmp_path / "run" / "checkpoints" / "step-000000002-a1").mkdir(parents=True)
    before = contents(tmp_path / "run")
    (tmp_path / "other.jsonl").write_text("other records")
    document = train_document({"learning_rate": 0.25}, train_data=str(tmp_path / "other.jsonl"))
    code, _ = run_with(never, settings=parse_job(json.dumps(document)), reuse_build=True)
    assert code == EXIT_REFUSED
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("SettingsInvalid: ")
    assert "model.learning_rate: 0.001 then, 0.25 now" in said
    assert "train_data: " in said
    assert "another --output-dir, or delete" in said
    assert "--reuse-build" not in said
    assert contents(tmp_path / "run") == before


def test_other_settings_take_a_directory_in_which_nothing_was_achieved(
    run_with: Callable[..., Any], train_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    run_with(raises(DataInvalid("train.jsonl", "no label")))
    write_head(tmp_path / "run", attempt=1)
    other = parse_job(json.dumps(train_document(seed=7)))
    assert run_with(writes_weights, settings=other)[0] == EXIT_DONE
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert run_with(never, settings=other)[0] == EXIT_DONE


def write_head(run_path: Path, *, attempt: int) -> None:
    (run_path / "checkpoints").mkdir()
    head = Head(None, None, (), attempt, "writer", {})
    (run_path / "checkpoints" / "head.json").write_bytes(head.to_bytes())


def contents(run_path: Path) -> dict[str, bytes]:
    """All files but the lock, which names its last holder."""
    return {
        path.relative_to(run_path).as_posix(): path.read_bytes()
        for path in run_path.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def test_a_busy_run_is_left_alone(run_with: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "outcome.json").write_text('{"outcome": "of the holder"}')
    holder = RunLock(tmp_path / "run" / "lock")
    assert holder.try_acquire()
    assert run_with(never) == (EXIT_BUSY, {"outcome": "of the holder"})
    assert "is being run by process" in capsys.readouterr().err
    holder.release()
    assert run_with(writes_weights)[0] == EXIT_DONE


def raises(error: Exception) -> Body:
    def body(context: JobContext) -> JobResult:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "exit_code", "outcome"),
    [
        (DataInvalid("train.jsonl", "no label", line=3), EXIT_REFUSED, ("refused", "DataInvalid", False, None)),
        (Interrupted(17), EXIT_INTERRUPTED, ("interrupted", "Interrupted", True, 17)),
        (StoreUnavailable("no room"), EXIT_CRASHED, ("crashed", "StoreUnavailable", True, None)),
        (ZeroDivisionError(), EXIT_CRASHED, ("crashed", "ZeroDivisionError", False, None)),
    ],
)
def test_the_outcome_says_how_the_job_ended_and_whether_to_retry(
    error: Exception, exit_code: int, outcome: tuple[Any, ...], run_with: Callable[..., Any], tmp_path: Path
):
    code, found = run_with(raises(error))
    assert code == exit_code
    assert (found["outcome"], found["error"], found["retryable"], found["step"]) == outcome
    assert found["message"]
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_an_unexpected_exception_leaves_its_traceback(run_with: Callable[..., Any], capsys: pytest.CaptureFixture[str]):
    run_with(raises(ZeroDivisionError("by nothing")))
    printed = capsys.readouterr().err
    assert "Traceback" in printed
    assert "in body" in printed


def test_a_missing_input_is_refused_with_an_outcome(
    run_with: Callable[..., Any], train_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    settings = parse_job(json.dumps(train_document(val_data=str(tmp_path / "nowhere.jsonl"))))
    code, outcome = run_with(never, settings=settings)
    assert (code, outcome["outcome"], outcome["error"]) == (EXIT_REFUSED, "refused", "SettingsInvalid")


def test_attempts_are_counted_also_where_the_checkpoints_know_of_more(run_with: Callable[..., Any], tmp_path: Path):
    run_with(raises(Interrupted(1)))
    assert run_with(raises(Interrupted(1)))[1]["attempt"] == 2
    write_head(tmp_path / "run", attempt=8)
    assert run_with(raises(Interrupted(1)))[1]["attempt"] == 9


def begun_by_other_code(run_path: Path) -> None:
    written = read(run_path / BUILD_FILE)
    written["files"]["models/training/trainer.py"] = "another digest"
    (run_path / BUILD_FILE).write_text(json.dumps(written))


def test_checkpoints_of_another_build_are_refused_or_continued_on_record(run_with: Callable[..., Any], tmp_path: Path):
    run_with(raises(Interrupted(2)))
    begun_by_other_code(tmp_path / "run")
    begun = (tmp_path / "run" / BUILD_FILE).read_bytes()
    (tmp_path / "run" / "checkpoints" / "step-000000002-a1").mkdir(parents=True)
    code, outcome = run_with(never)
    assert (code, outcome["error"]) == (EXIT_REFUSED, "BuildDiffers")
    assert "models/training/trainer.py changed" in outcome["message"]
    assert run_with(writes_weights, reuse_build=True)[0] == EXIT_DONE
    attempt = read(tmp_path / "run" / "record.json")["attempts"][-1]
    assert attempt["continued_other_build"] == ["models/training/trainer.py changed"]
    assert (tmp_path / "run" / BUILD_FILE).read_bytes() == begun  # what its first steps were made with


def test_another_build_without_checkpoints_is_replaced_with_its_head(run_with: Callable[..., Any], tmp_path: Path):
    run_with(raises(Interrupted(2)))
    own = (tmp_path / "run" / BUILD_FILE).read_bytes()
    begun_by_other_code(tmp_path / "run")
    write_head(tmp_path / "run", attempt=1)
    code, outcome = run_with(writes_weights)
    assert (code, outcome["attempt"]) == (EXIT_DONE, 2)
    assert (tmp_path / "run" / BUILD_FILE).read_bytes() == own
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert "continued_other_build" not in read(tmp_path / "run" / "record.json")["attempts"][-1]


def test_events_go_to_the_copy_and_to_whoever_listens(run_with: Callable[..., Any], tmp_path: Path):
    echo = io.StringIO()
    run_with(writes_weights, echo=echo)
    assert echo.getvalue() == (tmp_path / "run" / "progress.jsonl").read_text()
