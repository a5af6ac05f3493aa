"""Several processes that train together on one machine, started and watched by the job's own process.

The job's process owns lock and exit code; its ranks end together: a stop is forwarded to all and they agree on the
step, a lost rank ends the others. torchrun was not used: it turns exit code 75 into 1 and, killed, leaves its ranks.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import EXIT_CRASHED, EXIT_DONE, EXIT_INTERRUPTED, RankLost
from models.jobs.contract import OUTCOME_FILE, SETTINGS_FILE
from models.jobs.events import EventEcho
from models.jobs.json_files import read_json, write_json
from models.jobs.outcome import outcome_of, say

if TYPE_CHECKING:
    from models.jobs.execution import Execution

POLL_SECONDS = 0.05
GRACE_SECONDS = 2.0
CLEAN = (EXIT_DONE, EXIT_INTERRUPTED)

StartRank = Callable[["Execution", int, Path], int]
"""Starts one rank ``(execution, rank, rendezvous file)`` and gives its process id."""


def run_ranks(execution: Execution, ranks: Sequence[int], start_rank: StartRank) -> int:
    """Start these ranks of a job, wait for all, and give the job's exit code.

    Raises:
        RankLost: a rank was killed by a signal; the others were ended. Retried.
    """
    with tempfile.TemporaryDirectory(prefix="codewarden-ranks-") as folder:
        rendezvous = Path(folder) / "rendezvous"
        waiting = {start_rank(execution, rank, rendezvous): rank for rank in ranks}
        codes, decisive = _wait_for_all(waiting, execution.stop)
        if codes[decisive] < 0:
            raise RankLost({decisive: -codes[decisive]})
        told = read_json(outcome_path_of(rendezvous, decisive))
    if told is None and codes[decisive] != EXIT_DONE:
        told = outcome_of(codes[decisive], f"rank {decisive} ended without a word", attempt=execution.attempt)
    if told is not None:
        write_json(execution.run_path / OUTCOME_FILE, told)
        say(told)  # once: the ranks themselves are silent about it
    return codes[decisive]


def outcome_path_of(rendezvous: Path, rank: int) -> Path:
    """Where a rank says how it ended; the job's process makes the decisive one the job's outcome."""
    return rendezvous.with_name(f"outcome-rank{rank}.json")


def start_rank_process(
    execution: Execution, rank: int, rendezvous: Path, *, stdout_descriptor: int | None = None
) -> int:
    """One rank in a fresh interpreter; its stdout is ours, or what ``stdout_descriptor`` names."""
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
    if execution.placement_path is not None:
        command.append(f"--placement={execution.placement_path}")
    if execution.hosts is not None:
        command += [f"--resource-config={execution.hosts.config_path}", f"--meeting-port={execution.hosts.port}"]
    # Not by subprocess, which would want to reap it. SIGTERM waits until the rank listens (StopSignal.install).
    actions = [(os.POSIX_SPAWN_DUP2, stdout_descriptor, 1)] if stdout_descriptor is not None else []
    return os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsigmask=[signal.SIGTERM])


class RetoldRanks:
    """Starts ranks whose events are written by ``echo`` and not by rank 0 itself: for people, in words.

    A context manager: at its end all has been told. Whoever reads JSON lets rank 0 write them
    (``start_rank_process``): a pipe more between the two would only keep lines back.

    Args:
        echo: Takes the lines of rank 0.
    """

    def __init__(self, echo: EventEcho) -> None:
        self._echo = echo
        self._listeners: list[threading.Thread] = []

    def __enter__(self) -> RetoldRanks:
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners:
            listener.join()

    def __call__(self, execution: Execution, rank: int, rendezvous: Path) -> int:
        """Start one rank."""
        if rank > 0:
            return start_rank_process(execution, rank, rendezvous)
        reading, writing = os.pipe()
        try:
            pid = start_rank_process(execution, rank, rendezvous, stdout_descriptor=writing)
        finally:
            os.close(writing)
        self._listeners.append(threading.Thread(target=self._listen, args=[reading], daemon=True))
        self._listeners[-1].start()
        return pid

    def _listen(self, reading: int) -> None:
        # Whoever listened may go; the closed pipe then tells rank 0, which trains on in silence.
        with contextlib.suppress(BrokenPipeError), open(reading, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._echo.write(line)
                self._echo.flush()


def _wait_for_all(waiting: dict[int, int], stop: Callable[[], bool]) -> tuple[dict[int, int], int]:
    """Exit code by rank (negative: the signal that killed it), and the rank whose end is the job's."""
    codes: dict[int, int] = {}
    decisive = min(waiting.values())
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
