"""Calls of AWS as their callers make them: which operation, on what, for which job."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """One call.

    Args:
        service: Such as ``s3``.
        operation: Such as ``PutObject``.
        on: What it names: a key, a prefix, a training job, a log stream; empty: nothing of these.
        job: For whom the calling thread said that it works.
    """

    service: str
    operation: str
    on: str
    job: str


class CallLog:
    """Hears the calls of all clients that a session makes from now on; tries again by botocore are one call."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._thread = threading.local()

    def listen(self, boto_session: Any) -> None:
        """Hear a ``boto3.Session``."""
        boto_session.events.register("provide-client-params", self._hear)

    @contextlib.contextmanager
    def working_for(self, job: str) -> Iterator[None]:
        """What this thread calls meanwhile is for that job."""
        self._thread.job = job
        try:
            yield
        finally:
            self._thread.job = ""

    @property
    def calls(self) -> list[Call]:
        """So far, in order."""
        return list(self._calls)

    def forget(self) -> None:
        """Begin anew."""
        self._calls.clear()

    def _hear(self, params: dict[str, Any], event_name: str, **_others: Any) -> None:
        _, service, operation = event_name.split(".")
        members = ("Key", "Prefix", "TrainingJobName", "logStreamName", "logStreamNamePrefix")
        on = next((str(params[member]) for member in members if member in params), "")
        self._calls.append(Call(service, operation, on, getattr(self._thread, "job", "")))


def count_calls(calls: Iterable[Call], group: Callable[[Call], str | None]) -> Counter[str]:
    """Number of calls in each group; those of group ``None`` are left out."""
    return Counter(name for call in calls if (name := group(call)) is not None)
