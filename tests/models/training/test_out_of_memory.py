"""Memory that runs out during training: the step stays the same, the cut becomes state, all ranks agree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.errors import EXIT_REFUSED, MemoryExhausted
from models.training import state
from models.training.classification import Classification
from models.training.job import probe_memory
from models.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[3]
NO_ROOM = "no room"


def short_of_memory(trainer: Trainer, *, at_step: int, times: int = 1, after_parts: int = 1) -> None:
    """From now on the trainer's device has no room ``times`` times in a step, after some micro-batches went well."""
    loss_sum = trainer.objective.loss_sum
    left, parts = [times], [0]

    def scarce(examples: Any, records: Any) -> torch.Tensor:
        parts[0] += 1
        if trainer.position.step == at_step and left[0] and parts[0] > after_parts:
            left[0], parts[0] = left[0] - 1, 0
            torch.rand(5)  # what the try drew before it failed
            raise torch.OutOfMemoryError(NO_ROOM)
        return loss_sum(examples, records)

    trainer.objective.loss_sum = scarce  # type: ignore[method-assign]


def weights_of(trainer: Trainer) -> bytes:
    return state.model_to_bytes(trainer.stateful.model)


@pytest.mark.parametrize(("fixture", "half"), [("trainer_of", 150), ("token_trainer_of", 200)])
def test_a_step_that_ran_out_of_memory_is_done_again_as_if_the_budget_had_been_half(
    fixture: str, half: int, request: pytest.FixtureRequest
):
    trainer_of = request.getfixturevalue(fixture)
    scarce = trainer_of(folder="scarce")
    short_of_memory(scarce, at_step=4)
    scarce.fit()

    halved = trainer_of(folder="halved")
    step = halved.step

    def half_from_step_4(records: Any) -> tuple[bool, bool]:
        if halved.position.step == 4:
            halved.position.micro_budget = half
        return step(records)

    halved.step = half_from_step_4  # type: ignore[method-assign]
    halved.fit()

    assert weights_of(scarce) == weights_of(halved)
    assert scarce.position.halvings == [[4, half]]
    assert scarce.position.sample_digests == halved.position.sample_digests


def test_the_smaller_budget_is_in_the_checkpoint_and_in_the_result_and_said(trainer_of: Callable[..., Trainer]):
    trainer = trainer_of()
    short_of_memory(trainer, at_step=2, times=2)
    trainer.fit()
    again = trainer_of()
    assert again.position.micro_budget == 75
    assert again.position.halvings == [[2, 150], [2, 75]]
    told = (trainer.context.run_path / "progress.jsonl").read_text()
    assert "out of memory at step 2: micro-batches hold 75 from here on" in told
    assert "bytes may differ" in told


def test_where_one_record_does_not_fit_training_ends_in_words(trainer_of: Callable[..., Trainer]):
    trainer = trainer_of()
    short_of_memory(trainer, at_step=1, times=99, after_parts=0)
    with pytest.raises(MemoryExhausted, match="one record at a time at step 1") as refused:
        trainer.fit()
    assert refused.value.exit_code == EXIT_REFUSED
    assert not refused.value.retryable
    assert refused.value.budget == int(np.max(trainer.train.sizes))


def test_a_model_that_does_not_fit_at_all_is_told_before_the_first_step(
    trainer_of: Callable[..., Trainer], train_document: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    def no_room(self: Any, examples: Any, records: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError(NO_ROOM)

    monkeypatch.setattr(Classification, "loss_sum", no_room)
    with pytest.raises(MemoryExhausted, match="one record at a time at step 0"):
        trainer_of()


def test_a_budget_is_tried_beside_what_the_optimiser_will_keep(
    trainer_of: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
):
    trainer = trainer_of()
    kept: list[int] = []
    empty_like = torch.empty_like
    monkeypatch.setattr(torch, "empty_like", lambda tensor: kept.append(tensor.numel()) or empty_like(tensor))
    probe_memory(trainer)
    trainer.fit()
    state_of = trainer.stateful.optimizer.state
    moments = [value for values in state_of.values() for name, value in values.items() if name != "step"]
    assert sum(kept) == sum(moment.numel() for moment in moments)


def test_other_errors_are_not_taken_for_it(trainer_of: Callable[..., Trainer]):
    trainer = trainer_of()

    def broken(examples: Any, records: Any) -> torch.Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    trainer.objective.loss_sum = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="mat1"):
        trainer.fit()


SHORT_RANK = """
import sys
if "--rank=1" in sys.orig_argv:
    import torch
    from models.training.classification import Classification
    loss_sum, calls = Classification.loss_sum, [0]
    def scarce(self, examples, records):
        calls[0] += 1
        if calls[0] == 4:
            raise torch.OutOfMemoryError("no room")
        return loss_sum(self, examples, records)
    Classification.loss_sum = scarce
"""
"""Found by every interpreter before its program; only one of the ranks changes."""


def test_ranks_halve_together_when_one_of_them_has_no_room(
    train_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SHORT_RANK)
    job_path = tmp_path / "job.json"
    document = train_document({"epochs": 1})
    document["compute"]["num_ranks"] = 2
    job_path.write_text(json.dumps(document))
    command = [sys.executable, "-m", "models", str(job_path), f"--run-dir={tmp_path / 'run'}", f"--runs={tmp_path}"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "run" / "result.json").read_text())["numbers"]
    assert [budget for _, budget in numbers["halvings"]] == [150]
    assert numbers["num_steps"] == 5
