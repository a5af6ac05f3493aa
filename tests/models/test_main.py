"""``python -m models`` as it is run: real processes, real signals."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from models.errors import EXIT_BUSY, EXIT_CRASHED, EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED

ROOT = Path(__file__).resolve().parents[2]
Document = Callable[..., dict[str, Any]]
SMALLEST_PIPE = 4096
"""A child that prints into it stands still after some thirty steps, until it is read from [bytes]."""


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


class Child:
    """A job in a process of its own."""

    def __init__(self, document: dict[str, Any], run_path: Path) -> None:
        self.run_path = run_path
        job_path = run_path.with_suffix(".json")
        job_path.write_text(json.dumps(document))
        arguments = ["-m", "models", str(job_path), f"--run-dir={run_path}", f"--runs={run_path.parent}"]
        self.process = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE)

    def wait_for_step(self, step: int) -> None:
        """Read until a step at or after ``step`` is told; the child cannot run far beyond."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if json.loads(line).get("step", 0) >= step:
                return
        raise AssertionError(f"the job ended before step {step}: {self.ended()[1]}")

    def ended(self) -> tuple[int, str]:
        """Exit code and what it wrote on stderr."""
        _, errors = self.process.communicate(timeout=120)
        return self.process.returncode, errors

    def children(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Starts jobs; what a failed test leaves is ended."""
    started: list[Child] = []

    def begin(document: dict[str, Any], folder: str = "run") -> Child:
        started.append(Child(document, tmp_path / folder))
        return started[-1]

    yield begin
    for child in started:
        if child.process.poll() is None:
            child.process.kill()
            child.process.communicate()


LONG = {"epochs": 16, "early_stopping_patience": 16}
"""Eighty steps: more than fit into the pipe."""


def results(run_path: Path) -> dict[str, bytes]:
    return {
        name: (run_path / name).read_bytes() for name in [*read(run_path / "manifest.json")["files"], "manifest.json"]
    }


def test_sigterm_saves_at_the_next_step_and_the_next_attempt_ends_with_the_bytes_of_an_undisturbed_run(
    start: Callable[..., Child], train_document: Document
):
    undisturbed = start(train_document(LONG), "undisturbed")
    disturbed = start(train_document(LONG))
    disturbed.wait_for_step(12)
    busy = start(train_document(LONG))
    code, errors = busy.ended()
    assert (code, "is being run by process" in errors) == (EXIT_BUSY, True)
    assert not (disturbed.run_path / "outcome.json").exists()
    disturbed.process.send_signal(signal.SIGTERM)
    code, errors = disturbed.ended()
    outcome = read(disturbed.run_path / "outcome.json")
    assert (code, outcome["outcome"], outcome["attempt"]) == (EXIT_INTERRUPTED, "interrupted", 1), errors
    assert 12 <= outcome["step"] < 80
    head = read(disturbed.run_path / "checkpoints" / "head.json")
    assert head["newest"] == f"step-{outcome['step']:09d}-a1"
    assert start(train_document(LONG)).ended()[0] == EXIT_DONE
    assert undisturbed.ended()[0] == EXIT_DONE
    assert results(disturbed.run_path) == results(undisturbed.run_path)
    assert read(disturbed.run_path / "outcome.json")["outcome"] == "done"


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "ranks outlived their job"
        time.sleep(0.02)


def test_two_ranks_end_when_one_is_killed_and_leave_together_when_asked(
    start: Callable[..., Child], train_document: Document
):
    document = train_document(LONG, compute={"device": "cpu", "precision": "off", "num_ranks": 2})
    first = start(document)
    first.wait_for_step(5)
    ranks = first.children()
    assert len(ranks) == 2
    saved = read(first.run_path / "checkpoints" / "head.json")["newest"]
    os.kill(ranks[1], signal.SIGKILL)
    code, errors = first.ended()
    outcome = read(first.run_path / "outcome.json")
    assert (code, outcome["error"], outcome["retryable"]) == (EXIT_CRASHED, "RankLost", True), errors
    wait_until_gone(ranks)

    second = start(document)
    while len(second.children()) < 2:
        time.sleep(0.01)
    second.process.send_signal(signal.SIGTERM)  # the ranks have not even begun to listen
    early = step_left_together(second, attempt=2)
    assert early > int(saved.split("-")[1])

    third = start(document)
    third.wait_for_step(early + 3)
    third.process.send_signal(signal.SIGTERM)
    assert step_left_together(third, attempt=3) >= early + 3


def step_left_together(child: Child, *, attempt: int) -> int:
    """The step at which an interrupted job left, with the random states of both ranks in one checkpoint."""
    code, errors = child.ended()
    outcome = read(child.run_path / "outcome.json")
    assert (code, outcome["outcome"], outcome["attempt"]) == (EXIT_INTERRUPTED, "interrupted", attempt), errors
    newest = child.run_path / "checkpoints" / read(child.run_path / "checkpoints" / "head.json")["newest"]
    assert newest.name == f"step-{outcome['step']:09d}-a{attempt}"
    assert {path.name for path in newest.glob("rng-*.json")} == {"rng-rank0.json", "rng-rank1.json"}
    return int(outcome["step"])


def test_bad_records_in_a_job_of_two_ranks_are_refused_with_the_rank_s_own_words(
    start: Callable[..., Child], train_document: Document, tmp_path: Path
):
    (tmp_path / "broken.jsonl").write_text("{}\n")
    compute = {"device": "cpu", "num_ranks": 2}
    child = start(train_document(train_data=str(tmp_path / "broken.jsonl"), compute=compute))
    code, _ = child.ended()
    outcome = read(child.run_path / "outcome.json")
    assert (code, outcome["outcome"], outcome["error"]) == (EXIT_REFUSED, "refused", "DataInvalid")
    assert "broken.jsonl:1: not a record" in outcome["message"]


@contextmanager
def parent_that_dies(document: dict[str, Any], run_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A supervisor that starts the job tied to itself and listens to it, and the job's process id."""
    job_path = run_path.with_suffix(".json")
    job_path.write_text(json.dumps(document))
    program = (
        "import os, subprocess, sys\n"
        "command = [sys.executable, '-m', 'models', *sys.argv[1:], f'--die-with-parent={os.getpid()}']\n"
        "child = subprocess.Popen(command, stdout=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "for line in child.stdout:\n"
        "    sys.stdout.buffer.write(line)\n"
        "    sys.stdout.flush()\n"
    )
    arguments = [str(job_path), f"--run-dir={run_path}", f"--runs={run_path.parent}"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        fcntl.fcntl(parent.stdout, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE)
        yield parent, int(parent.stdout.readline())


def test_a_job_saves_and_leaves_when_the_supervisor_that_listened_to_it_is_killed(
    train_document: Document, tmp_path: Path
):
    run_path = tmp_path / "run"
    with parent_that_dies(train_document(LONG), run_path) as (parent, job):
        assert parent.stdout is not None
        next(line for line in parent.stdout if json.loads(line).get("step", 0) >= 3)
        parent.kill()
        for _ in parent.stdout:
            pass
        wait_until_gone([job])
    assert read(run_path / "outcome.json")["outcome"] == "interrupted"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "no kind of job is called 'nonsense'"),
        (["job.json", "--run-dir=run"], "learning_rate: "),
        (["train", "gnn", "--train-data=nowhere.jsonl", "--val-data=nowhere.jsonl"], "nowhere.jsonl"),
        (["train", "gnn", "--train-data=job.json", "--val-data=job.json", "--runs=/proc/nope"], "no run can lie in"),
        (["train", "gnn", "--train-data=job.json", "--val-data=job.json", "--runs=/dev/null/x"], "no run can lie in"),
        (["good.json", "--run-dir=/dev/null/x"], "no run can lie in /dev/null/x"),
        (["missing.json", "--run-dir=run"], "SettingsInvalid: job file missing.json cannot be read"),
    ],
)
def test_what_cannot_be_run_is_refused_in_words(
    arguments: list[str], message: str, train_document: Document, tmp_path: Path
):
    (tmp_path / "job.json").write_text(json.dumps(train_document({"learning_rate": -1})))
    (tmp_path / "good.json").write_text(json.dumps(train_document()))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "models", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == EXIT_REFUSED
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("run*"))


def test_flags_plan_a_run_in_the_run_root_and_a_second_call_finds_it(records_path: Path, tmp_path: Path):
    command = [sys.executable, "-m", "models", "train", "gnn", f"--train-data={records_path / 'train.jsonl'}"]
    command += [f"--val-data={records_path / 'valid.jsonl'}", "--epochs=1", "--hidden-dim=8", "--lr=2e-5"]
    command += [f"--runs={tmp_path}"]
    outputs = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    (run_path,) = tmp_path.glob("train/gnn_lr2e-5_bs32_ep1_wd0.0001_s42_*/*")
    assert all(f"run directory: {run_path}" in output for output in outputs)
    assert ["— train" in output for output in outputs] == [True, False]
    assert len(read(run_path / "record.json")["attempts"]) == 1


def test_two_ranks_started_by_flags_speak_in_words_and_say_once_that_they_left(records_path: Path, tmp_path: Path):
    command = [sys.executable, "-m", "models", "train", "gnn", f"--train-data={records_path / 'train.jsonl'}"]
    command += [f"--val-data={records_path / 'valid.jsonl'}", "--hidden-dim=8", "--epochs=2000", "--num-ranks=2"]
    command += ["--early-stopping-patience=2000", "--log-every-seconds=0", f"--output-dir={tmp_path / 'run'}"]
    command += [f"--runs={tmp_path}", "--compute.device=cpu"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = []
        for line in child.stdout:
            lines.append(line)
            if line.startswith("  step: step 4,"):
                break
        child.send_signal(signal.SIGTERM)
        rest, errors = child.communicate(timeout=120)
    assert child.returncode == EXIT_INTERRUPTED, errors
    assert "— train\n" in lines
    assert not any(line.startswith("{") for line in [*lines, *rest.splitlines()])
    assert errors.count("Interrupted: ") == 1
    assert read(tmp_path / "run" / "outcome.json")["outcome"] == "interrupted"


@pytest.mark.parametrize(
    ("kind", "its_own", "the_others"),
    [("gnn", "--auto-batch-size", "--warmup-ratio"), ("transformer", "--warmup-ratio", "--auto-batch-size")],
)
def test_help_of_one_model_kind_holds_nothing_of_the_others(kind: str, its_own: str, the_others: str):
    command = [sys.executable, "-m", "models", "train", kind, "--help"]
    help_text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert its_own in help_text
    assert the_others not in help_text
    assert "--compute.num-ranks" in help_text
