"""The generated sample: its bytes, its sizes, and how hard it is."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from models.data import generated_repositories
from models.data.generated_repositories import NUM_BUGS, write_sample


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder)
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_command_gives_the_same_bytes_under_another_hash_seed(sample: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "models.data.generated_repositories", str(tmp_path / "again")]
    subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "5"}, check=True)
    assert digests(tmp_path / "again") == digests(sample)
    write_sample(tmp_path / "other", seed=8)
    assert digests(tmp_path / "other") != digests(sample)


def test_sizes_are_those_of_the_docstring(sample: Path) -> None:
    labels = rows_of(sample / "repos" / "labels.jsonl")
    tasks = Counter(row["task"] for row in labels)
    patches = rows_of(sample / "patches.jsonl")
    told = " ".join((generated_repositories.__doc__ or "").split())
    assert f"{len(labels)} of them with one of {len(tasks)} tasks" in told
    assert f"({min(tasks.values())} to {max(tasks.values())} do the same each" in told
    assert f"{len(patches)} patches, {sum(row['label'] for row in patches)} right" in told
    assert len(rows_of(sample / "repos" / "before_after.jsonl")) == 16
    assert len({row["file"].split("/")[0] for row in labels}) == 8
    assert 0.45 < sum(row["label"] for row in labels) / len(labels) < 0.55


def bugs_of(sample: Path) -> list[list[dict[str, Any]]]:
    bugs = defaultdict(list)
    for row in rows_of(sample / "patches.jsonl"):
        bugs[row["project"], row["bug_id"]].append(row)
    return list(bugs.values())


def changed_lines(row: dict[str, Any]) -> int:
    lines = difflib.unified_diff(row["before"].splitlines(), row["after"].splitlines(), n=0, lineterm="")
    return sum(line[:1] in "+-" and line[:3] not in ("+++", "---") for line in lines)


def first_right(bug: list[dict[str, Any]], sign: int) -> float:
    """Whether the first by size is right, on average over ties."""
    best = min(sign * changed_lines(row) for row in bug)
    ties = [row["label"] for row in bug if sign * changed_lines(row) == best]
    return sum(ties) / len(ties)


def test_baselines_of_patches_are_those_of_the_docstring(sample: Path) -> None:
    bugs = bugs_of(sample)
    mixed = [bug for bug in bugs if 0 < sum(row["label"] for row in bug) < len(bug)]
    told = " ".join((generated_repositories.__doc__ or "").split())
    assert len(bugs) == NUM_BUGS
    assert f"{len(bugs) - len(mixed)} of the {NUM_BUGS} bugs have patches of one label only" in told
    chance = sum(sum(row["label"] for row in bug) / len(bug) for bug in mixed) / len(mixed)
    fewest, most = (sum(first_right(bug, sign) for bug in mixed) / len(mixed) for sign in (1, -1))
    assert f"{chance:.2f} of the {len(mixed)} mixed bugs in random order" in told
    assert f"{fewest:.2f} by the fewest and {most:.2f} by the most changed lines" in told


def test_candidates_of_a_bug_mend_one_text_in_different_ways(sample: Path) -> None:
    for bug in bugs_of(sample):
        assert 2 <= len(bug) <= 8
        assert len({row["before"] for row in bug}) == 1
        texts = [row["after"] for row in bug]
        assert len({*texts, bug[0]["before"]}) == len(texts) + 1
        assert len({row["patch_id"] for row in bug}) == len(bug)


def test_the_tool_is_nearly_the_label_so_that_a_leak_would_show(sample: Path) -> None:
    humans = [row["label"] for row in rows_of(sample / "patches.jsonl") if row["tool"] == "human"]
    assert len(humans) > 30
    assert set(humans) == {1}
