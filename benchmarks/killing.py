"""Attempts at a run that are killed where the certificate says: forked from a warm parent, or fresh interpreters.

A kill is drawn over (step, named point), never over seconds: most of a short run's seconds are imports, and a kill
there proves nothing. Each killed process says where it was just before it dies.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from models.jobs.execution import Execution, execute, run_attempt
from models.jobs.placement import Placement, read_placement
from models.jobs.registry import parse_job
from models.jobs.stopping import StopSignal, die_with_parent
from models.settings.train import TrainSettings
from models.store.crash_points import MID_STEP, observe

ATTEMPT_TIMEOUT_SECONDS = 120.0
THREADLESS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Keeps NumPy's and Arrow's libraries from starting threads when they are loaded."""


@dataclass(frozen=True)
class Kill:
    """Where an attempt is to be hit.

    Args:
        step: First optimiser step at which it may be.
        point: Named point.
        signal_name: SIGKILL, or SIGTERM for a polite reclaim.
        rank: Which of the processes that train together.
    """

    step: int
    point: str
    signal_name: str = "SIGKILL"
    rank: int = 0


@dataclass(frozen=True)
class Ended:
    """How an attempt ended.

    Args:
        exit_code: Negative: the signal that ended the job's process.
        hit: Where the kill struck, ``None`` when the run ended before it.
        started_at_step: The step it resumed from.
        fresh: Whether it was a fresh interpreter.
        seconds_to_step: From its start (a fresh one's imports included) to its first step; ``None``: it made none.
    """

    exit_code: int
    hit: Kill | None
    started_at_step: int
    fresh: bool
    seconds_to_step: float | None = None


@dataclass(frozen=True)
class Attempt:
    """An attempt to come.

    Args:
        settings: The run.
        run_path: Its directory.
        note_path: File in which a killed process says where it was.
        placement: What the job is told of its place.
        started_at_step: The step it will resume from.
    """

    settings: TrainSettings
    run_path: Path
    note_path: Path
    placement: Placement
    started_at_step: int

    @property
    def clock_path(self) -> Path:
        """File that is told how long the first step took to come."""
        return self.note_path.with_suffix(".clock")

    def ended(self, exit_code: int, *, fresh: bool) -> Ended:
        """How it ended."""
        seconds = float(self.clock_path.read_text()) if self.clock_path.exists() else None
        return Ended(exit_code, _read_note(self.note_path), self.started_at_step, fresh, seconds)

    def forget(self) -> None:
        """Remove what an attempt before left."""
        self.note_path.unlink(missing_ok=True)
        self.clock_path.unlink(missing_ok=True)


def forked_attempt(attempt: Attempt, kill: Kill | None) -> Ended:
    """An attempt in a fork of this process, which must not have started threads.

    Raises:
        RuntimeError: this process has threads; a fork of it could hang.
    """
    refuse_threads()
    attempt.forget()
    pid = os.fork()
    if pid == 0:
        _leave(lambda: run_to_kill(attempt, kill))
    return attempt.ended(_wait(pid), fresh=False)


def fresh_attempt(attempt: Attempt, kill: Kill | None, *, hash_seed: int) -> Ended:
    """An attempt in a fresh interpreter with its own hash seed."""
    attempt.forget()
    job_path = attempt.note_path.with_suffix(".job.json")
    job_path.write_text(attempt.settings.model_dump_json())
    placement_path = attempt.note_path.with_suffix(".placement.json")
    placement_path.write_text(attempt.placement.model_dump_json())
    command = [sys.executable, "-m", "benchmarks.killing", str(job_path), str(attempt.run_path)]
    command += [str(attempt.note_path), str(placement_path), str(attempt.started_at_step)]
    if kill is not None:
        command.append(json.dumps(asdict(kill)))
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    return attempt.ended(_wait(child.pid), fresh=True)


def run_to_kill(attempt: Attempt, kill: Kill | None) -> int:
    """Run the job in this process, with the kill waiting in it; several ranks are forks of this process."""
    stop = StopSignal()
    stop.install()
    settings = attempt.settings
    execution = Execution(
        settings,
        attempt.run_path,
        attempt.run_path.parent,
        stop=stop,
        num_ranks=settings.compute.num_ranks,
        placement=attempt.placement,
    )
    if execution.num_ranks == 1:
        arm(kill, attempt, rank=0)
        return execute(execution)

    def start_rank(job: Execution, rank: int, rendezvous: Path) -> int:
        return _fork_rank(job, rank, rendezvous, kill, attempt)

    return execute(execution, start_rank)


def arm(kill: Kill | None, attempt: Attempt, *, rank: int) -> None:
    """Have this process die at the kill's point, once its step has come; rank 0 times the first step."""
    step = attempt.started_at_step
    started = time.monotonic()

    def at_point(point: str) -> None:
        nonlocal step
        if point == MID_STEP and rank == 0 and step == attempt.started_at_step:
            attempt.clock_path.write_text(f"{time.monotonic() - started}")
        is_due = kill is not None and kill.rank == rank and point == kill.point and step >= kill.step
        if kill is not None and is_due and not attempt.note_path.exists():
            attempt.note_path.write_text(json.dumps(asdict(Kill(step, point, kill.signal_name, rank))))
            os.kill(os.getpid(), signal.Signals[kill.signal_name])
        step += point == MID_STEP

    observe(at_point)


def without_threads(module: str) -> None:
    """Start ``python -m module`` again with an environment in which importing starts no threads."""
    if any(os.environ.get(name) != value for name, value in THREADLESS.items()):
        os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], {**os.environ, **THREADLESS})


def refuse_threads() -> None:
    """Stop where this process has more than its main thread.

    Raises:
        RuntimeError: it has.
    """
    num_threads = len(list(Path("/proc/self/task").iterdir()))
    if num_threads != 1:
        raise RuntimeError(f"the warm parent has {num_threads} threads; forks of it could hang")


def _fork_rank(job: Execution, rank: int, rendezvous: Path, kill: Kill | None, attempt: Attempt) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        die_with_parent(parent)
        arm(kill, attempt, rank=rank)
        _leave(lambda: run_attempt(replace(job, rank=rank, rendezvous=rendezvous)))
    return pid


def _leave(body: Callable[[], int]) -> None:
    """Run ``body`` in a fork and end it without the parent's clean-up; its words go nowhere."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    code = 1
    try:
        code = body()
    finally:
        os._exit(code)


def _wait(pid: int) -> int:
    deadline = time.monotonic() + ATTEMPT_TIMEOUT_SECONDS
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise TimeoutError(f"an attempt did not end within {ATTEMPT_TIMEOUT_SECONDS:g} s")
        time.sleep(0.002)


def _read_note(note_path: Path) -> Kill | None:
    if not note_path.exists():
        return None
    fields: dict[str, Any] = json.loads(note_path.read_text())
    return Kill(**fields)


def main() -> int:
    """A fresh attempt: job file, run directory, note file, placement, first step, and the kill as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name in ("job", "run_dir", "note", "placement"):
        parser.add_argument(name, type=Path)
    parser.add_argument("step", type=int)
    parser.add_argument("kill", nargs="?")
    arguments = parser.parse_args()
    settings = parse_job(arguments.job.read_bytes())
    assert isinstance(settings, TrainSettings)
    kill = Kill(**json.loads(arguments.kill)) if arguments.kill else None
    placement = read_placement(arguments.placement)
    return run_to_kill(Attempt(settings, arguments.run_dir, arguments.note, placement, arguments.step), kill)


if __name__ == "__main__":
    sys.exit(main())
