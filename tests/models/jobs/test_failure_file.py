from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import __main__ as program
from models.errors import EXIT_BUSY, EXIT_DONE, EXIT_REFUSED, DataInvalid, Interrupted, StoreUnavailable
from models.jobs import execution
from models.jobs.contract import JobContext, JobResult
from models.jobs.execution import Execution, execute
from models.jobs.failure_file import LONGEST_CHARS, failure_text, parse_failure
from models.jobs.placement import Placement
from models.jobs.registry import parse_job
from models.store.lock import RunLock

Document = Callable[..., dict[str, Any]]


@given(
    outcome=st.sampled_from(["interrupted", "refused", "crashed"]),
    message=st.text(max_size=3000),
    step=st.none() | st.integers(0, 10**9),
)
def test_what_a_job_said_is_read_from_whatever_the_platform_makes_of_it(outcome: str, message: str, step: int | None):
    told = {"outcome": outcome, "error": "SomeError", "retryable": True, "step": step, "message": message}
    text = failure_text({**told, "attempt": 3})
    assert len(text) <= LONGEST_CHARS
    assert text.isascii()
    assert "\n" not in text
    found = parse_failure(f"AlgorithmError: {text}, exit code: 75")
    assert found is not None
    assert {**found, "message": ""} == {**told, "message": ""}
    assert found["message"] == message or message.startswith(found["message"].removesuffix(" …"))


@pytest.mark.parametrize(
    "text", ["", "AlgorithmError: exit code 137", '{"outcome": "refused"', '{"outcome": "refused"}', "Traceback: {}"]
)
def test_words_of_others_say_nothing(text: str):
    assert parse_failure(text) is None


@pytest.fixture
def failure_of(
    train_document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, dict[str, Any] | None]]:
    """Runs a job that ends with an error; exit code and what the failure file says."""

    def run(error: Exception | None) -> tuple[int, dict[str, Any] | None]:
        def body(settings: Any, context: JobContext) -> JobResult:
            if error is not None:
                raise error
            return JobResult({}, ())

        monkeypatch.setattr(execution, "entry_of", lambda _: body)
        failure_path = tmp_path / "output" / "failure"
        settings = parse_job(json.dumps(train_document()))
        placement = Placement(failure_path=str(failure_path))
        code = execute(Execution(settings, tmp_path / "run", tmp_path, placement=placement))
        return code, parse_failure(failure_path.read_text()) if failure_path.exists() else None

    return run


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DataInvalid("train.jsonl", "no label", line=3), ("refused", "DataInvalid", False, None)),
        (Interrupted(17), ("interrupted", "Interrupted", True, 17)),
        (StoreUnavailable("no room"), ("crashed", "StoreUnavailable", True, None)),
        (ZeroDivisionError(), ("crashed", "ZeroDivisionError", False, None)),
    ],
)
def test_every_end_but_a_good_one_is_told(
    error: Exception, expected: tuple[Any, ...], failure_of: Callable[..., Any], tmp_path: Path
):
    _, told = failure_of(error)
    assert (told["outcome"], told["error"], told["retryable"], told["step"]) == expected
    assert told["message"] == json.loads((tmp_path / "run" / "outcome.json").read_text())["message"]
    assert failure_of(None) == (EXIT_DONE, None)


def test_a_busy_run_is_told(failure_of: Callable[..., Any], tmp_path: Path):
    (tmp_path / "run").mkdir()
    holder = RunLock(tmp_path / "run" / "lock")
    assert holder.try_acquire()
    code, told = failure_of(None)
    holder.release()
    assert (code, told["error"], told["retryable"]) == (EXIT_BUSY, "RunBusy", True)


@pytest.mark.parametrize(
    ("job", "run_dir", "message"),
    [
        ('{"kind": "nonsense"}', "run", "job settings: "),
        (None, "run", "cannot be read"),
        ("good", "/dev/null/x", "no run can lie in"),
    ],
)
def test_what_cannot_even_begin_is_told(
    job: str | None, run_dir: str, message: str, train_document: Document, tmp_path: Path
):
    if job is not None:
        (tmp_path / "job.json").write_text(json.dumps(train_document()) if job == "good" else job)
    (tmp_path / "placement.json").write_text(Placement(failure_path=str(tmp_path / "failure")).model_dump_json())
    arguments = ["job.json", f"--run-dir={run_dir}", "--placement=placement.json"]
    assert in_folder(tmp_path, arguments) == EXIT_REFUSED
    told = parse_failure((tmp_path / "failure").read_text())
    assert told is not None
    assert (told["outcome"], told["error"]) == ("refused", "SettingsInvalid")
    assert message in told["message"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"run_url": "s3://bucket/x"}', "placement file placement.json: run_url: Extra inputs are not permitted"),
        ("nonsense", "placement file placement.json: "),
        (None, "placement file placement.json cannot be read: "),
        ('{"run_uri": "bucket/x"}', "'bucket/x': expected an address in S3"),
    ],
)
def test_a_placement_that_makes_no_sense_is_refused_in_one_line(
    content: str | None,
    message: str,
    train_document: Document,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    (tmp_path / "job.json").write_text(json.dumps(train_document()))
    if content is not None:
        (tmp_path / "placement.json").write_text(content)
    assert in_folder(tmp_path, ["job.json", "--run-dir=run", "--placement=placement.json"]) == EXIT_REFUSED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"SettingsInvalid: {message}")


def in_folder(folder: Path, arguments: list[str]) -> int:
    """``python -m models`` there, whose signal handlers do not stay."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with contextlib.chdir(folder):
            return program.main(arguments)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
