"""The lines a training job prints, as CloudWatch gives them: each once, in order, host by host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.errors import CloudRefused
from tasks.aws.refusals import aws_errors

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
FIRST_HOST = "algo-1"
"""The host of rank 0, which tells the events."""


@dataclass(frozen=True)
class LogLine:
    """A line as it was printed.

    Args:
        host: Name of the host, such as ``algo-2``.
        text: The line.
    """

    host: str
    text: str


@dataclass
class _Stream:
    """What one start of a job printed on one host; a machine that takes over has a stream of its own.

    Args:
        name: ``<job>/<host>-<start>``.
        token: Where to read on; ``None``: from its head.
        is_over: Read to its end, and its machine has a successor: nothing can follow.
    """

    name: str
    token: str | None = None
    is_over: bool = False

    @property
    def host(self) -> str:
        return self.name.rpartition("/")[2].rpartition("-")[0]

    @property
    def start(self) -> str:
        return self.name.rpartition("-")[2]


class LogStream:
    """What the hosts of a job printed so far.

    Args:
        client: A boto3 client of CloudWatch Logs.
        job_name: Name of the training job.
        num_hosts: How many instances it has.
    """

    def __init__(self, client: Any, job_name: str, num_hosts: int = 1) -> None:
        self._client = client
        self._prefix = f"{job_name}/algo-"
        self._num_hosts = num_hosts
        self._num_starts = 0
        self._streams: dict[str, _Stream] = {}
        self._unread: list[LogLine] = []
        """Kept over a call that failed after it had read some."""

    def expect_new_stream(self) -> None:
        """The job was given machines, or others: look for their streams until they are there."""
        self._num_starts += 1

    def read(self) -> list[LogLine]:
        """Lines since the last call; empty when there are none yet.

        Raises:
            CloudRefused: no rights to read logs. Not retried.
            StoreUnavailable: CloudWatch does not answer. Retried.
        """
        if len(self._streams) < self._num_starts * self._num_hosts:
            self._find_streams()
        newest = {stream.host: stream for stream in self._in_order()}
        for stream in self._in_order():
            if not stream.is_over:
                self._read_to_end(stream)
                stream.is_over = stream is not newest[stream.host]
        lines, self._unread = self._unread, []
        return lines

    def _in_order(self) -> list[_Stream]:
        return sorted(self._streams.values(), key=lambda stream: (stream.start, stream.host))

    def _find_streams(self) -> None:
        try:
            with aws_errors(f"listing logs of {self._prefix}"):
                pages = self._client.get_paginator("describe_log_streams").paginate(
                    logGroupName=LOG_GROUP, logStreamNamePrefix=self._prefix
                )
                names = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
        except CloudRefused as error:
            if error.code != "ResourceNotFoundException":  # the first job of an account makes the group
                raise
            return
        self._streams |= {name: _Stream(name) for name in names if name not in self._streams}

    def _read_to_end(self, stream: _Stream) -> None:
        """Take the rest of one stream; its end is where a token comes back, and not an empty page."""
        while True:
            token = stream.token
            place = {"startFromHead": True} if token is None else {"nextToken": token, "startFromHead": True}
            with aws_errors(f"reading the log {stream.name}"):
                answer = self._client.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream.name, **place)
            self._unread += [LogLine(stream.host, str(event["message"])) for event in answer["events"]]
            stream.token = answer["nextForwardToken"]
            if stream.token == token:
                return
