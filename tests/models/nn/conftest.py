"""Random graphs, as our batches and as the edge list that PyTorch Geometric takes; and folders of backbones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from models.data.generated import twin_functions
from models.data.graph_batches import GraphBatch, GraphStore
from models.data.tokenizer_files import save_tokenizer, train_tokenizer
from models.nn.backbones import only_errors_told


@dataclass(frozen=True)
class RandomGraphs:
    """A few graphs.

    Args:
        store: Ours.
        both_ways_2E: ``(2, E)`` each pair of nodes in both directions, once, numbered through.
    """

    store: GraphStore
    both_ways_2E: Tensor

    def batch(self, *numbers: int) -> GraphBatch:
        return self.store.batch(np.array(numbers or range(len(self.store.num_nodes))))


@pytest.fixture
def random_graphs() -> Callable[..., RandomGraphs]:
    def made(*sizes: int, seed: int = 0) -> RandomGraphs:
        rng = np.random.default_rng(seed)
        node_ptr = np.cumsum([0, *sizes])
        sources, targets, edge_ptr = [], [], [0]
        for size in sizes:
            num_edges = 2 * size
            sources.append(rng.integers(size, size=num_edges))
            targets.append(rng.integers(size, size=num_edges))
            edge_ptr.append(edge_ptr[-1] + num_edges)
        shift = np.repeat(node_ptr[:-1], np.diff(edge_ptr))
        source, target = np.concatenate(sources), np.concatenate(targets)
        store = GraphStore(
            SimpleNamespace(
                node_ids=rng.integers(30, size=node_ptr[-1]).astype(np.int16),
                node_ptr=node_ptr,
                edge_src=source,
                edge_dst=target,
                edge_type=rng.integers(3, size=len(source)).astype(np.int8),
                edge_ptr=np.array(edge_ptr),
            ),
            with_relations=True,
        )
        pairs = np.stack([source + shift, target + shift])
        pairs = pairs[:, pairs[0] != pairs[1]]
        pairs = np.unique(np.concatenate([pairs, pairs[::-1]], axis=1), axis=1)
        return RandomGraphs(store, torch.from_numpy(pairs))

    return made


@pytest.fixture
def dense() -> Callable[..., Tensor]:
    """The square matrix that compressed rows (of an adjacency or a relation) stand for."""

    def made(matrix: Any) -> Tensor:
        num_nodes = len(matrix.row_starts_N1) - 1
        rows = torch.repeat_interleave(torch.arange(num_nodes), matrix.row_starts_N1.diff())
        empty = torch.zeros(num_nodes, num_nodes, dtype=matrix.values_E.dtype)
        return empty.index_put((rows, matrix.columns_E), matrix.values_E, accumulate=True)

    return made


@pytest.fixture(scope="session")
def tokenizer_content() -> str:
    texts = [code for pair in range(3) for code in twin_functions(pair)[1:]]
    return train_tokenizer(texts, 320).to_str()


@pytest.fixture
def saved(tmp_path: Path, tokenizer_content: str) -> Callable[..., Path]:
    """Saves a model of 320 tokens with a tokenizer, as a backbone's folder is."""

    def written(model: PreTrainedModel) -> Path:
        folder = tmp_path / "backbone"
        with only_errors_told():
            model.save_pretrained(folder)
        save_tokenizer(tokenizer_content, folder)
        return folder

    return written


@pytest.fixture
def converted_path(tmp_path: Path) -> Path:
    return tmp_path / "backbones"
