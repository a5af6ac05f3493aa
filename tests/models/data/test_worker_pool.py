"""Workers: the same records in the same order, and no orphan."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tokenizers import Tokenizer

from models.data.raw_functions import RawFunction
from models.data.records import NamedFunction, RecordPlan
from models.data.worker_pool import BYTES_WORTH_A_WORKER, Chunk, make_chunks, worker_count

ENDLESS = """
import itertools, sys
from models.data.raw_functions import RawFunction
from models.data.records import NamedFunction, RecordPlan
from models.data.tokenizer_files import train_tokenizer
from models.data.worker_pool import make_chunks
if __name__ == "__main__":
    plan = RecordPlan(train_tokenizer(["int x"], 300).to_str(), "s", 32, True, "head", 50)
    chunk = [NamedFunction(RawFunction(1, "1", "int f(void);", 0, "", "", True), "S-TRAIN-1", "g", "train")]
    for at, _ in enumerate(make_chunks(plan, itertools.repeat(chunk), 2)):
        if at == 3:
            print("working", flush=True)
"""


@pytest.fixture
def plan(tokenizer: Tokenizer) -> RecordPlan:
    return RecordPlan(tokenizer.to_str(), "made", 64, True, "window", 60)


@pytest.fixture
def chunks(functions: list[str]) -> list[Chunk]:
    named = [
        NamedFunction(RawFunction(at, str(at), code, 0, "", "", True), f"MADE-TRAIN-{at}", "g", "train")
        for at, code in enumerate(functions)
    ]
    return [named[at : at + 2] for at in range(0, len(named), 2)]


def test_two_workers_give_what_one_process_gives_in_order(plan: RecordPlan, chunks: list[Chunk]) -> None:
    alone, together = (list(make_chunks(plan, iter(chunks), count)) for count in (1, 2))

    assert [made.functions for made in together] == chunks
    assert [made.records.lines for made in together] == [made.records.lines for made in alone]
    assert [made.records.columns.flat for made in together] == [made.records.columns.flat for made in alone]


def test_what_the_source_raises_comes_through_and_ends_the_workers(plan: RecordPlan, chunks: list[Chunk]) -> None:
    def failing():
        yield chunks[0]
        raise RuntimeError("disk gone")

    before = set(psutil.Process().children())
    with pytest.raises(RuntimeError, match="disk gone"):
        list(make_chunks(plan, failing(), 2))
    names = [" ".join(child.cmdline()) for child in set(psutil.Process().children()) - before if child.is_running()]
    assert not [name for name in names if "spawn_main" in name]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked to end them")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent_however_it_ends(number: signal.Signals, tmp_path: Path) -> None:
    program = tmp_path / "endless.py"
    program.write_text(ENDLESS)
    parent = subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"working\n"
    children = psutil.Process(parent.pid).children(recursive=True)
    assert len(children) >= 2

    parent.send_signal(number)
    parent.wait(timeout=20)

    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []


def wait_until_ignored(pid: int, number: signal.Signals) -> None:
    for _ in range(600):
        status = Path(f"/proc/{pid}/status").read_text()
        ignored = next(line for line in status.splitlines() if line.startswith("SigIgn:")).split()[1]
        if int(ignored, 16) >> (number - 1) & 1:
            return
        time.sleep(0.05)
    raise AssertionError(f"worker {pid} never ignored {number.name}")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_leaves_being_asked_to_stop_to_its_parent(tmp_path: Path) -> None:
    program = tmp_path / "endless.py"
    program.write_text(ENDLESS)
    parent = subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"working\n"
        workers = [c for c in psutil.Process(parent.pid).children() if "spawn_main" in " ".join(c.cmdline())]
        for worker in workers:
            wait_until_ignored(worker.pid, signal.SIGTERM)  # until then it is still starting
            worker.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert [worker.is_running() for worker in workers] == [True] * 2
        assert parent.poll() is None
    finally:
        parent.kill()
        parent.wait()


def test_as_many_workers_as_asked_for_or_as_the_data_is_worth() -> None:
    assert worker_count(3, 0) == 3
    assert worker_count(0, 100) == 1
    assert 1 <= worker_count(0, 1000 * BYTES_WORTH_A_WORKER) <= (os.cpu_count() or 1)
