from __future__ import annotations

import random
import weakref
from collections.abc import Callable, Iterator
from dataclasses import fields
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.training import state
from models.training.trainer import Trainer

LEAVES = (type, ModuleType, FunctionType, MethodType, str, bytes, int, float, np.ndarray, torch.Tensor, weakref.ref)
GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)


def reachable(root: object) -> Iterator[object]:
    """Every object that hangs on ``root`` by attributes and containers."""
    waiting, seen = [root], set()
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, LEAVES):
            continue
        seen.add(id(item))
        yield item
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            waiting.extend(item)
        else:
            waiting.extend(getattr(item, "__dict__", {}).values())


def keeps_state(item: object) -> bool:
    return callable(getattr(type(item), "state_dict", None)) or isinstance(item, GENERATORS)


def forgotten(trainer: Trainer) -> list[str]:
    """What has state, hangs on the trainer, and is in no checkpoint."""
    stateful = trainer.stateful
    saved: list[Any] = [getattr(stateful, field.name) for field in fields(stateful)]
    saved += list(stateful.model.modules())
    saved.append(stateful.schedule._schedule)  # type: ignore[attr-defined]  # Plateau's state is its state
    known = {id(item) for item in saved}
    return [type(item).__name__ for item in reachable(trainer) if keeps_state(item) and id(item) not in known]


@pytest.mark.parametrize(
    ("fixture", "expected"),
    [
        ("trainer_of", {"GraphClassifier", "AdamW", "Plateau", "ReduceLROnPlateau"}),
        ("token_trainer_of", {"SequenceClassifier", "RobertaModel", "AdamW", "Stepwise", "LambdaLR"}),
    ],
)
def test_everything_with_state_is_in_a_checkpoint(fixture: str, expected: set[str], request: pytest.FixtureRequest):
    trainer = request.getfixturevalue(fixture)()
    found = {type(item).__name__ for item in reachable(trainer) if keeps_state(item)}
    assert expected <= found
    assert forgotten(trainer) == []


def test_the_check_above_notices_what_someone_adds(trainer_of: Callable[..., Trainer]):
    trainer = trainer_of()
    additions: dict[str, Any] = {
        "average": torch.optim.swa_utils.AveragedModel(trainer.stateful.model),
        "generator": torch.Generator(),
        "numpy_generator": np.random.default_rng(0),
        "centers": nn.Linear(2, 2),
    }
    for name, item in additions.items():
        setattr(trainer.context.events, name, [item])
        assert type(item).__name__ in forgotten(trainer)
        delattr(trainer.context.events, name)
    assert forgotten(trainer) == []


def snapshot(trainer: Trainer) -> tuple[bytes, ...]:
    stateful = trainer.stateful
    return (
        state.model_to_bytes(stateful.model),
        *state.optimizer_to_bytes(stateful.optimizer),
        *state.rng_to_bytes(),
        trainer.position.to_bytes(stateful.schedule.state_dict(), {}),
    )


@pytest.mark.parametrize(
    ("fixture", "model"),
    [("trainer_of", {"epochs": 2}), ("token_trainer_of", {"epochs": 2, "warmup_ratio": 0.0})],
)
def test_a_checkpoint_puts_all_of_it_back(fixture: str, model: dict[str, Any], request: pytest.FixtureRequest):
    trainer_of = request.getfixturevalue(fixture)
    trainer = trainer_of(model, folder="run")
    beginning = snapshot(trainer)
    trainer.fit()
    torch.rand(3)  # where the streams are when it is saved
    trainer.save()
    saved = snapshot(trainer)
    assert all(before != after for before, after in zip(beginning[:3], saved[:3], strict=True))
    assert snapshot(trainer_of(model, folder="run")) == saved


def test_a_probe_of_memory_leaves_no_trace(trainer_of: Callable[..., Trainer]):
    from models.training.job import probe_memory

    trainer = trainer_of()
    before = snapshot(trainer)
    probe_memory(trainer)
    assert snapshot(trainer) == before
    assert not trainer.gradients.gradient.any()


def test_a_probe_tries_the_fullest_micro_batch_and_halves_it_until_it_fits(trainer_of: Callable[..., Trainer]):
    from models.training.job import probe_memory

    trainer = trainer_of()
    loss_sum, tried = trainer.objective.loss_sum, []

    def with_room_for_100_nodes(examples: Any, records: Any) -> torch.Tensor:
        tried.append(int(examples.sizes[records].sum()))
        if tried[-1] > 100:
            raise torch.OutOfMemoryError("no room")
        return loss_sum(examples, records)

    trainer.objective.loss_sum = with_room_for_100_nodes  # type: ignore[method-assign]
    probe_memory(trainer)
    assert trainer.position.micro_budget == 75
    assert len(tried) == 3
    assert tried[0] > 250
    assert "micro-batches hold 75 instead of 300" in (trainer.context.run_path / "progress.jsonl").read_text()
