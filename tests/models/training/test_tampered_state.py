"""A pickle under the name of a part whose digests were forged too: the loaders refuse it in words and run nothing."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from models.errors import ObjectCorrupt
from models.training import state


class Bomb:
    """Leaves a file behind if anyone unpickles it."""

    def __init__(self, fuse: Path) -> None:
        self.fuse = fuse

    def __reduce__(self):
        return (Path.touch, (self.fuse,))


def model() -> nn.Module:
    return nn.Linear(3, 2)


def load_model(content: bytes) -> None:
    state.load_model(model(), content)


def load_optimizer_tensors(content: bytes) -> None:
    state.load_optimizer(torch.optim.AdamW(model().parameters()), content, b"[]")


def load_optimizer_groups(content: bytes) -> None:
    optimizer = torch.optim.AdamW(model().parameters())
    state.load_optimizer(optimizer, state.optimizer_to_bytes(optimizer)[0], content)


def load_position(content: bytes) -> None:
    state.position_from_bytes(content)


def load_random_tensors(content: bytes) -> None:
    state.load_rng(content, state.rng_to_bytes()[1])


def load_random_numbers(content: bytes) -> None:
    state.load_rng(state.rng_to_bytes()[0], content)


LOADERS = [
    load_model,
    load_optimizer_tensors,
    load_optimizer_groups,
    load_position,
    load_random_tensors,
    load_random_numbers,
]


def pickled(fuse: Path) -> bytes:
    return pickle.dumps(Bomb(fuse))


def saved_by_torch(fuse: Path) -> bytes:
    path = fuse.with_name("saved.pt")
    torch.save(Bomb(fuse), path)
    return path.read_bytes()


def other_json(fuse: Path) -> bytes:
    return json.dumps({"another": ["document"]}).encode()


@pytest.mark.parametrize("forged", [pickled, saved_by_torch, other_json], ids=lambda each: each.__name__)
@pytest.mark.parametrize("load", LOADERS, ids=lambda each: each.__name__)
def test_forged_bytes_are_refused_and_never_executed(
    tmp_path: Path, load: Callable[[bytes], None], forged: Callable[[Path], bytes]
):
    content = forged(tmp_path / "exploded")
    with pytest.raises(ObjectCorrupt):
        load(content)
    assert not (tmp_path / "exploded").exists()
