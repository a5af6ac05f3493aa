"""Several processes that train together on one machine, started and watched by the job's own process.

The job's process owns lock and exit code; its ranks end together: a stop is forwarded to all and they agree on the
step, a lost rank ends the others. torchrun was not used: it turns exit code 75 into 1 and, killed, leaves its ranks.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import EXIT_CRASHED, EXIT_DONE, EXIT_INTERRUPTED, RankLost
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
        codes, decisive = _wait_for_all(waiting, execution.stop)
        if codes[decisive] < 0:
            raise RankLost({decisive: -codes[decisive]})
        if outcome_path_of(rendezvous, decisive).exists():
            shutil.copyfile(outcome_path_of(rendezvous, decisive), execution.run_path / OUTCOME_FILE)
    return codes[decisive]


def outcome_path_of(rendezvous: Path, rank: int) -> Path:
    """Where a rank says how it ended; the job's process makes the decisive one the job's outcome."""
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
    # Not by subprocess, which would want to reap it. SIGTERM waits until the rank listens (StopSignal.install).
    return os.posix_spawn(sys.executable, command, os.environ, setsigmask=[signal.SIGTERM])


def _wait_for_all(waiting: dict[int, int], stop: Callable[[], bool]) -> tuple[dict[int, int], int]:
    """Exit code by rank (negative: the signal that killed it), and the rank whose end is the job's."""
    codes: dict[int, int] = {}
    decisive = 0
    told_to_stop = False
    kill_after: float | None = None
    while len(codes) < len(waiting):
        for pid, rank in waiting.items():
            if rank not in codes:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    codes[rank] = os.waitstatus_to_exitcode(status)
        running = [pid for pid, rank in waiting.items() if rank not in codes]
        failed = [rank for rank, code in codes.items() if code not in CLEAN]
        if (stop() or failed) and not told_to_stop:
            _signal_all(running, signal.SIGTERM)
            told_to_stop = True
        if failed and kill_after is None:
            kill_after = time.monotonic() + GRACE_SECONDS
            # An exception may only be the echo of another rank's death, which is then found in the same look.
            decisive = min(failed, key=lambda rank: codes[rank] == EXIT_CRASHED)
        if kill_after is not None and time.monotonic() > kill_after:
            _signal_all(running, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    return codes, decisive


def _signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)
