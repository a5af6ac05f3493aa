"""``docs/seed-commands.md`` says what is true: its commands run, its files exist, its names are defined."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "seed-commands.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Cells of the table under a heading, without its two header lines."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    table = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in table[2:]]


def commands(tried: str) -> list[str]:
    return [row[1].strip("`") for row in rows("Commands") if row[2] == tried]


def call(command: str, *extra: str) -> subprocess.CompletedProcess[str]:
    words = command.removeprefix("env ").split()
    begin = words.index("python")
    environment = os.environ | dict(word.split("=", 1) for word in words[:begin])
    return subprocess.run(
        [sys.executable, *words[begin + 1 :], *extra],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=300,
        env=environment,
    )


def test_the_page_has_commands_of_both_sorts() -> None:
    assert len(commands("run")) >= 3
    assert len(commands("long")) >= 3
    untried = [row[1] for row in rows("Commands") if row[2] not in ("run", "long")]
    assert [text for text in untried if not text.startswith("comes with")] == []


def test_every_short_command_runs_on_a_generated_sample(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    made = call(f"python -m models.data.generated {raw} --num-functions 160")
    assert made.returncode == 0, made.stderr
    repositories = tmp_path / "repositories"
    made = call(f"python -m models.data.generated_repositories {repositories}")
    assert made.returncode == 0, made.stderr
    places = {"RAW": raw, "RECORDS": tmp_path / "records", "OUT": tmp_path / "out", "REPOS": repositories}
    for command in commands("run"):
        for name, place in places.items():
            command = re.sub(rf"\b{name}\b", str(place), command)
        done = call(command)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert {path.name for path in places["RECORDS"].glob("*.json*")} >= {
        "train.jsonl",
        "valid.jsonl",
        "test.jsonl",
        "preprocessing_metadata.json",
    }
    for name in ("gnn_test", "transformer_test", "transformer"):
        assert (places["OUT"] / name / "exp_config.json").is_file()
    assert (places["OUT"] / "transformer" / "best_model" / "head.safetensors").is_file()
    assert (places["OUT"] / "transformer" / "predictions_test.jsonl").is_file()


@pytest.mark.parametrize("command", commands("long"))
def test_help_of_a_long_command_explains_its_flags(command: str) -> None:
    done = call(command.partition(" --")[0], "--help")
    assert done.returncode == 0, done.stderr
    assert [flag for flag in re.findall(r"--[a-z-]+", command) if flag not in done.stdout] == []


def test_every_file_of_ours_exists() -> None:
    ours = [path for row in rows("Files") + rows("Names") for path in re.findall(r"`([a-z]+/[\w./]+)`", row[1])]
    assert len(ours) >= 8
    assert [path for path in ours if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("row", [row for row in rows("Names") if "S3" not in row[0]], ids=lambda row: row[0].strip("`"))
def test_every_name_is_defined_where_the_page_says(row: list[str]) -> None:
    source = (ROOT / row[1].strip("`")).read_text(encoding="utf-8")
    missing = [name for name in re.findall(r"\w+", row[0]) if not re.search(rf"^(class|def) {name}\b", source, re.M)]
    assert missing == []
