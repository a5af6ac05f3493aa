"""Being asked to stop: SIGTERM and SIGINT raise a flag that the job reads between steps."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from types import FrameType

PR_SET_PDEATHSIG = 1


class StopSignal:
    """A flag raised by SIGTERM or SIGINT; a second SIGINT ends the process at once.

    Calling it tells whether the flag is up.
    """

    def __init__(self) -> None:
        self._raised = False
        self._raised_at_seconds: float | None = None

    def __call__(self) -> bool:
        """Whether the flag is up."""
        return self._raised

    def seconds_since(self) -> float:
        """Time since the flag went up [s]; 0 while it is down."""
        return time.monotonic() - self._raised_at_seconds if self._raised_at_seconds is not None else 0.0

    def install(self) -> None:
        """Listen; only in the main thread of a job process."""
        signal.signal(signal.SIGTERM, self._raise)
        signal.signal(signal.SIGINT, self._raise)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])  # ranks and containers are started with it blocked

    def _raise(self, number: int, _frame: FrameType | None) -> None:
        if self._raised and number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        self._raised = True
        if self._raised_at_seconds is None:
            self._raised_at_seconds = time.monotonic()


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel for SIGTERM when the parent ends (Linux), and send it now if it has ended already.

    The kernel watches the parent's *thread* that started us: whoever starts a job must keep that thread until the
    job has ended, which a supervisor does because it waits in it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGTERM)
