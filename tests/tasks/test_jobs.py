"""The one task on a real server: free interruptions, Cached, cancel, kill."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import JobCrashed, JobHung, JobInterrupted, JobRefused, SettingsInvalid
from models.settings.balance import BalanceSettings
from models.settings.predict import PredictSettings
from models.settings.preprocess import PreprocessSettings
from models.settings.retrieval import RetrieveSettings
from models.settings.train import TrainSettings
from models.settings.transformer import TransformerSettings
from tasks.jobs import ProgressReporter, is_retryable, job_name
from tasks.terminal import NoView

ROOT = Path(__file__).resolve().parents[2]
STUB_FLOW = ROOT / "tests/tasks/stub_flow.py"


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (JobInterrupted("x"), True),
        (JobHung("x"), True),
        (JobCrashed("x"), False),
        (JobRefused("x"), False),
        (SettingsInvalid("x"), False),
        (ValueError("not ours"), False),
    ],
)
def test_retries_read_nothing_but_what_the_error_says_of_itself(error, retried):
    from prefect.states import Failed

    assert is_retryable(None, None, Failed(data=error)) is retried


def test_a_job_is_named_by_what_it_does():
    train = TrainSettings(train_data="a", val_data="b", seed=42)

    assert job_name(train) == "train gnn seed 42"
    assert job_name(PreprocessSettings(data="a", source="codexglue")) == "preprocess codexglue"
    assert job_name(train.model_copy(update={"model": TransformerSettings()})) == "train transformer seed 42"
    assert job_name(BalanceSettings(repos_root="data/repos")) == "balance repos_s1337"
    assert job_name(RetrieveSettings(data="a", vectors="b")) == "retrieve test"


def test_a_prediction_is_named_by_the_model_that_predicts(tmp_path):
    train = TrainSettings(train_data="a", val_data="b", model=TransformerSettings())
    (tmp_path / "settings.json").write_text(train.model_dump_json())
    predict = PredictSettings(model_run=tmp_path, data="a", open_test="why")

    assert job_name(predict) == "predict transformer valid, test"
    lost = predict.model_copy(update={"model_run": tmp_path / "no-such-run", "open_test": None})
    assert job_name(lost) == "predict no-such-run valid"  # planning the job says what is wrong


def test_a_server_that_is_away_holds_up_nobody(caplog):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    reporter = ProgressReporter(logging.getLogger("test"), NoView())
    step = {"event": "step", "time": 1.0, "step": 1, "num_steps": 9, "epoch": 0, "loss": 0.5}
    started_seconds = time.monotonic()
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        reporter.hear(step)

    assert time.monotonic() - started_seconds < 2  # it must look at its job, and hear when it is told to end
    assert "the job goes on" in caplog.text


@pytest.mark.server
def test_twenty_kills_are_free_and_the_second_run_is_cached(prefect_client, deployed_stub, tmp_path):
    parameters = {"folder": str(tmp_path), "arguments": ["--steps", "21", "--kill-each", "1"]}

    first = deployed_stub(**parameters)
    assert wait_for_end(prefect_client, first.id).name == "Completed"
    manifest = (run_directory(tmp_path) / "manifest.json").read_bytes()
    second = deployed_stub(**parameters)
    assert wait_for_end(prefect_client, second.id).name == "Completed"

    first_task, second_task = (only_task_run(prefect_client, run.id) for run in (first, second))
    assert (first_task.state.name, first_task.run_count) == ("Completed", 1)  # none of its retries was used
    assert (second_task.state.name, second_task.name) == ("Cached", "train gnn seed 42")
    assert num_attempts(run_directory(tmp_path)) == 21  # the second launched nothing
    assert (run_directory(tmp_path) / "manifest.json").read_bytes() == manifest


@pytest.mark.server
@pytest.mark.parametrize("num_submitted", [0, 1, 2], ids=["called", "submitted", "two at once"])
def test_cancelling_in_the_ui_stops_every_job_within_seconds(prefect_client, deployed_stub, tmp_path, num_submitted):
    from prefect.states import Cancelling

    run = deployed_stub(
        folder=str(tmp_path), arguments=["--steps", "999", "--step-seconds", "0.2"], num_submitted=num_submitted
    )
    pids = child_pids(tmp_path, num=max(1, num_submitted))

    prefect_client.set_flow_run_state(run.id, Cancelling())
    cancelled_seconds = time.monotonic()

    wait_for(lambda: not any(is_running(pid) for pid in pids), seconds=15)
    assert time.monotonic() - cancelled_seconds < 10
    state = wait_for_end(prefect_client, run.id)
    assert state.name == "Cancelled"
    were_interrupted_once(tmp_path, num=max(1, num_submitted))


@pytest.mark.server
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_to_the_program_alone_stops_two_jobs_in_threads(server, tmp_path, number):
    arguments = [str(tmp_path), "2", "--steps", "999", "--step-seconds", "0.2"]
    program = subprocess.Popen(
        [sys.executable, str(STUB_FLOW), *arguments], cwd=ROOT, env={**server.environment, "PYTHONPATH": str(ROOT)}
    )
    try:
        pids = child_pids(tmp_path, num=2)

        program.send_signal(number)

        wait_for(lambda: not any(is_running(pid) for pid in pids), seconds=30)
        assert program.wait(timeout=20) != 0
        were_interrupted_once(tmp_path, num=2)
    finally:
        program.kill()


@pytest.mark.server
def test_progress_with_its_eta_is_an_artifact_of_the_run(prefect_client, deployed_stub, tmp_path):
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    run = deployed_stub(folder=str(tmp_path), arguments=["--steps", "40", "--step-seconds", "0.2"])
    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
    seen: list[str] = []

    def progressed() -> bool:
        seen.extend(f"{a.type}: {a.description}" for a in prefect_client.read_artifacts(artifact_filter=of_run))
        return bool(seen) and seen[-1].endswith("done, 100%")

    wait_for(progressed, seconds=60)
    assert any("ETA" in text and "/40" in text for text in seen)
    assert all(text.startswith("progress: ") for text in seen)


@pytest.mark.server
def test_sigkill_of_the_flow_leaves_no_orphan_and_a_crashed_run(prefect_client, deployed_stub, tmp_path):
    run = deployed_stub(folder=str(tmp_path), arguments=["--steps", "999", "--step-seconds", "0.2"])
    (pid,) = child_pids(tmp_path, num=1)
    flow_pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])

    os.kill(flow_pid, signal.SIGKILL)

    wait_for(lambda: not is_running(pid), seconds=15)
    assert wait_for_end(prefect_client, run.id).name == "Crashed"


@pytest.fixture
def deployed_stub(prefect_client) -> Callable[..., Any]:
    """Submits runs of the stub flow to the worker."""
    from prefect.deployments import run_deployment
    from prefect.flows import Flow

    entrypoint = "tests/tasks/stub_flow.py:stub_training"
    loaded = Flow.from_source(source=str(ROOT), entrypoint=entrypoint)
    loaded.deploy(name="stub", work_pool_name="local-process", build=False, push=False, print_next_steps=False)

    def submit(**parameters: Any) -> Any:
        return run_deployment("stub-training/stub", parameters=parameters, timeout=0)

    return submit


def only_task_run(client: Any, flow_run_id: Any) -> Any:
    """The task run of a finished flow run; the server hears of its end a little later."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))

    def final() -> list[Any]:
        return [run for run in client.read_task_runs(flow_run_filter=of_run) if run.state and run.state.is_final()]

    wait_for(final, seconds=20)
    (run,) = final()
    return run


def were_interrupted_once(folder: Path, *, num: int) -> None:
    """Every job left after a checkpoint, and none was launched again: the signal was not taken for a free one."""
    paths = list((folder / "runs/train").glob("*/*"))
    assert len(paths) == num
    assert [num_attempts(path) for path in paths] == [1] * num
    assert all('"interrupted"' in (path / "outcome.json").read_text() for path in paths)


def run_directory(folder: Path) -> Path:
    (found,) = (folder / "runs/train").glob("*/*")
    return found


def num_attempts(run_path: Path) -> int:
    return len((run_path / "attempts.txt").read_text().split())


def child_pids(folder: Path, *, num: int) -> list[int]:
    """Processes of so many stubs once they all step."""

    def stepping() -> list[Path]:
        return list((folder / "runs").glob("train/*/*/checkpoints/head.json"))

    wait_for(lambda: len(stepping()) == num, seconds=60)
    return [int((path.parents[1] / "attempts.txt").read_text().split()[-1]) for path in stepping()]


def wait_for_end(client: Any, flow_run_id: Any) -> Any:
    wait_for(lambda: client.read_flow_run(flow_run_id).state.is_final(), seconds=45)
    return client.read_flow_run(flow_run_id).state


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition: Callable[[], Any], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
