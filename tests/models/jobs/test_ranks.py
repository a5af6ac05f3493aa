"""How ranks are watched, with ranks that train nothing; real ones are in tests/models/test_main.py."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import EXIT_CRASHED, EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED, RankLost
from models.jobs import ranks
from models.jobs.execution import Execution
from models.jobs.ranks import outcome_path_of, run_ranks
from models.jobs.registry import parse_job
from models.jobs.stopping import StopSignal

WAITS_FOR_TERM = """
import signal, sys, time
def leave(*_):
    sys.exit(75)
signal.signal(signal.SIGTERM, leave)
open(sys.argv[2], "w").close()
time.sleep(60)
"""
IGNORES_TERM = WAITS_FOR_TERM.replace("leave(*_):\n    sys.exit(75)", "leave(*_):\n    pass").replace(
    "time.sleep(60)", "while True: time.sleep(60)"
)
REFUSES = """
import json, sys
json.dump({"outcome": "refused", "message": "mine"}, open(sys.argv[1], "w"))
sys.exit(2)
"""
KILLED = "import os; os.kill(os.getpid(), 9)"
CRASHES = "raise SystemExit(1)"
WAITS_AND_CRASHES = "import time; time.sleep(0.3); raise SystemExit(1)"


class Ranks:
    """Starts a program for each rank, and remembers their process ids."""

    def __init__(self, folder: Path, *programs: str) -> None:
        self.folder = folder
        self.programs = programs
        self.pids: list[int] = []

    def __call__(self, execution: Execution, rank: int, rendezvous: Path) -> int:
        outcome, ready = outcome_path_of(rendezvous, rank), self.folder / f"ready-{rank}"
        command = [sys.executable, "-I", "-S", "-c", self.programs[rank], str(outcome), str(ready)]
        self.pids.append(os.posix_spawn(sys.executable, command, os.environ))
        return self.pids[-1]

    def are_gone(self) -> bool:
        return not any(Path(f"/proc/{pid}").exists() for pid in self.pids)

    def wait_until_ready(self) -> None:
        while len(list(self.folder.glob("ready-*"))) < len(self.programs):
            time.sleep(0.01)


@pytest.fixture
def run(
    tmp_path: Path, train_document: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    monkeypatch.setattr(ranks, "GRACE_SECONDS", 0.5)

    def run_all(started: Ranks, stop: StopSignal | None = None) -> int:
        settings = parse_job(json.dumps(train_document()))
        execution = Execution(settings, tmp_path, tmp_path, stop=stop or StopSignal())
        return run_ranks(execution, range(len(started.programs)), started)

    return run_all


def test_ranks_that_all_end_well_make_a_job_that_did(run: Callable[..., int], tmp_path: Path):
    assert run(Ranks(tmp_path, "", "", "")) == EXIT_DONE


@pytest.mark.parametrize("other", [WAITS_FOR_TERM, IGNORES_TERM], ids=["leaves when told", "does not listen"])
def test_a_killed_rank_is_lost_and_takes_the_others_along(run: Callable[..., int], tmp_path: Path, other: str):
    started = Ranks(tmp_path, other, KILLED, other)
    with pytest.raises(RankLost, match="rank 1 by signal 9") as caught:
        run(started)
    assert caught.value.retryable
    assert started.are_gone()


@pytest.mark.parametrize("programs", [(CRASHES, KILLED), (KILLED, CRASHES)])
def test_the_exception_that_a_lost_rank_causes_in_another_is_not_the_reason(
    run: Callable[..., int], tmp_path: Path, programs: tuple[str, ...]
):
    class EndedBeforeTheFirstLook(Ranks):
        def __call__(self, execution: Execution, rank: int, rendezvous: Path) -> int:
            pid = super().__call__(execution, rank, rendezvous)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            return pid

    with pytest.raises(RankLost):
        run(EndedBeforeTheFirstLook(tmp_path, *programs))


def test_a_rank_that_crashed_before_it_was_told_to_leave_makes_a_crash(run: Callable[..., int], tmp_path: Path):
    started = Ranks(tmp_path, IGNORES_TERM, WAITS_AND_CRASHES)
    assert run(started) == EXIT_CRASHED
    assert started.are_gone()


def test_the_refusal_of_a_rank_is_the_outcome_of_the_job(run: Callable[..., int], tmp_path: Path):
    assert run(Ranks(tmp_path, WAITS_FOR_TERM, REFUSES)) == EXIT_REFUSED
    assert json.loads((tmp_path / "outcome.json").read_text())["message"] == "mine"


def test_a_stop_is_passed_on_to_all_ranks_and_their_leave_is_the_job_s(run: Callable[..., int], tmp_path: Path):
    started, stop = Ranks(tmp_path, WAITS_FOR_TERM, WAITS_FOR_TERM), StopSignal()

    def ask() -> None:
        started.wait_until_ready()
        stop._raise(signal.SIGTERM, None)

    asking = threading.Thread(target=ask)
    asking.start()
    assert run(started, stop) == EXIT_INTERRUPTED
    asking.join()
    assert started.are_gone()
