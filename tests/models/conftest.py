"""Small records in the schema of the preprocess job, and small jobs on them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TINY_MODEL = {
    "kind": "gnn",
    "hidden_dim": 16,
    "embedding_dim": 8,
    "num_layers": 2,
    "epochs": 3,
    "batch_size": 12,
    "node_budget": 300,
    "plateau_patience": 0,
}


def record(rng: random.Random, name: str, number: int) -> dict[str, Any]:
    """A random tree whose label shows in a few node ids, mostly."""
    num_nodes, label = rng.randint(8, 40), number % 2
    nodes = [rng.randint(1, 60) for _ in range(num_nodes)]
    for place in range(0, num_nodes, 7):
        nodes[place] = 77 if label else 78
    tree = [[max(0, node - 1 - rng.randint(0, 4)), node] for node in range(1, num_nodes)]
    row = [[node, node + 1] for node in range(num_nodes - 1)]
    return {
        "id": f"{name}-{number}",
        "code": "int f(){}",
        "language": "c",
        "tokens": [1, 2, 3],
        "token_offsets": [[0, 0], [0, 3], [4, 5]],
        "ast_nodes": nodes,
        "edge_index": tree + row,
        "edge_type": [0] * len(tree) + [2] * len(row),
        "label": label if rng.random() > 0.1 else 1 - label,
        "metadata": {"group": f"{name}-g{number // 3}"},
    }


def write_records(path: Path, num_records: int, seed: int) -> None:
    rng = random.Random(seed)
    records = [record(rng, path.stem.upper(), number) for number in range(num_records)]
    path.write_text("".join(json.dumps(each) + "\n" for each in records))


@pytest.fixture(scope="session")
def records_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with train, valid and test records; nobody writes into it."""
    folder = tmp_path_factory.mktemp("records")
    for seed, (split, num_records) in enumerate({"train": 60, "valid": 24, "test": 24}.items()):
        write_records(folder / f"{split}.jsonl", num_records, seed)
    return folder


@pytest.fixture(scope="session")
def train_document(records_path: Path) -> Callable[..., dict[str, Any]]:
    """The settings of a training of a second, as JSON; ``model`` adds to the tiny model, the rest replaces."""

    def made(model: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        return {
            "kind": "train",
            "train_data": str(records_path / "train.jsonl"),
            "val_data": str(records_path / "valid.jsonl"),
            "model": TINY_MODEL | (model or {}),
            "compute": {"device": "cpu", "precision": "off"},
            "checkpoints": {"every_steps": 2},
            "log_every_seconds": 0,
            **changes,
        }

    return made


@pytest.fixture
def torch_left_as_found() -> Iterator[None]:
    """Jobs that run in this process set threads, deterministic kernels and seeds for the whole of it."""
    import torch

    mode, num_threads, random_state = (
        torch.get_deterministic_debug_mode(),
        torch.get_num_threads(),
        torch.get_rng_state(),
    )
    yield
    torch.set_deterministic_debug_mode(mode)
    torch.set_num_threads(num_threads)
    torch.set_rng_state(random_state)
