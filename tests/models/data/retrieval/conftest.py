"""A small balanced data set and a few patches."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from models.data.retrieval.pairing import run
from models.jobs.contract import JobContext, JobResult
from models.jobs.events import EventStream
from models.settings.retrieval import PairsSettings

Rows = dict[str, list[dict[str, Any]]]
TOOLS = ("Zorbfixer", "qXmender-e", "Handmade")


def _balanced_row(split: str, number: int, **changes: Any) -> dict[str, Any]:
    """Texts 2n and 2n + 1 of a split do the same."""
    match = f"{split}-task-{number // 2}"
    code = f"int {split}_{number}(int a)\n{{\n    return a + {number // 2} * {'a' if number % 2 else '(a)'};\n}}\n"
    row = {
        "id": f"{split}-{number}",
        "code": code,
        "language": "c",
        "label": (0, 1, None)[number % 3],
        "label_source": "labels",
        "repo": f"repo{number // 4}",
        "file": f"src/{number}.c",
        "function": f"{split}_{number}",
        "line": 3,
        "match": match,
        "group": match,
        "split": split,
        "augmented_from": None,
        "transformations": [],
    }
    return row | changes


def _balanced_rows(counts: dict[str, int] | None = None) -> Rows:
    """Rows by file, pairs among them."""
    rows = {
        split: [_balanced_row(split, number) for number in range(count)]
        for split, count in (counts or {"train": 12, "val": 6, "test": 4}).items()
    }
    rows["pairs"] = [
        {
            "id": f"{split}-{number}",
            "split": split,
            "anchor": one["id"],
            "positive": other["id"],
            "kind": "match",
            "match": one["match"],
            "group": one["group"],
        }
        for split in ("train", "val", "test")
        for number, (one, other) in enumerate(zip(rows[split][::2], rows[split][1::2], strict=True))
    ]
    return rows


def _patches(num_bugs: int = 6, projects: Sequence[str] = ("Alpha", "Beta", "Gamma")) -> list[dict[str, Any]]:
    """Of each project bugs with three candidates: one is correct, of the last bug all are."""
    rows = []
    for project in projects:
        for bug in range(num_bugs):
            before = f"public class T {{\n  int {project}_{bug}(int a, int b) {{\n    return a + {bug};\n  }}\n}}\n"
            for number, tool in enumerate(TOOLS):
                after = before.replace(f"a + {bug}", f"a {'-*/'[number]} b + {bug}")
                rows.append(
                    {
                        "project": project,
                        "bug_id": str(bug),
                        "before": before,
                        "after": after,
                        "label": int(number == 0 or bug == num_bugs - 1),
                        "tool": tool,
                        "bug": f"{tool}_{project}_{bug}",
                        "patch_id": f"{tool}-patch{number}",
                    }
                )
    return rows


def _run_job(run: Callable[[Any, JobContext], JobResult], settings: Any, run_path: Path) -> JobResult:
    """A job in a fresh run directory."""
    run_path.mkdir(parents=True, exist_ok=True)
    events = EventStream(run_path / "progress.jsonl", echo=None)
    try:
        return run(settings, JobContext(run_path, run_path.parent, events))
    finally:
        events.close()


def _lines_of(path: Path) -> list[dict[str, Any]]:
    """The JSON values of a file."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _warnings_in(run_path: Path) -> list[str]:
    """What a person was told."""
    events = _lines_of(run_path / "progress.jsonl")
    return [event["message"] for event in events if event["event"] == "notice" and event["level"] == "warning"]


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[[Rows], Path]:
    """Writes each list as a file of JSON lines into one folder."""

    def written(rows: Rows) -> Path:
        folder = tmp_path / "balanced"
        folder.mkdir(exist_ok=True)
        for name, values in rows.items():
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(value) + "\n" for value in values))
        return folder

    return written


@pytest.fixture
def balanced_rows() -> Callable[..., Rows]:
    return _balanced_rows


@pytest.fixture
def patches() -> Callable[..., list[dict[str, Any]]]:
    return _patches


@pytest.fixture
def tools() -> tuple[str, ...]:
    return TOOLS


@pytest.fixture
def run_job() -> Callable[..., JobResult]:
    return _run_job


@pytest.fixture
def lines_of() -> Callable[[Path], list[dict[str, Any]]]:
    return _lines_of


@pytest.fixture
def warnings_in() -> Callable[[Path], list[str]]:
    return _warnings_in


@pytest.fixture
def made_pairs(write_rows: Callable[[Rows], Path], tmp_path: Path) -> Path:
    """A finished pairs run of the small data set."""
    _run_job(run, PairsSettings(data=write_rows(_balanced_rows()), vocab_size=320, max_seq_len=20), tmp_path / "pairs")
    return tmp_path / "pairs"
