"""Run a command that gets SIGTERM when its parent dies: ``python -I -S tied_child.py PARENT_PID COMMAND ...``.

A program of its own, because the alternatives are worse: ``preexec_fn`` can deadlock in a process with threads, and a
command that ties itself must import first, in which time its parent may die unseen. The tie survives ``exec``.

Linux ties to the *thread* that started the child, not to its process. That is what is wanted: the thread that launches
is the one that supervises, until the child has ended.

Only the standard library here; it starts in some 10 ms and is replaced by the command.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to its parent and become the command."""
    parent_pid, command = int(arguments[0]), arguments[1:]
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor says when to stop
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent_pid:  # died before the tie was made
        sys.exit(128 + signal.SIGTERM)
    os.execvp(command[0], command)  # noqa: S606  no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
