"""The graph network as the engine sees it: syntax graphs, batches under a node budget, two architectures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn
from torch.optim import Optimizer

from models.data.columnar import RecordTable, open_records
from models.data.graph_batches import NUM_EDGE_TYPES, GraphBatch, GraphStore
from models.data.graph_statistics import FLOAT_BYTES, FUSED_KEPT_BYTES, PLAIN_KEPT_BYTES, recommended_batch_size
from models.errors import DataInvalid
from models.jobs.contract import JobContext
from models.nn.gcn import GraphClassifier
from models.nn.typed_graph import TypedGraphClassifier
from models.settings.gnn import GnnSettings
from models.settings.train import TrainSettings
from models.training import state
from models.training.classification import Classification
from models.training.memory import device_memory_bytes
from models.training.objective import Story
from models.training.order import Indices, cut_by_sum, first_rows
from models.training.schedule import Plateau, Schedule

WEIGHTS_FILE = "best_model.safetensors"
ARCHITECTURES: dict[str, type[nn.Module]] = {"gcn": GraphClassifier, "typed": TypedGraphClassifier}


class GraphExamples:
    """Graphs and labels of records of one file.

    Args:
        table: The records.
        graphs: All their graphs.
        rows: Which of them, and in which order.
    """

    def __init__(self, table: RecordTable, graphs: GraphStore, rows: Indices) -> None:
        self._table = table
        self._graphs = graphs
        self._rows = rows
        self.ids = [table.ids[row] for row in rows.tolist()]
        self.groups = [table.groups[row] for row in rows.tolist()]
        self.labels: npt.NDArray[np.int8] = np.asarray(table.labels)[rows]
        self.weights: npt.NDArray[np.float64] = np.ones(len(rows))
        self.sizes: npt.NDArray[np.int64] = graphs.num_nodes[rows]
        self.num_edges: npt.NDArray[np.int64] = np.diff(np.asarray(table.edge_ptr))[rows]

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, rows: Indices) -> GraphExamples:
        """Some of the records; the graphs are shared."""
        return GraphExamples(self._table, self._graphs, self._rows[rows])

    def batch(self, records: Indices) -> GraphBatch:
        """The graphs of ``records``, in that order."""
        return self._graphs.batch(self._rows[records])

    def cost(self, records: Indices) -> int:
        """Nodes of a micro-batch."""
        return int(self.sizes[records].sum())

    def cut(self, records: Indices, budget: int) -> list[Indices]:
        """Micro-batches of at most ``budget`` nodes."""
        return cut_by_sum(records, self.sizes, budget)


class GraphObjective(Classification[GraphExamples]):
    """Classify functions by their syntax graph.

    Args:
        settings: Architecture and optimisation; the model is built with the current random state.
    """

    WEIGHTS_FILES = (WEIGHTS_FILE,)

    def __init__(self, settings: GnnSettings) -> None:
        self.settings = settings
        self.notices: tuple[str, ...] = ()
        self.budget = settings.node_budget
        self.model = ARCHITECTURES[settings.architecture](
            vocab_size=settings.vocab_size,
            embedding_dim=settings.embedding_dim,
            hidden_dim=settings.hidden_dim,
            num_layers=settings.num_layers,
            dropout=settings.dropout,
        )

    @classmethod
    def untrained(cls, settings: TrainSettings, context: JobContext) -> Self:  # noqa: ARG003
        """The network its settings describe: it needs no look at the records."""
        assert isinstance(settings.model, GnnSettings)
        return cls(settings.model)

    @classmethod
    def trained(cls, settings: GnnSettings, run_path: Path) -> Self:
        """The best network of a finished run.

        Raises:
            ObjectCorrupt: its weights are of another network. Not retried.
        """
        objective = cls(settings)
        state.load_model(objective.model, (run_path / WEIGHTS_FILE).read_bytes())
        return objective

    def load(self, path: Path, *, limit: int | None) -> GraphExamples:
        """Graphs of the records at ``path``.

        Raises:
            DataInvalid: no record, none with a graph, or a node id beyond the vocabulary. Not retried.
        """
        table = open_records(path)
        if len(table) == 0:
            raise DataInvalid(path, "holds no record; training needs at least one")
        if not len(table.node_ids):
            raise DataInvalid(
                path,
                "no record has a syntax graph (those of findings have none); expected records of the preprocess job, "
                "or model.kind transformer for these",
            )
        largest = int(np.max(table.node_ids, initial=0))
        if largest >= self.settings.vocab_size:
            raise DataInvalid(path, f"node id {largest} is beyond model.vocab_size={self.settings.vocab_size}")
        graphs = GraphStore(table, with_relations=self.settings.architecture == "typed")
        return GraphExamples(table, graphs, first_rows(len(table), limit))

    def resolve(self, settings: GnnSettings, examples: GraphExamples, device: str) -> GnnSettings:
        """``batch_size`` lowered to what the memory model recommends, where ``auto_batch_size`` asks for it."""
        if not settings.auto_batch_size:
            return settings
        recommended = recommended_batch_size(
            p95_nodes=int(np.percentile(examples.sizes, 95)),
            p95_edges=int(np.percentile(examples.num_edges, 95)),
            hidden_dim=settings.hidden_dim,
            num_layers=settings.num_layers,
            embedding_dim=settings.embedding_dim,
            memory_bytes=device_memory_bytes(device),
            num_parameters=sum(p.numel() for p in self.model.parameters()),
            cap=settings.batch_size,
            kept_bytes=kept_bytes(settings.architecture, device),
            gathers=False,
        )
        return settings.model_copy(update={"batch_size": recommended})

    def schedule(self, optimizer: Optimizer, *, num_steps: int) -> Schedule:  # noqa: ARG002
        """The learning rate falls when F1 of label 1 stands still."""
        return Plateau(optimizer, factor=self.settings.plateau_factor, patience=self.settings.plateau_patience)

    def facts(self, examples: GraphExamples) -> dict[str, Any]:  # noqa: ARG002
        """Which architecture."""
        return {"architecture": self.settings.architecture}

    def export(self, weights: bytes, run_path: Path, story: Story) -> dict[str, bytes]:  # noqa: ARG002
        """The weights alone: the network is described by the run's settings."""
        return {WEIGHTS_FILE: weights}

    def logits(self, examples: GraphExamples, records: Indices) -> Tensor:
        """``(len(records), 2)``."""
        logits: Tensor = self.model(examples.batch(records).to(self.device))
        return logits


def kept_bytes(architecture: str, device: str) -> int:
    """Bytes of each activation of a layer that a training step keeps for its backward pass (``graph_memory``)."""
    kept = FUSED_KEPT_BYTES if device == "cpu" else PLAIN_KEPT_BYTES
    if architecture == "typed":
        # A layer also keeps the states it read, for both of its own products (H), and what it gathered by each edge
        # type and direction in the shared width (R H / 4): 4 bytes * (1 + R / 4) per activation, R = 2 * 3.
        kept += FLOAT_BYTES * (4 + 2 * NUM_EDGE_TYPES) // 4
    return kept


OBJECTIVE = GraphObjective
