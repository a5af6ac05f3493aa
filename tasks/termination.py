"""Knowing, in any thread, that this process was told to end.

Prefect cancels a flow by SIGTERM to its process group, a person by Ctrl-C: its main thread gets an exception, its task
threads hear nothing and would go on, and a job interrupted by the same signal would be launched again by a supervisor
in a thread. A flow therefore runs its tasks inside ``noting_termination``. The note outlives the context, for threads
that are still at work when the flow has left it.

The signal is seen through Python's wakeup descriptor and not by a handler of our own: Prefect takes a SIGTERM for a
cancellation only while its own handler is in place (without it the run ends as Crashed).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

NO_DESCRIPTOR = -1
ENDING = {signal.SIGTERM, signal.SIGINT}


class _Note:
    """Whether a signal to end was seen, and the pipe on which it is."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seen = False
        self.reader = NO_DESCRIPTOR

    def look(self) -> bool:
        """Read what signals came, without waiting."""
        with self.lock:
            if self.reader != NO_DESCRIPTOR:
                try:
                    numbers = os.read(self.reader, 4096)
                except BlockingIOError:
                    numbers = b""
                self.seen = self.seen or not ENDING.isdisjoint(numbers)
            return self.seen


_note = _Note()


def told_to_end() -> bool:
    """Whether SIGTERM or SIGINT arrived inside ``noting_termination``."""
    return _note.look()


@contextmanager
def noting_termination() -> Iterator[None]:
    """Note SIGTERM and SIGINT for ``told_to_end``.

    Outside the main thread, and inside an event loop of its own, where the descriptor is taken, nothing is noted.
    Inside another such context (a flow that another flow calls) it is that one which notes.
    """
    if threading.current_thread() is not threading.main_thread() or _note.reader != NO_DESCRIPTOR:
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    if before != NO_DESCRIPTOR:
        signal.set_wakeup_fd(before)
    _note.seen = False
    _note.reader = reader
    try:
        yield
    finally:
        _note.look()
        if before == NO_DESCRIPTOR:
            signal.set_wakeup_fd(NO_DESCRIPTOR)
        with _note.lock:
            _note.reader = NO_DESCRIPTOR
        os.close(reader)
        os.close(writer)
