"""Phase 1 as a program, as a function and as a deployment; its settings, and what each job is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows.phase1 import (
    ALIASES,
    Phase1Settings,
    evaluate_job,
    main,
    predict_job,
    preprocess_job,
    train_and_predict,
    train_job,
)
from models.settings.command_line import load_settings, parse_settings
from models.settings.preprocess import PreprocessSettings
from models.settings.text_encoder import PINNED_REVISIONS
from models.settings.train import ComputeSettings
from models.store.head import published_step
from tasks.jobs import RunReference

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs/phase1").glob("*.yaml"))

TINY = {
    "preprocess": {"source": "tiny", "vocab_size": 300, "num_workers": 1},
    "transformer": {
        "pretrained": "off",
        "small": {"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "feedforward_dim": 32},
        "epochs": 2,
    },
    "gnn": {"hidden_dim": 16, "embedding_dim": 16, "num_layers": 1, "epochs": 2},
    "slots": 2,
    "num_resamples": 100,
}
TASKS = [
    "preprocess tiny",
    "audit",
    "train transformer seed {seed}",
    "train gnn seed {seed}",
    "predict transformer valid, test",
    "predict gnn valid, test",
    "evaluate",
    "report",
]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_each_configuration_file_says_settings(path):
    assert isinstance(load_settings(Phase1Settings, path), Phase1Settings)


def test_the_configuration_files_are_there():
    assert [path.stem for path in CONFIGS] == ["codexglue", "codexglue_small", "demo", "quick"]


def test_a_pretrained_backbone_is_configured_with_its_own_tokenizer():
    settings = load_settings(Phase1Settings, ROOT / "configs/phase1/codexglue.yaml")

    assert settings.preprocess.tokenizer == settings.transformer.backbone
    assert settings.preprocess.tokenizer_revision == PINNED_REVISIONS[settings.transformer.backbone]


@pytest.mark.parametrize("name", ["codexglue_small", "demo", "quick"])
def test_every_other_file_needs_no_network(name):
    settings = load_settings(Phase1Settings, ROOT / f"configs/phase1/{name}.yaml")

    assert settings.transformer.pretrained == "off"
    assert settings.preprocess.tokenizer is None


def test_two_trainings_at_once_have_the_two_cores_of_a_small_machine():
    for path in CONFIGS:
        settings = load_settings(Phase1Settings, path)
        assert settings.slots * settings.compute.num_threads <= 2, path.stem


def test_a_flag_goes_over_the_file():
    argv = ["--config", str(ROOT / "configs/phase1/quick.yaml"), "--gnn.epochs", "2", "--data", "elsewhere"]

    settings = parse_settings(Phase1Settings, argv, prog="phase1", aliases=ALIASES)

    assert settings.gnn.epochs == 2
    assert settings.preprocess.data == Path("elsewhere")
    assert settings.preprocess.source == "demo"


def test_flags_that_both_models_have_are_said_by_model(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--data", "x", "--epochs", "2"])

    assert left.value.code == 2
    assert "--gnn.epochs" in capsys.readouterr().err


def test_the_tokenizer_has_a_flat_flag():
    settings = parse_settings(Phase1Settings, ["--data", "x", "--tokenizer", "y"], prog="phase1", aliases=ALIASES)

    assert settings.preprocess.tokenizer == "y"


@pytest.mark.parametrize(("said", "models"), [("gnn", ("gnn",)), ("gnn,transformer", ("gnn", "transformer"))])
def test_the_models_are_chosen_and_ordered_by_a_flag(said, models):
    settings = parse_settings(Phase1Settings, ["--data", "x", "--models", said], prog="phase1", aliases=ALIASES)

    assert settings.models == models


@pytest.mark.parametrize(("said", "problem"), [("gnn,gnn", "each model is named once"), ("", "at least 1 item")])
def test_no_model_and_a_model_named_twice_are_refused(said, problem, capsys):
    with pytest.raises(SystemExit) as left:
        main(["--data", "x", "--models", said])

    assert left.value.code == 2
    assert problem in capsys.readouterr().err


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

    for model in ("transformer", "gnn"):
        assert train_job(settings, model, Path("records")).test_data is None
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
    for model in ("transformer", "gnn"):
        assert train_job(settings, model, Path("records")).quick_test


def test_the_seed_reaches_training_and_resampling():
    settings = Phase1Settings(preprocess=PreprocessSettings(data="data"), seed=7)

    for model in ("transformer", "gnn"):
        job = train_job(settings, model, Path("records"))
        assert (job.model.kind, job.seed) == (model, 7)
    assert evaluate_job(settings, {"gnn": Path("predictions")}, Path("records")).seed == 7


def test_a_model_is_scored_as_soon_as_it_is_trained():
    settings = Phase1Settings(preprocess=PreprocessSettings(data="data"))
    chain = train_and_predict(settings, "gnn", Path("records"))

    assert next(chain) == train_job(settings, "gnn", Path("records"))
    trained = reference("train", Path("trained"))
    assert chain.send(trained) == predict_job(settings, Path("trained"), Path("records"))
    with pytest.raises(StopIteration) as ended:
        chain.send(reference("predict", Path("predicted")))
    assert [run.run_path for run in (ended.value.value.train, ended.value.value.predict)] == [
        Path("trained"),
        Path("predicted"),
    ]


def reference(kind: str, run_path: Path) -> RunReference:
    return RunReference(kind=kind, label="", run_key="", run_path=run_path, manifest_sha256="", numbers={})


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
    report_path = Path(program_run.stdout.split("report: ")[1].splitlines()[0])
    assert report_path.suffix == ".html"
    assert "<html" in report_path.read_text()[:2000].lower()
    assert "transformer against gnn: F1" in " ".join(program_run.stdout.split())
    for model in ("transformer", "gnn"):
        assert f"train {model} seed 42' - epoch 2/2" in program_run.stderr  # one line an epoch


@pytest.mark.server
def test_its_test_split_was_opened_once_by_each_model_with_its_purpose(program_run, tiny):
    openings = [json.loads(line) for line in (Path(tiny["runs"]) / "openings.jsonl").read_text().splitlines()]

    final = [entry for entry in openings if entry["purpose"] == "phase 1: final measurement"]
    assert len({entry["model_sha256"] for entry in final}) == len(final) == 2
    assert len(openings) == 3  # the baselines open it too, and say so


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
        "jobs = (result.preprocess, result.audit, *result.train.values(), *result.predict.values(), result.evaluate)\n"
        "assert list(result.train) == list(result.predict) == ['transformer', 'gnn']\n"
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

    assert done.stdout.splitlines()[-1:] == ["[True, True, True, True, True, True, True]"], done.stderr


@pytest.mark.server
def test_as_a_deployment_it_shows_cached_tasks_named_by_what_they_do(program_run, prefect_client, tiny):
    from prefect.deployments import run_deployment

    run = run_deployment("phase1/phase1", parameters={"settings": tiny}, timeout=120, poll_interval=0.5)

    assert run.state.name == "Completed", run.state.message
    assert run.name == "phase1 tiny seed 42"
    states = {task.name: task.state.name for task in task_runs(prefect_client, run.id)}
    assert states.pop("report") == "Completed"
    assert states == {name.format(seed=42): "Cached" for name in TASKS if name != "report"}


@pytest.mark.server
def test_in_the_graph_a_prediction_comes_after_its_own_training(program_run, prefect_client, tiny):
    from prefect.deployments import run_deployment

    run = run_deployment("phase1/phase1", parameters={"settings": tiny}, timeout=120, poll_interval=0.5)

    tasks = {task.name: task for task in task_runs(prefect_client, run.id)}
    for model in ("transformer", "gnn"):
        (waited,) = tasks[f"predict {model} valid, test"].task_inputs["wait_for"]
        assert waited.id == tasks[f"train {model} seed 42"].id


@pytest.mark.server
def test_when_one_model_fails_the_work_of_the_other_is_kept(server, program_run, tiny, tmp_path):
    settings = {**tiny, "seed": 45, "transformer": {"pretrained": "required", "backbone": "nobody/has-this"}}
    (tmp_path / "config.json").write_text(json.dumps(settings))

    done = server.command("flows.phase1", "--config", str(tmp_path / "config.json"), timeout=120)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("WeightsMissing: ")]
    assert "nobody/has-this" in error
    (kept,) = (Path(tiny["runs"]) / "train").glob("gnn_*_s45_*/*")
    assert (kept / "manifest.json").exists()
    assert "predict gnn valid, test' - done" in done.stderr


@pytest.mark.long
@pytest.mark.server
def test_a_training_killed_again_and_again_ends_and_uses_no_retry(program_run, prefect_client, tiny):
    from prefect.deployments import run_deployment

    settings = {**tiny, **with_epochs(tiny, 40), "seed": 43, "checkpoints": {"every_steps": 1}}
    run = run_deployment("phase1/phase1", parameters={"settings": settings}, timeout=0)
    with ThreadPoolExecutor() as pool:  # each at its own pace: one must not end while the other is waited for
        list(pool.map(lambda model: kill_twice(tiny, model), ("transformer", "gnn")))
    wait_for(lambda: prefect_client.read_flow_run(run.id).state.is_final(), seconds=200)

    assert prefect_client.read_flow_run(run.id).state.name == "Completed"
    trainings = [task for task in task_runs(prefect_client, run.id) if task.name.startswith("train")]
    assert [task.run_count for task in trainings] == [1, 1]
    for run_path in runs_with_seed(tiny, 43):
        assert len(json.loads((run_path / "record.json").read_text())["attempts"]) == 3


@pytest.mark.server
def test_cancelling_two_real_trainings_saves_both_and_leaves_nothing_running(program_run, prefect_client, tiny):
    from prefect.deployments import run_deployment
    from prefect.states import Cancelling

    checkpoints = {"every_steps": 50, "every_seconds": 3600}
    settings = {**tiny, **with_epochs(tiny, 5000), "seed": 44, "checkpoints": checkpoints}
    run = run_deployment("phase1/phase1", parameters={"settings": settings}, timeout=0)
    wait_for(lambda: len(runs_with_seed(tiny, 44)) == 2, seconds=90)
    run_paths = runs_with_seed(tiny, 44)
    wait_for(lambda: all(newest_step(run_path) > 0 for run_path in run_paths), seconds=90)
    pids = [int((run_path / "lock").read_text()) for run_path in run_paths]
    saved = [newest_step(run_path) for run_path in run_paths]

    prefect_client.set_flow_run_state(run.id, Cancelling())

    wait_for(lambda: not any(is_running(pid) for pid in pids), seconds=10)
    wait_for(lambda: prefect_client.read_flow_run(run.id).state.is_final(), seconds=45)
    assert prefect_client.read_flow_run(run.id).state.name == "Cancelled"
    for run_path, step in zip(run_paths, saved, strict=True):
        outcome = json.loads((run_path / "outcome.json").read_text())
        assert (outcome["outcome"], outcome["attempt"]) == ("interrupted", 1)  # and it was not launched again
        assert newest_step(run_path) == outcome["step"] > step


def with_epochs(tiny: dict, num_epochs: int) -> dict:
    """Both models for so many epochs, whatever they learn."""
    told = {"epochs": num_epochs, "early_stopping_patience": num_epochs}
    return {model: {**tiny[model], **told} for model in ("transformer", "gnn")}


def task_runs(client, flow_run_id) -> list:
    """All task runs of a whole phase 1; the server hears of their ends a little later."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    wait_for(lambda: len(client.read_task_runs(flow_run_filter=of_run)) == len(TASKS), seconds=20)
    return client.read_task_runs(flow_run_filter=of_run)


def is_running(pid: int) -> bool:
    """False for the dead, and for zombies that nobody has collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def runs_with_seed(tiny: dict, seed: int) -> list[Path]:
    """Directories of the trainings that have saved something."""
    found = (Path(tiny["runs"]) / "train").glob(f"*_s{seed}_*/*/checkpoints/head.json")
    return sorted(path.parents[1] for path in found)


def kill_twice(tiny: dict, model: str) -> None:
    """SIGKILL a model's training twice, each time after it got further than ever before."""

    def begun() -> list[Path]:
        return [path for path in runs_with_seed(tiny, 43) if model == kind_of(path)]

    wait_for(begun, seconds=90)
    step = 0
    for _ in range(2):
        step = kill_after_progress(begun()[0], step)


def kind_of(run_path: Path) -> str:
    return json.loads((run_path / "settings.json").read_text())["model"]["kind"]


def newest_step(run_path: Path) -> int:
    """Step of the newest checkpoint on disk; -1 where there is none."""
    step = published_step(run_path / "checkpoints")
    return -1 if step is None else step


def kill_after_progress(run_path: Path, last_step: int) -> int:
    """SIGKILL the training child once it has saved a step beyond ``last_step``; gives the step it had saved.

    The step decides and not the head's bytes: taking a run over rewrites the head without getting further, and a kill
    then is one that made no progress.
    """
    wait_for(lambda: newest_step(run_path) > last_step, seconds=60)
    os.kill(int((run_path / "lock").read_text()), signal.SIGKILL)
    return newest_step(run_path)


def wait_for(condition, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
