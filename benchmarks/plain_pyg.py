"""The seed's graph network as a good user of PyTorch Geometric writes it; what our engine is measured against.

Nothing here is from our engine but the reading of the records.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GCNConv, global_max_pool, global_mean_pool

from models.data.columnar import open_records
from models.data.geometric import geometric_data
from models.settings.gnn import GnnSettings
from models.training.order import Indices


class PlainGraphNetwork(nn.Module):
    """Embedding, graph convolutions with ReLU and dropout, mean‖max pooling, head; sizes from ``settings``."""

    def __init__(self, settings: GnnSettings) -> None:
        super().__init__()
        hidden = settings.hidden_dim
        self.dropout = settings.dropout
        self.embedding = nn.Embedding(settings.vocab_size, settings.embedding_dim)
        widths = [settings.embedding_dim] + [hidden] * settings.num_layers
        self.convolutions = nn.ModuleList(GCNConv(*pair) for pair in itertools.pairwise(widths))
        self.head = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Dropout(settings.dropout), nn.Linear(hidden, 2)
        )

    def forward(self, batch: Any) -> Tensor:
        """``(graphs, 2)`` logits."""
        states = self.embedding(batch.x)
        for convolution in self.convolutions:
            states = functional.relu(convolution(states, batch.edge_index))
            states = functional.dropout(states, self.dropout, self.training)
        pooled = [pool(states, batch.batch, batch.num_graphs) for pool in (global_mean_pool, global_max_pool)]
        return cast(Tensor, self.head(torch.cat(pooled, dim=1)))

    def take_weights(self, model: nn.Module) -> None:
        """Copy the weights of our model of the same size."""
        own = self.state_dict()
        renamed = {name.replace(".lin.weight", ".weight"): name for name in own}
        self.load_state_dict({renamed[name]: tensor for name, tensor in model.state_dict().items()})


def plain_graphs(path: Path) -> list[Data]:
    """Every record as a graph without directions, made once."""
    table = open_records(path)
    return [geometric_data(table, row) for row in range(len(table))]


class PlainTraining:
    """A training loop of a page, one step at a time.

    Args:
        settings: Sizes and optimisation.
        train: Graphs to learn from.
        val: Graphs to evaluate on.
        seed: Of initialisation and order.
    """

    def __init__(self, settings: GnnSettings, train: list[Data], val: list[Data], seed: int) -> None:
        torch.manual_seed(seed)
        self._max_norm = settings.max_grad_norm
        self.model = PlainGraphNetwork(settings)
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        order = torch.Generator().manual_seed(seed)
        self._train = DataLoader(train, batch_size=settings.batch_size, shuffle=True, generator=order)
        self._val = DataLoader(val, batch_size=settings.batch_size)
        self._batches: Iterator[Any] = iter(())
        self.loss_sum = 0.0

    def begin_epoch(self) -> None:
        """Shuffle anew."""
        self.model.train()
        self._batches = iter(self._train)

    def follow(self, batches: list[Indices]) -> None:
        """Take these records next, instead of an order of its own."""
        graphs = self._train.dataset
        self._batches = iter([Batch.from_data_list([graphs[record] for record in batch]) for batch in batches])

    def step(self) -> None:
        """Collate the next batch, and learn from it."""
        batch = next(self._batches)
        self._optimizer.zero_grad()
        loss = functional.cross_entropy(self.model(batch), batch.y)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), self._max_norm)
        self._optimizer.step()
        self.loss_sum += loss.item()

    @torch.no_grad()
    def val_logits(self) -> Tensor:
        """``(records, 2)``."""
        self.model.eval()
        return torch.cat([self.model(batch) for batch in self._val])
