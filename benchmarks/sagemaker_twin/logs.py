"""What a job prints, in CloudWatch Logs: one stream for each host and start of the job."""

from __future__ import annotations

import threading
import time
from typing import Any

from benchmarks.sagemaker_twin.aws_clients import AwsClients

GROUP = "/aws/sagemaker/TrainingJobs"
SEND_SECONDS = 0.2
MOST_EVENTS = 1000
LONGEST_MESSAGE = 64 * 1024


class LogStream:
    """Collects lines and sends them every ``SEND_SECONDS``.

    Args:
        clients: For the log service.
        name: ``<job>/algo-1-<epoch seconds>``.
    """

    def __init__(self, clients: AwsClients, name: str) -> None:
        self._clients = clients
        self._name = name
        self._lock = threading.Lock()
        self._events: list[dict[str, Any]] = []
        self._made = False
        self._closing = threading.Event()
        self._sender = threading.Thread(target=self._send_on, name=f"log {name}", daemon=True)
        self._sender.start()

    def add(self, line: str) -> None:
        """Take one line; empty ones are not kept, as by the service."""
        if line:
            with self._lock:
                self._events.append({"timestamp": int(time.time() * 1000), "message": line[:LONGEST_MESSAGE]})

    def close(self) -> None:
        """Send the rest."""
        self._closing.set()
        self._sender.join()

    def _send_on(self) -> None:
        while not self._closing.wait(SEND_SECONDS):
            self._send()
        self._send()

    def _send(self) -> None:
        with self._lock:
            events, self._events = self._events, []
        if events and not self._made:
            self._make()
        for start in range(0, len(events), MOST_EVENTS):
            self._clients["logs"].put_log_events(
                logGroupName=GROUP, logStreamName=self._name, logEvents=events[start : start + MOST_EVENTS]
            )

    def _make(self) -> None:
        logs = self._clients["logs"]
        for make, names in (
            (logs.create_log_group, {"logGroupName": GROUP}),
            (logs.create_log_stream, {"logGroupName": GROUP, "logStreamName": self._name}),
        ):
            try:
                make(**names)
            except logs.exceptions.ResourceAlreadyExistsException:
                continue  # the group is shared by all jobs
        self._made = True
