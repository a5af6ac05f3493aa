"""The lock of a run directory: one process works in it at a time.

It is a flock: the kernel frees it when its holder dies, however it dies, so there is nothing stale to clean up. The
file itself stays; removing it would let two processes hold locks of two files of one name.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from models.store.filesystem import disk_errors


class RunLock:
    """Held for the life of the process that runs a job.

    Programs this process starts do not hold it (close-on-exec). A child made by fork alone does, until it ends: it
    could still write into the run.

    Args:
        path: The lock file; made if missing, its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free; whether this object now holds it.

        Raises:
            StoreUnavailable: The file cannot be made, or this disk has no locks. Retried.
        """
        if self._descriptor is not None:
            return True
        with disk_errors(self._path):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError:
                os.close(descriptor)
                raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder_pid(self) -> int | None:
        """Process that took the lock last, for messages; ``None`` where nobody did."""
        try:
            return int(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return None
