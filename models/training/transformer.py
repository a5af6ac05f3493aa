"""The transformer as the engine sees it: token windows, micro-batches under a budget of tokens, a warmed-up rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.optim import Optimizer
from transformers import PreTrainedModel

from models.data.columnar import RecordTable
from models.data.record_tokenizer import RecordTokenizer
from models.data.token_batches import Reading, TokenBatch, TokenStore
from models.data.token_records import open_token_records
from models.jobs.contract import JobContext
from models.nn.attention import use_own_kernels
from models.nn.backbones import hidden_width, saved_backbone
from models.nn.sequence_classifier import SequenceClassifier
from models.settings.train import TrainSettings
from models.settings.transformer import TransformerSettings
from models.training.classification import Classification
from models.training.model_folder import HEAD_FILE, MODEL_FOLDER, folder_files, load_head
from models.training.objective import Story
from models.training.order import Indices, cut_by_area, first_rows
from models.training.schedule import Schedule
from models.training.text_backbone import begin_backbone
from models.training.warmup import warmed_up


class TokenExamples:
    """Token windows and labels of records of one file.

    Args:
        table: The records.
        store: All their windows.
        rows: Which of them, and in which order.
    """

    def __init__(self, table: RecordTable, store: TokenStore, rows: Indices) -> None:
        self._table = table
        self._store = store
        self._rows = rows
        self.ids = [table.ids[row] for row in rows.tolist()]
        self.groups = [table.groups[row] for row in rows.tolist()]
        self.labels: npt.NDArray[np.int8] = np.asarray(table.labels)[rows]
        self.weights: npt.NDArray[np.float64] = np.ones(len(rows))
        self.num_windows: npt.NDArray[np.int64] = store.num_windows[rows]
        self.window_lengths: npt.NDArray[np.int64] = store.window_lengths[rows]
        self.sizes: npt.NDArray[np.int64] = self.num_windows * self.window_lengths
        self.num_read = int(store.num_read[rows].sum())
        self.num_tokens = int(np.diff(np.asarray(table.token_ptr))[rows].sum())

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, rows: Indices) -> TokenExamples:
        """Some of the records; the windows are shared."""
        return TokenExamples(self._table, self._store, self._rows[rows])

    def batch(self, records: Indices) -> TokenBatch:
        """The windows of ``records``, in that order."""
        return self._store.batch(self._rows[records])

    def cost(self, records: Indices) -> int:
        """Padded tokens of a micro-batch."""
        return int(self.num_windows[records].sum() * self.window_lengths[records].max())

    def cut(self, records: Indices, budget: int) -> list[Indices]:
        """Micro-batches of records alike in length, with at most ``budget`` padded tokens."""
        return cut_by_area(records, self.window_lengths, self.num_windows, budget)


class TransformerObjective(Classification[TokenExamples]):
    """Classify texts by their tokens.

    Args:
        settings: Backbone, pooling, reading and optimisation.
        tokenizer: The tokenizer that made the records.
        backbone: What reads them.
        identity: What the backbone began from, for the result.
        notices: What a person must be told.
    """

    model: SequenceClassifier
    WEIGHTS_FILES = (f"{MODEL_FOLDER}/model.safetensors", f"{MODEL_FOLDER}/{HEAD_FILE}")

    def __init__(
        self,
        settings: TransformerSettings,
        tokenizer: RecordTokenizer,
        backbone: PreTrainedModel,
        *,
        identity: dict[str, Any],
        notices: tuple[str, ...] = (),
    ) -> None:
        self.settings = settings
        self.tokenizer = tokenizer
        self.budget = settings.token_budget
        self.notices = notices
        self._identity = identity
        use_own_kernels(backbone)
        self.model = SequenceClassifier(
            backbone,
            hidden_width(backbone),
            reads_with=settings.reads_with,
            pooling=settings.pooling,
            dropout=settings.dropout,
        )

    @classmethod
    def untrained(cls, settings: TrainSettings, context: JobContext) -> Self:
        """Pretrained weights where they can be had, else the small encoder; a new head on either.

        Raises:
            SettingsInvalid: no backbone where one is required, or one that does not fit records or settings. Not
                retried.
            BuildDiffers: what is at hand is not what was settled on when the run was named. Not retried.
            StoreUnavailable: the hub did not answer for weights that were settled on. Retried.
        """
        model = settings.model
        assert isinstance(model, TransformerSettings)
        assert settings.tokenizer is not None
        tokenizer = RecordTokenizer.read(settings.tokenizer)
        begun = begin_backbone(model, tokenizer, context)
        return cls(model, tokenizer, begun.model, identity=begun.identity, notices=begun.notices)

    @classmethod
    def trained(cls, settings: TransformerSettings, run_path: Path) -> Self:
        """The best model of a finished run.

        Raises:
            ObjectCorrupt: its head does not fit its backbone. Not retried.
        """
        folder = run_path / MODEL_FOLDER
        backbone = saved_backbone(folder, reads_with=settings.reads_with)
        objective = cls(settings, RecordTokenizer.read(folder), backbone, identity={})
        load_head(objective.model, folder)
        return objective

    def load(self, path: Path, *, limit: int | None) -> TokenExamples:
        """Token windows of the records at ``path``.

        Raises:
            DataInvalid: no record, a token id beyond the vocabulary, or records of another tokenizer. Not retried.
        """
        settings = self.settings
        reading = Reading(settings.max_seq_len, settings.max_windows, settings.window_overlap)
        vocab_size = int(self.model.backbone.config.vocab_size)
        table, store = open_token_records(path, self.tokenizer, reading, vocab_size=vocab_size)
        return TokenExamples(table, store, first_rows(len(table), limit))

    def resolve(self, settings: TransformerSettings, examples: TokenExamples, device: str) -> TransformerSettings:  # noqa: ARG002
        """The settings: nothing in them depends on data or device."""
        return settings

    def schedule(self, optimizer: Optimizer, *, num_steps: int) -> Schedule:
        """As the settings say, over all steps there can be."""
        settings = self.settings
        return warmed_up(
            optimizer,
            settings.schedule,
            warmup_ratio=settings.warmup_ratio,
            warmup_steps=settings.warmup_steps,
            num_steps=num_steps,
        )

    def facts(self, examples: TokenExamples) -> dict[str, Any]:
        """What was trained, and how much of the records it reads."""
        reading: dict[str, Any] = {
            "max_seq_len": self.settings.max_seq_len,
            "num_windows": int(examples.num_windows.sum()),
            "share_of_kept_tokens_read": round(examples.num_read / examples.num_tokens, 4),
        }
        reading |= {"records": self.tokenizer.reading}
        read_by = {"reads_with": self.settings.reads_with, "pooling": self.settings.pooling}
        return {"backbone": self._identity | read_by | reading}

    def export(self, weights: bytes, run_path: Path, story: Story) -> dict[str, bytes]:  # noqa: ARG002
        """The ecosystem's form: backbone by ``save_pretrained``, tokenizer, head and model card in one folder."""
        return folder_files(self.model, self.tokenizer, self.settings, story)

    def logits(self, examples: TokenExamples, records: Indices) -> Tensor:
        """``(len(records), 2)``."""
        logits: Tensor = self.model(examples.batch(records).to(self.device))
        return logits


OBJECTIVE = TransformerObjective
