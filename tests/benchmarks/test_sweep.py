"""That lives of processes are written whole, and that what is not in them is orchestration."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from benchmarks.sweep import Life, Timed, TimedProcess, read_lives, settings_for
from models.jobs.build import Build
from models.jobs.layout import RunPlan
from models.settings.train import TrainSettings
from tasks.launchers.contract import JobState

SLEEPER = "import sys, time; time.sleep(0.3); sys.exit({code})"


def test_all_that_is_no_process_is_orchestration_and_the_ranking_is_no_trial():
    lives = [Life("train", 101.0, 103.0), Life("train", 103.5, 106.5), Life("rank", 107.0, 111.0)]
    timed = Timed(11.0, lives)

    assert timed.trial_seconds == pytest.approx(7.0)
    assert timed.orchestration_seconds == pytest.approx((11.0 - 2.0 - 3.0 - 4.0) / 2)
    assert timed.gap_seconds == pytest.approx(0.5)


@pytest.mark.parametrize(("code", "state"), [(2, JobState.REFUSED), (75, JobState.INTERRUPTED)])
def test_a_life_holds_the_whole_process_and_the_exit_code_comes_through(tmp_path: Path, code: int, state: JobState):
    runs_path = tmp_path / "runs"
    run_path = runs_path / "train/tiny-000000000000/11111111"
    plan = RunPlan("train", "tiny", "0" * 64, "1" * 64, Build(files={}, libraries={}, machine={}), run_path)
    launcher = TimedProcess(runs_path, tmp_path / "times.txt", (sys.executable, "-c", SLEEPER.format(code=code)))
    before = time.time()

    job = launcher.launch(TrainSettings(train_data=tmp_path, val_data=tmp_path), plan)
    end = job.wait(20)
    job.close()

    (life,) = read_lives(runs_path, tmp_path / "times.txt")
    assert end.state is state
    assert life.kind == "train"
    assert before <= life.begin <= life.end - 0.3 < life.end <= time.time()


def test_both_sweeps_try_the_same_on_one_thread(tmp_path: Path):
    one, two = (settings_for(tmp_path, 8, 2, slots) for slots in (1, 2))

    assert (one.models, one.grid, one.compute) == (two.models, two.grid, two.compute)
    assert one.compute.num_threads == 1
    assert one.runs != two.runs
