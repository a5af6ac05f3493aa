from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from models.errors import ObjectMissing
from models.store.lock import RunLock

HOLDER = """
import subprocess, sys, time
from pathlib import Path
from models.store.lock import RunLock

lock = RunLock(Path(sys.argv[1]))
assert lock.try_acquire()
rank = subprocess.Popen(["sleep", "60"], close_fds=False)
print(rank.pid, flush=True)
time.sleep(60)
"""


def test_a_lock_is_held_by_one_at_a_time_and_says_by_whom(tmp_path):
    first, second = RunLock(tmp_path / "lock"), RunLock(tmp_path / "lock")
    assert first.holder_pid() is None
    assert first.try_acquire()
    assert first.try_acquire()
    assert not second.try_acquire()
    assert second.holder_pid() == os.getpid()
    first.release()
    first.release()
    assert second.try_acquire()


def test_a_killed_holder_frees_the_lock_although_a_program_it_started_lives_on(tmp_path):
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    started_pid = int(holder.stdout.readline())
    try:
        assert not RunLock(path).try_acquire()
        assert RunLock(path).holder_pid() == holder.pid
        holder.kill()
        holder.wait()
        os.kill(started_pid, 0)
        assert RunLock(path).try_acquire()
    finally:
        holder.kill()
        os.kill(started_pid, signal.SIGKILL)
        holder.stdout.close()


def test_a_lock_in_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ObjectMissing):
        RunLock(tmp_path / "nowhere" / "lock").try_acquire()
