"""Two machines that train one model: two job processes with disks of their own, here on one."""

from __future__ import annotations

import fcntl
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED
from models.store.s3 import S3Objects

ROOT = Path(__file__).resolve().parents[3]
Document = Callable[..., dict[str, Any]]
NAMES = ("127.0.0.1", "localhost")
TWO_RANKS = {"device": "cpu", "precision": "off", "num_ranks": 2}
LONG = {"epochs": 16, "early_stopping_patience": 16}
SMALLEST_PIPE = 4096
"""A job that prints into it stands still until it is read from [bytes]."""


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the process of a job; what a failed test leaves is ended."""
    started: list[subprocess.Popen[str]] = []

    def begin(document: dict[str, Any], folder: str, *options: str) -> subprocess.Popen[str]:
        job_path = tmp_path / f"{folder}.json"
        job_path.write_text(json.dumps(document))
        command = [sys.executable, "-m", "models", str(job_path), f"--run-dir={tmp_path / folder}", *options]
        command.append(f"--runs={tmp_path / folder}-runs")
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def start_both(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> Callable[..., tuple[subprocess.Popen[str], subprocess.Popen[str]]]:
    """Starts the processes of both machines, each with a run directory of its own."""

    def begin(document: dict[str, Any], *folders: str) -> tuple[subprocess.Popen[str], subprocess.Popen[str]]:
        port = free_port()
        both = []
        for name, folder in zip(NAMES, folders, strict=True):
            config = {"hosts": NAMES, "current_host": name, "network_interface_name": "lo"}
            path = tmp_path / f"{folder}-resourceconfig.json"
            path.write_text(json.dumps(config))
            both.append(start(document, folder, f"--resource-config={path}", f"--meeting-port={port}"))
        return both[0], both[1]

    return begin


def wait_for_step(process: subprocess.Popen[str], step: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("step", 0) >= step:
            return
    raise AssertionError(f"the job ended before step {step}: {process.communicate()[1]}")


def ended(process: subprocess.Popen[str]) -> int:
    _, errors = process.communicate(timeout=120)
    sys.stderr.write(errors)
    return process.returncode


def results(run_path: Path) -> dict[str, bytes]:
    names = [*read(run_path / "manifest.json")["files"], "manifest.json"]
    return {name: (run_path / name).read_bytes() for name in names}


def test_two_machines_leave_together_and_end_with_the_bytes_of_two_ranks_on_one(
    start: Callable[..., subprocess.Popen[str]],
    start_both: Callable[..., tuple[subprocess.Popen[str], subprocess.Popen[str]]],
    train_document: Document,
    s3_objects: S3Objects,
    tmp_path: Path,
):
    document = train_document(LONG, compute=TWO_RANKS)
    first, second = start_both(document, "first", "second")
    wait_for_step(first, 12)
    second.send_signal(signal.SIGTERM)
    assert (ended(first), ended(second)) == (EXIT_INTERRUPTED, EXIT_INTERRUPTED)
    step = read(tmp_path / "first" / "outcome.json")["step"]
    assert step == read(tmp_path / "second" / "outcome.json")["step"] >= 12
    newest = tmp_path / "first" / "checkpoints" / f"step-{step:09d}-a1"
    assert {path.name for path in newest.glob("rng-*.json")} == {"rng-rank0.json", "rng-rank1.json"}
    assert not list((tmp_path / "second").rglob("rng-*"))

    first, fresh = start_both(document, "first", "fresh")
    assert (ended(first), ended(fresh)) == (EXIT_DONE, EXIT_DONE)
    assert read(tmp_path / "first" / "record.json")["attempts"][1]["resumed_at_step"] == step
    assert not (tmp_path / "fresh" / "manifest.json").exists()

    # The same on one machine, with a mirror: its ranks are told of the place too.
    placement_path = tmp_path / "placement.json"
    placement_path.write_text(json.dumps({"run_uri": str(s3_objects.uri)}))
    assert ended(start(document, "one", f"--placement={placement_path}")) == EXIT_DONE
    assert results(tmp_path / "first") == results(tmp_path / "one")
    assert {name: s3_objects.get(name).content for name in results(tmp_path / "one")} == results(tmp_path / "one")
    assert any(key.startswith("checkpoints/step-") for key in s3_objects.list())


def test_ranks_that_cannot_be_spread_are_refused_on_each_machine(
    start_both: Callable[..., tuple[subprocess.Popen[str], subprocess.Popen[str]]], train_document: Document
):
    both = start_both(train_document(), "first", "second")
    assert [ended(process) for process in both] == [EXIT_REFUSED, EXIT_REFUSED]
