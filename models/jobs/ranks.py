"""Several processes that train together on one machine, started and watched by the job's own process.

The job's process owns lock and exit code; its ranks end together: a stop is forwarded to all and they agree on the
step, a lost rank ends the others. torchrun was not used: it turns exit code 75 into 1 and, killed, leaves its ranks.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import EXIT_DONE, EXIT_INTERRUPTED, RankLost
from models.jobs.contract import OUTCOME_FILE, SETTINGS_FILE

if TYPE_CHECKING:
    from models.jobs.execution import Execution

POLL_SECONDS = 0.05
GRACE_SECONDS = 2.0
CLEAN = (EXIT_DONE, EXIT_INTERRUPTED)

StartRank = Callable[["Execution", int, Path], int]
"""Starts one rank ``(execution, rank, rendezvous file)`` and gives its process id."""


def run_ranks(execution: Execution, num_ranks: int, start_rank: StartRank) -> int:
    """Start ``num_ranks`` ranks, wait for all, and give the job's exit code.

    Raises:
        RankLost: a rank was killed by a signal; the others were ended. Retried.
    """
    with tempfile.TemporaryDirectory(prefix="codewarden-ranks-") as folder:
        rendezvous = Path(folder) / "rendezvous"
        waiting = {start_rank(execution, rank, rendezvous): rank for rank in range(num_ranks)}
        codes = _wait_for_all(waiting, execution.stop)
        first_failed = next((rank for rank, code in codes.items() if code not in CLEAN), 0)
        if codes[first_failed] < 0:
            raise RankLost({first_failed: -codes[first_failed]})
        if outcome_path_of(rendezvous, first_failed).exists():
            shutil.copyfile(outcome_path_of(rendezvous, first_failed), execution.run_path / OUTCOME_FILE)
    return codes[first_failed]


def outcome_path_of(rendezvous: Path, rank: int) -> Path:
    """Where a rank says how it ended; the job's process makes the first failure the job's outcome."""
    return rendezvous.with_name(f"outcome-rank{rank}.json")


def start_rank_process(execution: Execution, rank: int, rendezvous: Path) -> int:
    """One rank in a fresh interpreter."""
    command = [
        sys.executable,
        "-m",
        "models",
        str(execution.run_path / SETTINGS_FILE),
        f"--run-dir={execution.run_path}",
        f"--runs={execution.runs_path}",
        f"--die-with-parent={os.getpid()}",
        f"--rank={rank}",
        f"--attempt={execution.attempt}",
        f"--rendezvous={rendezvous}",
    ]
    return subprocess.Popen(command).pid


def _wait_for_all(waiting: dict[int, int], stop: Callable[[], bool]) -> dict[int, int]:
    """Exit code by rank in the order they ended; negative: the signal that killed it."""
    codes: dict[int, int] = {}
    told_to_stop = False
    kill_after: float | None = None
    while len(codes) < len(waiting):
        for pid, rank in waiting.items():
            if rank not in codes:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    codes[rank] = os.waitstatus_to_exitcode(status)
        running = [pid for pid, rank in waiting.items() if rank not in codes]
        failed = any(code not in CLEAN for code in codes.values())
        if (stop() or failed) and not told_to_stop:
            _signal_all(running, signal.SIGTERM)
            told_to_stop = True
        if failed and kill_after is None:
            kill_after = time.monotonic() + GRACE_SECONDS
        if kill_after is not None and time.monotonic() > kill_after:
            _signal_all(running, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    return codes


def _signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)
