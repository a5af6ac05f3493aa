"""A dual encoder as a good user of sentence-transformers trains it; what our engine is measured against.

A ``SentenceTransformer`` of transformer, mean pooling, a linear layer and normalisation, its trainer and loss, all else
at the defaults. Only weights, tokenizer and texts are ours, so that both train the same network on the same pairs.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback

from models.nn.backbones import backbone_config, configured_backbone, only_errors_told
from models.training.embeddings import EmbeddingsObjective

TextPairs = Sequence[tuple[str, str]]


class InOrder(torch.utils.data.Sampler[list[int]]):
    """Batches in the order of the rows."""

    def __init__(self, num_rows: int, batch_size: int) -> None:
        self._batches = [list(range(at, min(at + batch_size, num_rows))) for at in range(0, num_rows, batch_size)]

    def __iter__(self) -> Any:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


class PlainContrastive(TrainerCallback):
    """``SentenceTransformerTrainer.train`` in a thread of its own, held before each step until it is asked for.

    Args:
        objective: Whose weights and tokenizer it begins with.
        pairs: In the order of training.
        folder: For its files.
        batch_size: Pairs of a step.
        scale: Of similarities.
    """

    def __init__(
        self, objective: EmbeddingsObjective, pairs: TextPairs, folder: Path, *, batch_size: int, scale: float
    ) -> None:
        from datasets import Dataset
        from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
        from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

        self._pairs = pairs
        self.model = _model(objective, folder / "model")
        directions: Any = ("query_to_doc", "doc_to_query")
        self.loss = MultipleNegativesRankingLoss(
            self.model, scale=scale, directions=directions, partition_mode="per_direction"
        )
        arguments = SentenceTransformerTrainingArguments(
            output_dir=str(folder / "out"),
            use_cpu=True,
            per_device_train_batch_size=batch_size,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            batch_sampler=cast(Any, _in_order),
        )
        anchors, positives = zip(*pairs, strict=True)
        self._trainer = SentenceTransformerTrainer(
            model=self.model,
            args=arguments,
            train_dataset=Dataset.from_dict({"anchor": list(anchors), "positive": list(positives)}),
            loss=self.loss,
            callbacks=[self],
        )
        self._trainer.remove_callback(PrinterCallback)
        self._may_go, self._has_come = threading.Semaphore(0), threading.Semaphore(0)
        self._is_leaving = False
        self._problem: BaseException | None = None
        self._num_threads = torch.get_num_threads()
        self._thread = threading.Thread(target=self._train, daemon=True)

    def loss_of(self, rows: Sequence[int]) -> float:
        """Its loss of these pairs, without dropout where the model has none."""
        sides = zip(*(self._pairs[row] for row in rows), strict=True)
        features = [self.model.preprocess(list(side)) for side in sides]
        return float(self.loss(features, torch.zeros(len(rows))))

    def anchor_embeddings(self, rows: Sequence[int]) -> Tensor:
        """``(len(rows), E)`` of the first texts of these pairs."""
        embeddings: Tensor = self.model(self.model.preprocess([self._pairs[row][0] for row in rows]))[
            "sentence_embedding"
        ]
        return embeddings

    def begin(self) -> None:
        """Let the trainer get ready."""
        self._thread.start()
        self._wait()

    def step(self) -> None:
        """The next step, from the texts to the cleared gradient."""
        self._may_go.release()
        self._wait()

    def leave(self) -> None:
        """End training where it is."""
        self._is_leaving = True
        self._may_go.release()
        self._thread.join()

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:  # noqa: ARG002
        """Wait for the first step."""
        self._hold(control)

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:  # noqa: ARG002
        """Wait for the next step."""
        self._hold(control)

    def _hold(self, control: Any) -> None:
        self._has_come.release()
        self._may_go.acquire()
        control.should_training_stop = control.should_training_stop or self._is_leaving

    def _wait(self) -> None:
        self._has_come.acquire()
        if self._problem is not None:
            raise self._problem

    def _train(self) -> None:
        torch.set_num_threads(self._num_threads)  # is kept by thread
        try:
            self._trainer.train()
        except BaseException as error:  # noqa: BLE001 — raised again where the step was asked for
            self._problem = error
            self._has_come.release()


def _in_order(dataset: Any, batch_size: int, **others: Any) -> InOrder:  # noqa: ARG001
    return InOrder(len(dataset), batch_size)


def _model(objective: EmbeddingsObjective, folder: Path) -> Any:
    """Our encoder's weights as a ``SentenceTransformer``."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    tower: Any = objective.model.towers[0]
    backbone = configured_backbone(backbone_config(tower.text.backbone), reads_with="encoder")
    backbone.load_state_dict(tower.text.backbone.state_dict())
    with only_errors_told():
        backbone.save_pretrained(folder)
    for name, content in objective.tokenizer.files().items():
        (folder / name).write_bytes(content)
    with only_errors_told():
        transformer = Transformer(str(folder), max_seq_length=objective.settings.max_seq_len)
    width = tower.text.hidden_dim
    dense = Dense(width, objective.settings.embedding_dim, bias=False, activation_function=torch.nn.Identity())
    with torch.no_grad():
        dense.linear.weight.copy_(tower.projection.weight)
    return SentenceTransformer(modules=[transformer, Pooling(width, "mean"), dense, Normalize()], device="cpu")
