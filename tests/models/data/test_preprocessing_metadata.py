"""What the metadata says of trimming."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.data.preprocessing import run
from models.data.preprocessing_metadata import compare_strategies
from models.data.split_report import SplitReport
from models.data.trimming import STRATEGIES
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.preprocess import PreprocessSettings

ROWS = [
    {"idx": at, "func": f"int f{at}(char *s)\n{{\n" + "  s++;\n" * at + "  strcpy(b, s);\n" + "  s--;\n" * 9 + "}"}
    | {"target": at % 2}
    for at in range(30)
]


@pytest.fixture
def metadata_of(write_raw: Callable[..., Path], tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Metadata of a preprocess job with a trimming strategy."""

    def metadata(strategy: str) -> dict[str, Any]:
        settings = PreprocessSettings(
            data=write_raw(train=ROWS), vocab_size=400, max_seq_len=60, trimming=strategy, num_workers=1
        )
        run_path = tmp_path / strategy
        run_path.mkdir()
        run(settings, JobContext(run_path, tmp_path, EventStream(None, None)))
        content: dict[str, Any] = json.loads((run_path / "preprocessing_metadata.json").read_bytes())
        return content

    return metadata


def test_strategies_are_compared_alike_whichever_is_used_and_each_keeps_what_was_said(
    metadata_of: Callable[[str], dict[str, Any]],
) -> None:
    found = {strategy: metadata_of(strategy) for strategy in STRATEGIES}

    compared = found["window"]["trimming_strategies"]
    assert all(metadata["trimming_strategies"] == compared for metadata in found.values())
    for strategy, metadata in found.items():
        splits = metadata["splits"].values()
        before = sum(split["tokens_before_trim"]["total"] for split in splits)
        after = sum(split["tokens"]["total"] for split in splits)
        assert compared["strategies"][strategy]["share_of_tokens"] == round(after / before, 4)
        cut = {way: sum(split["trimming"][way] for split in splits) for way in ("none", "window", "head", "head_tail")}
        used = {"none", strategy} if strategy != "whole" else {"none"}
        assert {way for way, count in cut.items() if count} == used
        assert cut["none"] == compared["records"] - (strategy != "whole") * compared["records_too_long"]
    shares = {name: shares["share_of_call_tokens"] for name, shares in compared["strategies"].items()}
    assert shares["window"] == shares["whole"] == 1.0
    assert 0.0 < shares["head"] < 1.0


def test_without_long_functions_there_is_nothing_to_compare() -> None:
    compared = compare_strategies(512, [SplitReport()])
    assert (compared["records_too_long"], compared["call_tokens"]) == (0, 0)
    assert all(shares["share_of_call_tokens"] is None for shares in compared["strategies"].values())
