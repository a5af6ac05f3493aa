from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def run(program: str) -> subprocess.CompletedProcess[str]:
    imports = "import os, signal, sys, time\nfrom models.jobs.stopping import StopSignal, die_with_parent\n"
    return subprocess.run([sys.executable, "-c", imports + program], cwd=ROOT, capture_output=True, text=True)


def test_a_signal_raises_the_flag_and_ends_nothing():
    program = """
stop = StopSignal()
stop.install()
assert not stop()
os.kill(os.getpid(), signal.SIGTERM)
os.kill(os.getpid(), signal.SIGTERM)
print(stop())
"""
    done = run(program)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def test_a_second_interrupt_from_the_keyboard_ends_at_once():
    done = run("stop = StopSignal()\nstop.install()\nfor _ in 'ab': os.kill(os.getpid(), signal.SIGINT)\nprint('here')")
    assert done.returncode == -signal.SIGINT
    assert done.stdout == ""


def test_a_signal_that_came_before_anyone_listened_waits_where_it_is_blocked():
    program = """
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
stop = StopSignal()
stop.install()
print(stop())
"""
    assert run(program).stdout == "True\n"


def test_whose_parent_has_ended_already_is_told_at_once():
    done = run(
        f"stop = StopSignal()\nstop.install()\ndie_with_parent({os.getpid()})\nfirst = stop()\n"
        f"die_with_parent(1 if os.getppid() != 1 else 2)\nprint(first, stop())"
    )
    assert done.stdout == "False True\n", done.stderr
