"""Sends generations off the training thread: the newest wins, a failure is tried again, nothing is hidden.

What sending means belongs to ``remote_checkpoints``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from models.errors import CloudRefused, ObjectCorrupt, ObjectMissing, StoreUnavailable
from models.store.remote_checkpoints import Upload

RETRY_SECONDS = 30.0
HURRIED_RETRY_SECONDS = 1.0
"""Pause while somebody waits for the last upload [s]: a short outage must not cost what time there is."""
POLL_SECONDS = 0.5


class Uploader:
    """One upload at a time on a thread of its own, which lives while there is something to send.

    What ends that thread (another writer, a bug) is raised on the caller's at its next call.

    Args:
        send: Sends one; may be called again for the same.
        retry_seconds: Pause before a failed upload is tried again; a newer one, or ``settle``, ends it [s].
    """

    def __init__(self, send: Callable[[Upload], None], *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._send = send
        self._retry_seconds = retry_seconds
        self._changed = threading.Condition()
        self._waiting: Upload | None = None
        self._current: Upload | None = None
        self._is_running = False
        self._is_hurried = False
        self._is_refused = False
        self._ended_by: BaseException | None = None
        self.problem: str | None = None
        """Why the last upload failed; ``None`` once one has succeeded."""
        self.num_uploads = 0
        self.num_failed = 0
        self.seconds_uploading = 0.0

    def offer(self, upload: Upload) -> None:
        """Send this one next, in place of one that has not begun; returns at once."""
        self.require_alive()
        with self._changed:
            self._waiting = upload
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="checkpoint-upload", daemon=True).start()
            self._changed.notify_all()

    def require_alive(self) -> None:
        """Raise what ended the uploads, such as ``HeadConflict``: another writer owns the run."""
        if self._ended_by is not None:
            raise self._ended_by

    def pinned(self) -> set[str]:
        """Generations that must stay on disk: being sent, waiting, and what these name as best."""
        with self._changed:
            return {name for upload in self._unsettled() for name in (upload.name, upload.best) if name is not None}

    def wait_for_older(self, step: int, deadline_seconds: float, is_stopped: Callable[[], bool]) -> bool:
        """Wait until nothing of this step or an earlier one is unsent; not where the store is known to be away.

        Args:
            step: Optimiser step.
            deadline_seconds: Longest wait [s].
            is_stopped: Ends the wait.

        Returns:
            Whether the wait ended before its time was over.
        """

        def passed() -> bool:
            is_behind = any(upload.step <= step for upload in self._unsettled())
            return self._ended_by is not None or self.problem is not None or not is_behind

        with self._changed:
            has_passed = self._wait(passed, deadline_seconds, is_stopped)
        self.require_alive()
        return has_passed

    def settle(self, deadline_seconds: float, is_stopped: Callable[[], bool] = lambda: False) -> bool:
        """Wait until everything offered was sent, at most so long; whether it was.

        Meanwhile a pause after a failure is short. Returns early where the store refuses, or ``is_stopped``.
        """

        def settled() -> bool:
            return self._ended_by is not None or self._is_refused or not self._unsettled()

        with self._changed:
            self._is_hurried, self._is_refused = True, False
            self._changed.notify_all()
            self._wait(settled, deadline_seconds, is_stopped)
            self._is_hurried = False
            is_sent = not self._unsettled() and self.problem is None
        self.require_alive()
        return is_sent

    def _wait(self, passed: Callable[[], bool], deadline_seconds: float, is_stopped: Callable[[], bool]) -> bool:
        """Wait on ``_changed``; false where the time was over first."""
        deadline = time.monotonic() + deadline_seconds
        while not passed():
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                return False
            if is_stopped():
                return True
            self._changed.wait(min(left_seconds, POLL_SECONDS))
        return True

    def _unsettled(self) -> list[Upload]:
        return [upload for upload in (self._current, self._waiting) if upload is not None]

    def _run(self) -> None:
        try:
            while (upload := self._next()) is not None:
                self._try(upload)
        except BaseException as error:  # noqa: BLE001  raised again on the training thread, whatever it is
            with self._changed:
                self._ended_by = error
                self._is_running = False
                self._changed.notify_all()

    def _next(self) -> Upload | None:
        with self._changed:
            self._current, self._waiting = self._waiting, None
            if self._current is None:
                self._is_running = False
            self._changed.notify_all()
            return self._current

    def _try(self, upload: Upload) -> None:
        started = time.monotonic()
        try:
            self._send(upload)
        except (StoreUnavailable, CloudRefused) as error:
            self._failed(upload, error, started)
            self._pause(upload)
        except (ObjectMissing, ObjectCorrupt) as error:
            self._failed(None, error, started)  # damaged on this disk: the next one will do
        else:
            with self._changed:
                self._current, self.problem = None, None
                self.num_uploads += 1
                self.seconds_uploading += time.monotonic() - started
                self._changed.notify_all()

    def _failed(self, again: Upload | None, error: Exception, started: float) -> None:
        with self._changed:
            self._current, self.problem = None, str(error)
            self._waiting = self._waiting or again
            self._is_refused = isinstance(error, CloudRefused)
            self.num_failed += 1
            self.seconds_uploading += time.monotonic() - started
            self._changed.notify_all()

    def _pause(self, failed: Upload) -> None:
        with self._changed:
            was_hurried = self._is_hurried
            pause_seconds = min(HURRIED_RETRY_SECONDS, self._retry_seconds) if was_hurried else self._retry_seconds
            self._changed.wait_for(
                lambda: self._waiting is not failed or (self._is_hurried and not was_hurried), pause_seconds
            )
