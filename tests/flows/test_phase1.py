"""Phase 1 as a program, as a function and as a deployment; its settings, and what each job is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.phase1 import (
    ALIASES,
    Phase1Settings,
    evaluate_job,
    main,
    predict_job,
    preprocess_job,
    train_job,
)
from models.settings.command_line import load_settings, parse_settings
from models.settings.preprocess import PreprocessSettings
from models.settings.train import ComputeSettings
from tasks.supervision import newest_step

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs/phase1").glob("*.yaml"))

TINY = {
    "preprocess": {"source": "tiny", "vocab_size": 300, "num_workers": 1},
    "gnn": {"hidden_dim": 16, "embedding_dim": 16, "num_layers": 1, "epochs": 2},
    "num_resamples": 100,
}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_each_configuration_file_says_settings(path):
    assert isinstance(load_settings(Phase1Settings, path), Phase1Settings)


def test_the_three_configuration_files_are_there():
    assert [path.stem for path in CONFIGS] == ["codexglue", "demo", "quick"]


def test_a_flag_goes_over_the_file():
    argv = ["--config", str(ROOT / "configs/phase1/quick.yaml"), "--gnn.epochs", "2", "--data", "elsewhere"]

    settings = parse_settings(Phase1Settings, argv, prog="phase1", aliases=ALIASES)

    assert settings.gnn.epochs == 2
    assert settings.preprocess.data == Path("elsewhere")
    assert settings.preprocess.source == "demo"


def test_the_data_are_the_one_thing_that_must_be_said(capsys):
    with pytest.raises(SystemExit) as left:
        main([])

    assert left.value.code == 2
    assert "preprocess.data" in capsys.readouterr().err


def test_help_explains_each_field(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])

    assert left.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--gnn.epochs" in text
    assert "environment: CODEWARDEN_RUNS" in text
    assert "Longest silence while training [s]" in text


def test_training_never_sees_the_sealed_test_and_prediction_opens_it_with_a_purpose():
    settings = Phase1Settings(preprocess=PreprocessSettings(data="data"), seed=7)

    assert train_job(settings, Path("records")).test_data is None
    assert predict_job(settings, Path("model"), Path("records")).open_test == "phase 1: final measurement"
    sealed = settings.model_copy(update={"open_test": ""})
    assert predict_job(sealed, Path("model"), Path("records")).open_test is None


def test_prediction_runs_on_what_training_ran_on_in_one_process():
    compute = ComputeSettings(device="cuda", precision="bf16", num_ranks=4, num_threads=3)
    settings = Phase1Settings(preprocess=PreprocessSettings(data="data"), compute=compute)

    job = predict_job(settings, Path("model"), Path("records"))

    assert job.compute == compute.model_copy(update={"num_ranks": 1})


def test_a_quick_test_is_one_for_every_job():
    settings = Phase1Settings(preprocess=PreprocessSettings(data="data"), quick_test=True)

    assert preprocess_job(settings).quick_test
    assert train_job(settings, Path("records")).quick_test


def test_the_seed_reaches_training_and_resampling():
    settings = Phase1Settings(preprocess=PreprocessSettings(data="data"), seed=7)

    assert train_job(settings, Path("records")).seed == 7
    assert evaluate_job(settings, Path("predictions"), Path("records")).seed == 7


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> dict:
    """Settings, as JSON, of a run that takes seconds; the data are generated."""
    from models.data.generated import write_sample

    folder = tmp_path_factory.mktemp("phase1")
    write_sample(folder / "data", num_functions=120)
    return {
        **TINY,
        "preprocess": {**TINY["preprocess"], "data": str(folder / "data")},
        "runs": str(folder / "runs"),
    }


@pytest.fixture(scope="module")
def program_run(server, tiny, tmp_path_factory) -> subprocess.CompletedProcess[str]:
    """The program, run once."""
    config_path = tmp_path_factory.mktemp("config") / "tiny.json"
    config_path.write_text(json.dumps(tiny))
    return server.command("flows.phase1", "--config", str(config_path), timeout=300)


@pytest.mark.server
def test_as_a_program_it_prints_the_table_and_where_the_report_is(program_run):
    assert program_run.returncode == 0, program_run.stderr
    report_path = Path(program_run.stdout.split("report: ")[1].strip())
    assert report_path.suffix == ".html"
    assert "<html" in report_path.read_text()[:2000].lower()
    assert "gnn" in program_run.stdout
    assert "epoch 2/2" in program_run.stderr  # one line an epoch


@pytest.mark.server
def test_its_test_split_was_opened_once_with_its_purpose(program_run, tiny):
    lines = (Path(tiny["runs"]) / "openings.jsonl").read_text().splitlines()

    purposes = [json.loads(line)["purpose"] for line in lines]
    assert purposes.count("phase 1: final measurement") == 1  # the baselines open it too, and say so


@pytest.mark.server
def test_its_table_and_report_are_artifacts_under_stable_keys(program_run, prefect_client):
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    keys = ["phase1-leaderboard", "phase1-report"]
    found = prefect_client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=keys)))

    assert sorted({artifact.key for artifact in found}) == keys


@pytest.mark.server
def test_wrong_data_are_one_line_with_the_remedy_and_exit_2(server, tmp_path):
    done = server.command("flows.phase1", "--data", "/no/such/folder", "--runs", str(tmp_path))

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("SettingsInvalid: ")]
    assert errors == ["SettingsInvalid: data: no file or folder at /no/such/folder; give the path of an existing one"]


@pytest.mark.server
def test_as_a_function_it_finds_every_job_cached(program_run, server, tiny):
    source = (
        "import json, sys\n"
        "from flows.phase1 import Phase1Settings, phase1\n"
        "result = phase1(Phase1Settings(**json.loads(sys.argv[1])))\n"
        "jobs = (result.preprocess, result.train, result.predict, result.evaluate)\n"
        "print([job.cached for job in jobs])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, json.dumps(tiny)],
        cwd=ROOT,
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.stdout.splitlines()[-1:] == ["[True, True, True, True]"], done.stderr


@pytest.mark.server
def test_as_a_deployment_it_shows_cached_tasks_named_by_what_they_do(program_run, prefect_client, tiny):
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.deployments import run_deployment

    run = run_deployment("phase1/phase1", parameters={"settings": tiny}, timeout=120, poll_interval=0.5)

    assert run.state.name == "Completed", run.state.message
    assert run.name == "phase1 tiny seed 42"
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    wait_for(lambda: len(prefect_client.read_task_runs(flow_run_filter=of_run)) == 5, seconds=20)
    states = {task.name: task.state.name for task in prefect_client.read_task_runs(flow_run_filter=of_run)}
    assert states.pop("report") == "Completed"
    assert states == dict.fromkeys(
        ["preprocess tiny", "train gnn seed 42", "predict valid, test", "evaluate"], "Cached"
    )


@pytest.mark.server
def test_a_training_killed_again_and_again_ends_and_uses_no_retry(program_run, prefect_client, tiny):
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.deployments import run_deployment

    settings = {
        **tiny,
        "seed": 43,
        "gnn": {**tiny["gnn"], "epochs": 40, "early_stopping_patience": 40},
        "checkpoints": {"every_steps": 1},
    }
    run = run_deployment("phase1/phase1", parameters={"settings": settings}, timeout=0)
    step = 0
    for _ in range(3):
        step = kill_after_progress(Path(tiny["runs"]), step)
    wait_for(lambda: prefect_client.read_flow_run(run.id).state.is_final(), seconds=120)

    assert prefect_client.read_flow_run(run.id).state.name == "Completed"
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    wait_for(lambda: len(prefect_client.read_task_runs(flow_run_filter=of_run)) == 5, seconds=20)
    (training,) = [t for t in prefect_client.read_task_runs(flow_run_filter=of_run) if t.name == "train gnn seed 43"]
    assert training.run_count == 1
    record = json.loads((run_with_seed(Path(tiny["runs"]), 43) / "record.json").read_text())
    assert len(record["attempts"]) == 4


@pytest.mark.server
def test_cancelling_a_real_training_saves_it_and_leaves_nothing_running(program_run, prefect_client, tiny):
    from prefect.deployments import run_deployment
    from prefect.states import Cancelling

    runs_path = Path(tiny["runs"])
    settings = {
        **tiny,
        "seed": 44,
        "gnn": {**tiny["gnn"], "epochs": 5000, "early_stopping_patience": 5000},
        "checkpoints": {"every_steps": 50, "every_seconds": 3600},
    }
    run = run_deployment("phase1/phase1", parameters={"settings": settings}, timeout=0)
    wait_for(lambda: list((runs_path / "train").glob("*_s44_*/*/checkpoints/head.json")), seconds=90)
    run_path = run_with_seed(runs_path, 44)
    wait_for(lambda: newest_step(run_path) > 0, seconds=60)
    pid, saved = int((run_path / "lock").read_text()), newest_step(run_path)

    prefect_client.set_flow_run_state(run.id, Cancelling())

    wait_for(lambda: not is_running(pid), seconds=10)
    wait_for(lambda: prefect_client.read_flow_run(run.id).state.is_final(), seconds=45)
    assert prefect_client.read_flow_run(run.id).state.name == "Cancelled"
    outcome = json.loads((run_path / "outcome.json").read_text())
    assert (outcome["outcome"], outcome["attempt"]) == ("interrupted", 1)  # and it was not launched again
    assert newest_step(run_path) == outcome["step"] > saved


def is_running(pid: int) -> bool:
    """False for the dead, and for zombies that nobody has collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def run_with_seed(runs_path: Path, seed: int) -> Path:
    (found,) = (runs_path / "train").glob(f"*_s{seed}_*/*")
    return found


def kill_after_progress(runs_path: Path, last_step: int) -> int:
    """SIGKILL the training child once it has saved a step beyond ``last_step``; gives the step it had saved.

    The step decides and not the head's bytes: taking a run over rewrites the head without getting further, and a kill
    then is one that made no progress.
    """
    wait_for(lambda: list((runs_path / "train").glob("*_s43_*/*/checkpoints/head.json")), seconds=90)
    run_path = run_with_seed(runs_path, 43)
    wait_for(lambda: newest_step(run_path) > last_step, seconds=60)
    os.kill(int((run_path / "lock").read_text()), signal.SIGKILL)
    return newest_step(run_path)


def wait_for(condition, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
