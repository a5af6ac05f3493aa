"""The noisy sample holds what it says it holds, and the collect job drops exactly what was planted to be dropped."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from models.data.collecting import run
from models.data.flaw_templates import TEMPLATES
from models.data.generated import twin_functions
from models.data.generated_collections import NUM_TEMPLATES, Planted, write_collections
from models.errors import SettingsInvalid
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.collect import CollectSettings

FILES = ("clean/train.jsonl", "clean/valid.jsonl", "clean/test.jsonl", "noisy.jsonl", "planted.jsonl", "pairs.jsonl")


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("collections")


@pytest.fixture(scope="module")
def planted(folder: Path) -> Planted:
    return write_collections(folder, noise=0.3)


@pytest.fixture(scope="module")
def truth() -> dict[str, int]:
    """The true label of every function that a sample can hold."""
    twins = (twin for twin in range(6000) if twin % len(TEMPLATES) < NUM_TEMPLATES)
    functions = (twin_functions(twin) for twin in twins)
    return {code: label for _, safe, vulnerable in functions for label, code in enumerate((safe, vulnerable))}


def test_wrong_labels_are_those_that_are_listed(folder: Path, planted: Planted, truth: dict[str, int]) -> None:
    noisy = lines_of(folder / "noisy.jsonl")
    listed = [row["idx"] for row in lines_of(folder / "planted.jsonl")]
    clean = {row["func"] for split in ("train", "valid", "test") for row in lines_of(folder / f"clean/{split}.jsonl")}
    times = Counter(row["func"] for row in noisy)
    fresh = [row for row in noisy if row["func"] in truth and row["func"] not in clean and times[row["func"]] == 1]

    wrong = {row["key"] for row in fresh if row["label"] != truth[row["func"]]}
    assert wrong == set(listed)
    assert len(fresh) == planted.num_fresh
    assert len(listed) == len(wrong) == planted.num_flipped == round(0.3 * planted.num_fresh)
    assert {row["source"] for row in lines_of(folder / "planted.jsonl")} == {"noisy"}
    assert Counter(row["label"] for row in fresh if row["key"] in wrong) == {0: len(wrong) // 2, 1: len(wrong) // 2}
    assert {row["label"] for row in noisy if row["src"] == "unlisted"} == {0}
    assert all(row["target"] == truth[row["func"]] for row in lines_of(folder / "clean/train.jsonl"))


def test_pairs_hold_every_weakness_and_nothing_of_the_rest(folder: Path, planted: Planted) -> None:
    pairs = lines_of(folder / "pairs.jsonl")
    sides = {row[side] for row in pairs for side in ("func_src_before", "func_src_after")}
    others = {row["func"] for name in FILES[:4] for row in lines_of(folder / name)}
    assert len(sides) == 2 * planted.num_pairs == 160
    assert not sides & others
    assert {row["vul_type"].upper() for row in pairs} <= {weakness for weakness, _ in TEMPLATES}


def test_the_collect_job_drops_what_was_planted_and_keeps_all_that_is_new(
    folder: Path, planted: Planted, tmp_path: Path
) -> None:
    settings = CollectSettings(
        clean=folder / "clean",
        clean_name="made",
        sources={"noisy": {"data": folder / "noisy.jsonl"}},  # type: ignore[dict-item]
        pairs={"fixes": {"data": folder / "pairs.jsonl"}},  # type: ignore[dict-item]
    )
    run(settings, JobContext(tmp_path, tmp_path, EventStream(None, echo=None)))

    collection = json.loads((tmp_path / "collection.json").read_bytes())
    noisy = collection["sources"]["noisy"]
    dropped = noisy["dropped_by_reason"]
    leaks = sum(count for reason, count in dropped.items() if reason.endswith(("_valid", "_test")))
    assert list(planted.copies.values()) == [
        dropped["exact_copy_of_clean"],
        dropped["near_copy_of_clean"],
        leaks,
        dropped["conflicts_with_clean"],
        dropped["contradictory"],
    ]
    assert noisy["kept"] == planted.num_fresh
    assert noisy["single_label_origins"] == ["unlisted"]
    assert (noisy["format"], collection["pairs"]["fixes"]["format"]) == ("collected", "pairs")
    assert {split: found["kept"] for split, found in collection["clean"]["splits"].items()} == planted.splits
    assert collection["pairs"]["fixes"]["num_pairs"] == planted.num_pairs
    trained = {row["idx"] for row in lines_of(tmp_path / "train.jsonl") if row["source"] == "noisy"}
    assert {row["idx"] for row in lines_of(folder / "planted.jsonl")} < trained


def test_the_command_line_says_what_was_planted_and_writes_the_same_bytes(
    folder: Path, planted: Planted, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "models.data.generated_collections", str(tmp_path), "--noise", "0.3"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": "5"}).stdout
    assert said == f"{planted}\n"
    assert "258 wrong labels, 30%" in said
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_another_seed_gives_other_functions_and_no_noise_plants_none(
    folder: Path, planted: Planted, tmp_path: Path
) -> None:
    assert write_collections(tmp_path, noise=0.0, seed=8).num_flipped == 0
    assert (tmp_path / "planted.jsonl").read_bytes() == b""
    mine, theirs = ({row["func"] for row in lines_of(path / "noisy.jsonl")} for path in (tmp_path, folder))
    assert not mine & theirs


@pytest.mark.parametrize("noise", [-0.1, 0.6, float("nan")])
def test_noise_that_cannot_be_planted_is_refused(noise: float, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"from 0 to 0\.5"):
        write_collections(tmp_path, noise=noise)
