"""A run with weights that is asked to stop in the middle of an epoch ends with the bytes of one that never was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import EXIT_DONE, EXIT_INTERRUPTED
from models.jobs.stopping import StopSignal


class StopAtStep(StopSignal):
    """Up once it was read so many times: once in each step."""

    def __init__(self, num_looks: int) -> None:
        super().__init__()
        self.num_left = num_looks

    def __call__(self) -> bool:
        self.num_left -= 1
        return self.num_left <= 0


def left_by(run_path: Path) -> dict[str, bytes]:
    """The manifest, which holds the digest of every file of the result, and the parts of the last checkpoint."""
    head = json.loads((run_path / "checkpoints" / "head.json").read_bytes())
    parts = (run_path / "checkpoints" / head["newest"]).iterdir()
    files = {path.name: path.read_bytes() for path in parts if path.name != "manifest.json"}
    return files | {"manifest of the run": (run_path / "manifest.json").read_bytes()}


@pytest.mark.parametrize("weighting", ["loss", "sampling"])
@pytest.mark.parametrize("kind", ["gnn", "transformer"])
def test_a_weighted_run_stopped_in_an_epoch_ends_with_the_same_bytes(
    kind: str,
    weighting: str,
    run_job: Callable[..., int],
    train_document: Callable[..., dict[str, Any]],
    token_document: Callable[..., dict[str, Any]],
    write_weights: Callable[..., Path],
    tmp_path: Path,
):
    made = train_document if kind == "gnn" else token_document
    weights = write_weights(Path(made()["train_data"]), lambda number: number % 5 / 2)
    document = made({"epochs": 2}, weights=str(weights), weighting=weighting, checkpoints={"every_steps": None})
    assert run_job(document, "undisturbed") == EXIT_DONE
    num_steps = json.loads((tmp_path / "undisturbed" / "result.json").read_bytes())["numbers"]["num_steps"]
    in_second_epoch = num_steps // 2 + 3  # each evaluation looks, too
    assert run_job(document, "run", stop=StopAtStep(2)) == EXIT_INTERRUPTED
    assert run_job(document, "run", stop=StopAtStep(in_second_epoch - 2)) == EXIT_INTERRUPTED
    assert run_job(document, "run") == EXIT_DONE
    attempts = json.loads((tmp_path / "run" / "record.json").read_bytes())["attempts"]
    resumed_at = [attempt["resumed_at_step"] for attempt in attempts]
    assert resumed_at[1] == 2
    assert num_steps // 2 < resumed_at[2] < num_steps
    assert left_by(tmp_path / "run") == left_by(tmp_path / "undisturbed")
