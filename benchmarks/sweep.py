"""What two slots save, and what orchestration costs: ``python -m benchmarks.sweep``.

The same trials twice, one at a time and two at a time, by the real flow of stage 1 on a real Prefect server, each sweep
in its own process with its own run root, in which the records lie ready. Every trial has one thread in both.

- Time of a sweep: the flow from call to return, less the life of the ranking's process, which is no trial. Bound: with
  two slots at most 0.6 of it. On two cores: trials share them with the server and the flow.
- Orchestration: the same flow with one slot, less the lives of all its processes, by trial. Bound: below 1 s. So it
  holds all that is not a trial's own imports and work: planning, checks, Prefect's calls, starting, noticing the end,
  tables, and the stage's own begin and end. The gap from the end of one trial to the start of the next is printed too.

A life is written by a shell around the process, from before the interpreter starts until after it has ended: neither
the launcher's part of starting nor its noticing of the end is in it.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple
from unittest.mock import patch

from benchmarks.side_by_side import held
from flows.stage1 import Stage1Settings, stage1_broad
from models.data.generated_findings import write_sample
from models.jobs.layout import plan_run
from tasks.launchers.contract import JobState
from tasks.launchers.local import LocalProcess
from tasks.sweep_plan import plan_sweep

MAX_RATIO = 0.6
MAX_SECONDS_PER_TRIAL = 1.0
MAX_LOAD = 0.5
"""Of the machine before the first sweep; above it the numbers say little."""
NUM_FINDINGS = 400
MINUTES = 60.0
TIMED = 'begin=$(date +%s.%N); "$@"; code=$?; echo "$begin $(date +%s.%N) $*" >> "$0"; exit $code'
"""Runs a command and writes to the file that it is called by when the command began and ended, and the command."""


class Life(NamedTuple):
    """A process from before its interpreter until after its end [s since the epoch]."""

    kind: str
    begin: float
    end: float


class Timed(NamedTuple):
    """A sweep: the flow's wall time [s], and the processes that it started, in the order of their ends."""

    seconds: float
    lives: list[Life]

    @property
    def trials(self) -> list[Life]:
        """The trainings, in the order of their begins."""
        return sorted((life for life in self.lives if life.kind == "train"), key=lambda life: life.begin)

    @property
    def trial_seconds(self) -> float:
        """The flow less the ranking's process."""
        return self.seconds - sum(life.end - life.begin for life in self.lives if life.kind != "train")

    @property
    def orchestration_seconds(self) -> float:
        """By trial, where one ran at a time."""
        return (self.seconds - sum(life.end - life.begin for life in self.lives)) / len(self.trials)

    @property
    def gap_seconds(self) -> float:
        """Median time from the end of a trial to the start of the next, where one ran at a time."""
        return median(after.begin - before.end for before, after in pairwise(self.trials))


def main(argv: Sequence[str] | None = None) -> int:
    """Print both numbers; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=8, help="trials of each sweep")
    parser.add_argument("--epochs", type=int, default=5, help="of each trial [epochs]")
    parser.add_argument("--part", choices=["all", "sweep"], default="all", help="used by the benchmark itself")
    parser.add_argument("--slots", type=int, default=1, help="used by the benchmark itself")
    parser.add_argument("--folder", type=Path, help="used by the benchmark itself")
    options = parser.parse_args(argv)
    if options.part == "sweep":
        timed = run_sweep(settings_for(options.folder, options.trials, options.epochs, options.slots))
        print(json.dumps(timed))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return report(Path(folder), options.trials, options.epochs)


def report(folder: Path, num_trials: int, num_epochs: int) -> int:
    """Both sweeps, one after the other; the exit code."""
    load = os.getloadavg()[0]
    noisy = "  (busy: the numbers say little)" if load > MAX_LOAD else ""
    print(f"{num_trials} trials, one thread each, {os.cpu_count()} cores; load before: {load:.1f}{noisy}", flush=True)
    write_sample(folder / "data", NUM_FINDINGS)
    with prefect_server(folder / "prefect") as environment:
        one, two = (_in_child(folder, num_trials, num_epochs, slots, environment) for slots in (1, 2))
    for name, timed in {"one at a time": one, "two at a time": two}.items():
        longest = max(life.end - life.begin for life in timed.trials)
        of_trial = median(life.end - life.begin for life in timed.trials)
        print(
            f"  {name}: {timed.trial_seconds:6.1f} s   life of a trial {of_trial:5.1f} s, the longest {longest:5.1f} s"
        )
    print(f"  from the end of a trial to the start of the next: {one.gap_seconds:.2f} s")
    ratio, overhead = two.trial_seconds / one.trial_seconds, one.orchestration_seconds
    bounds = {
        f"two slots: {ratio:.2f} of the sequential time (<= {MAX_RATIO})": ratio <= MAX_RATIO,
        f"orchestration: {overhead:.2f} s a trial (< {MAX_SECONDS_PER_TRIAL} s)": overhead < MAX_SECONDS_PER_TRIAL,
    }
    return 0 if held(bounds) else 1


def settings_for(folder: Path, num_trials: int, num_epochs: int, num_slots: int) -> Stage1Settings:
    """Equal trials but for the learning rate, with a run root for each number of slots."""
    return Stage1Settings.model_validate(
        {
            "findings": {"data": folder / "data", "vocab_size": 600, "max_seq_len": 128},
            "models": {"roberta_tiny": {"family": "roberta", "settings": tiny_model()}},
            "grid": {"learning_rate": [1e-3 + 1e-5 * trial for trial in range(num_trials)], "epochs": [num_epochs]},
            "compute": {"num_threads": 1},
            "slots": num_slots,
            "runs": folder / f"runs{num_slots}",
        }
    )


def tiny_model() -> dict[str, object]:
    """Trains for some seconds; no trial ends earlier than another."""
    return {
        "pretrained": "off",
        "small": {"hidden_dim": 64, "num_layers": 2, "num_heads": 4, "feedforward_dim": 256},
        "max_seq_len": 128,
        "early_stopping_patience": 1_000,
    }


def run_sweep(settings: Stage1Settings) -> Timed:
    """Make the records, then time the flow with its processes."""
    make_records(settings)
    times_path = settings.runs / "times.txt"
    with patch("tasks.launchers.places.LocalProcess", lambda runs_path: TimedProcess(runs_path, times_path)):
        begin = time.perf_counter()
        stage1_broad(settings)
        seconds = time.perf_counter() - begin
    return Timed(seconds, read_lives(settings.runs, times_path))


class TimedProcess(LocalProcess):
    """Children whose lives are written down, a line for each.

    Args:
        runs_path: The run root.
        times_path: The file that is written.
        command: What runs a job file.
    """

    def __init__(
        self, runs_path: Path, times_path: Path, command: Sequence[str] = (sys.executable, "-m", "models")
    ) -> None:
        super().__init__(runs_path, ("sh", "-c", TIMED, str(times_path), *command))


def read_lives(runs_path: Path, times_path: Path) -> list[Life]:
    """The lines that ``TimedProcess`` wrote; a run's kind is the folder it lies in."""
    lives = []
    for line in times_path.read_text().splitlines():
        begin, end, command = line.split(maxsplit=2)
        kind = command.partition(f"{runs_path}/")[2].partition("/")[0]
        lives.append(Life(kind, float(begin), float(end)))
    return lives


def make_records(settings: Stage1Settings) -> None:
    """The findings job, done before any clock runs."""
    for job in plan_sweep(settings).data.values():
        launched = LocalProcess(settings.runs).launch(job, plan_run(job, settings.runs))
        end = launched.wait(10 * MINUTES)
        launched.close()
        assert end.state is JobState.DONE, end


@contextmanager
def prefect_server(home_path: Path) -> Iterator[dict[str, str]]:
    """A server on a free port; gives the environment of those who talk to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = {**os.environ, "PREFECT_HOME": str(home_path), "PREFECT_LOGGING_LEVEL": "WARNING"}
    server = [sys.executable, "-m", "deployments.server"]
    try:
        told = subprocess.run(
            [*server, "ensure", "--port", port], env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        yield {**environment, "PREFECT_API_URL": told.stdout.strip()}
    finally:
        subprocess.run([*server, "stop", "--port", port], env=environment, stderr=subprocess.DEVNULL, check=True)


def _in_child(folder: Path, num_trials: int, num_epochs: int, num_slots: int, environment: dict[str, str]) -> Timed:
    """A sweep in its own process, so that nothing is warm from the other."""
    sizes = {"--trials": num_trials, "--epochs": num_epochs, "--slots": num_slots, "--folder": folder}
    command = [sys.executable, "-m", "benchmarks.sweep", "--part", "sweep"]
    command += [str(word) for pair in sizes.items() for word in pair]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    seconds, lives = json.loads(done.stdout.splitlines()[-1])
    return Timed(seconds, [Life(*life) for life in lives])


if __name__ == "__main__":
    sys.exit(main())
