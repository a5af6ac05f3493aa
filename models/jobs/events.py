"""Progress as JSON lines: one on stdout for the supervisor, a copy in ``progress.jsonl``.

An event is ``{"event": NAME, "time": SECONDS, ...}``. Names and their fields:

- ``phase``   ``phase``: load, train, eval, save, read, write …; a phase has its own limit of silence.
- ``step``    ``step``, ``num_steps``, ``epoch``, ``loss``, ``samples_per_second``.
- ``epoch``   ``epoch``, ``num_epochs``, and the metrics of the epoch.
- ``progress`` ``done``, ``total``, ``unit``: for jobs that do not step.
- ``notice``  ``message``, ``level`` (info, warning): for people.

The copy is cut back on resume to the offset stored in the checkpoint, so that each step is told once.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Protocol


class EventEcho(Protocol):
    """Anything that takes lines of text."""

    def write(self, text: str, /) -> int:
        """Take a line."""
        ...

    def flush(self) -> None:
        """Pass it on."""
        ...


class EventStream:
    """Writes events to ``progress.jsonl`` and echoes them.

    Args:
        path: The copy; ``None`` keeps none (ranks above 0, tests).
        echo: Stream for the supervisor; ``None`` is silent.
    """

    def __init__(self, path: Path | None = None, echo: EventEcho | None = None) -> None:
        self._file = path.open("ab") if path is not None else None
        self._echo = echo

    def emit(self, event: str, **values: Any) -> None:
        """Tell one event; ``values`` must be JSON."""
        line = json.dumps({"event": event, "time": round(time.time(), 3), **values})
        if self._file is not None:
            self._file.write(line.encode() + b"\n")
            self._file.flush()
        if self._echo is not None:
            try:
                self._echo.write(line + "\n")
                self._echo.flush()
            except BrokenPipeError:
                self._echo = None  # the supervisor is gone: the job saves and leaves, it does not fail for that

    def phase(self, phase: str) -> None:
        """Say which phase begins."""
        self.emit("phase", phase=phase)

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """Say how far a job without steps has come; ``total`` may be unknown."""
        self.emit("progress", done=done, total=total, unit=unit)

    def notice(self, message: str, level: str = "info") -> None:
        """Say something to a person; ``level`` is info or warning."""
        self.emit("notice", message=message, level=level)

    def offset_bytes(self) -> int:
        """Size of the copy so far [bytes]."""
        return self._file.tell() if self._file is not None else 0

    def cut_back(self, offset_bytes: int) -> None:
        """Forget what was copied after ``offset_bytes``: it will be told again."""
        if self._file is not None:
            self._file.truncate(min(offset_bytes, self._file.tell()))
            self._file.seek(0, 2)

    def close(self) -> None:
        """Close the copy."""
        if self._file is not None:
            self._file.close()
