"""Servers of tests end with the process that started them, also when it was killed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

LOOK_SECONDS = 0.25


def end_with_parent(end: Callable[[], None]) -> None:
    """Call ``end`` from a thread once the parent is gone.

    Watched by asking, because the kernel's own signal comes already when the *thread* that started us ends.
    """
    parent_pid = os.getppid()

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(LOOK_SECONDS)
        end()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
