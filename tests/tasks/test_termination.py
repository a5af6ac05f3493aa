"""A task thread learns that the process was told to end, and the handler that was there still gets the signal."""

from __future__ import annotations

import signal
import threading

import pytest

from tasks.termination import noting_termination, told_to_end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_any_thread_learns_of_a_signal_to_end_and_the_handler_stays(number):
    handled, seen = [], []
    before = signal.signal(number, lambda *_: handled.append("handler"))
    try:
        with noting_termination():
            assert not told_to_end()
            signal.raise_signal(number)
            thread = threading.Thread(target=lambda: seen.append(told_to_end()))
            thread.start()
            thread.join()
        assert (handled, seen) == (["handler"], [True])
        assert told_to_end()  # for threads that are still at work
        with noting_termination():
            assert not told_to_end()
    finally:
        signal.signal(number, before)
