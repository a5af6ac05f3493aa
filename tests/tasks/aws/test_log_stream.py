"""The lines of a job, each once, over all its machines."""

from __future__ import annotations

import time
from collections import Counter

from tasks.aws.log_stream import LOG_GROUP, LogLine, LogStream


def test_lines_come_once_in_order_over_the_machines_of_a_job(aws):
    logs = aws.client("logs")
    if not logs.describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"]:
        assert LogStream(logs, "train-logs-0").read() == []
        logs.create_log_group(logGroupName=LOG_GROUP)

    def write(stream: str, *lines: str) -> None:
        events = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
        logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=events)

    first, second, other_host = (f"train-logs-1/algo-{n}" for n in ("1-100", "1-200", "2-100"))
    stream = LogStream(logs, "train-logs-1", num_hosts=2)
    stream.expect_new_stream()
    assert stream.read() == []
    for name in (first, other_host):
        logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=name)
    write(first, "a", "b")
    write(other_host, "its own")
    assert stream.read() == [LogLine("algo-1", "a"), LogLine("algo-1", "b"), LogLine("algo-2", "its own")]
    assert stream.read() == []
    write(first, "c")
    assert stream.read() == [LogLine("algo-1", "c")]
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=second)
    write(second, "d")
    assert stream.read() == []  # nobody said that there is another machine
    stream.expect_new_stream()
    assert stream.read() == [LogLine("algo-1", "d")]


class Pages:
    """CloudWatch's answers for each stream, page by page; the end gives its own token back."""

    def __init__(self, **pages: list[list[str]]) -> None:
        self.pages = {name.replace("_", "-"): found for name, found in pages.items()}
        self.num_calls: Counter[str] = Counter()

    def get_paginator(self, operation):
        return self

    def paginate(self, **_):
        return [{"logStreams": [{"logStreamName": f"j/{name}"} for name in self.pages]}]

    def get_log_events(self, *, logStreamName, nextToken="0", **_):
        name = logStreamName.removeprefix("j/")
        self.num_calls[name] += 1
        pages, at = self.pages[name], int(nextToken)
        events = [{"message": text} for text in (pages[at] if at < len(pages) else [])]
        return {"events": events, "nextForwardToken": str(min(at + 1, len(pages)))}


def test_an_empty_page_is_no_end_and_streams_of_machines_that_went_are_asked_no_more():
    pages = Pages(algo_1_100=[["a"], [], ["b"]])
    stream = LogStream(pages, "j")
    stream.expect_new_stream()
    assert [line.text for line in stream.read()] == ["a", "b"]

    pages.pages["algo-1-200"] = [["c"], ["d"]]
    pages.pages["algo-1-100"].append(["late"])
    stream.expect_new_stream()
    assert [line.text for line in stream.read()] == ["late", "c", "d"]
    asked = pages.num_calls["algo-1-100"]
    pages.pages["algo-1-200"].append(["e"])
    assert [line.text for line in stream.read()] == ["e"]
    assert pages.num_calls["algo-1-100"] == asked
