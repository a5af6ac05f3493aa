from __future__ import annotations

import io
import json
from pathlib import Path

from models.jobs.command_line import ReadableEvents
from models.jobs.events import EventStream


def names(path: Path) -> list[str]:
    return [json.loads(line)["event"] for line in path.read_text().splitlines()]


def test_after_cutting_back_each_event_is_told_once(tmp_path: Path):
    path = tmp_path / "progress.jsonl"
    first = EventStream(path)
    first.emit("a")
    offset = first.offset_bytes()
    first.emit("told again")
    first.close()
    second = EventStream(path)
    second.emit("load")
    second.cut_back(offset)
    second.emit("told again")
    second.close()
    assert names(path) == ["a", "told again"]


def test_cutting_back_beyond_the_end_keeps_all(tmp_path: Path):
    events = EventStream(tmp_path / "progress.jsonl")
    events.emit("a")
    events.cut_back(10_000)
    events.emit("b")
    events.close()
    assert names(tmp_path / "progress.jsonl") == ["a", "b"]


def test_a_stream_without_a_copy_only_speaks():
    echo = io.StringIO()
    events = EventStream(None, echo)
    events.notice("careful", "warning")
    events.cut_back(0)
    assert events.offset_bytes() == 0
    assert json.loads(echo.getvalue())["message"] == "careful"


def test_events_read_as_words_on_a_terminal():
    words = io.StringIO()
    events = EventStream(None, ReadableEvents(words))
    events.phase("train")
    events.notice("careful", "warning")
    events.progress(3, 10, "functions")
    events.emit("step", step=2, loss=0.123456)
    assert words.getvalue() == "— train\nwarning: careful\n  3 of 10 functions\n  step: step 2, loss 0.1235\n"
