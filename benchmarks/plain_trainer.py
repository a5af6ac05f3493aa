"""The transformer classifier as a good user of transformers writes it; what our engine is measured against.

A model class with its loss, ``Trainer`` and its padding collator, everything else at Trainer's defaults. Nothing here
is from our engine but the reading of the records.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoTokenizer,
    DataCollatorWithPadding,
    PrinterCallback,
    RobertaConfig,
    RobertaModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from models.data.columnar import open_records
from models.data.record_tokenizer import RecordTokenizer
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.settings.transformer import TransformerSettings

Row = dict[str, Any]
Sampling = Literal["random", "group_by_length", "sequential"]


class PlainHead(nn.Module):
    """Dropout, H → H/2, GELU, dropout, H/2 → 2."""

    def __init__(self, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_dim, hidden_dim // 2)
        self.out = nn.Linear(hidden_dim // 2, 2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """``(records, 2)``."""
        return cast(Tensor, self.out(self.dropout(functional.gelu(self.dense(self.dropout(states))))))


class PlainClassifier(nn.Module):
    """RoBERTa's encoder and a head on the first token; sizes from ``config``.

    Attributes:
        num_tokens: Tokens seen in training so far.
        num_computed: The same with padding.
    """

    def __init__(self, config: RobertaConfig) -> None:
        super().__init__()
        self.backbone = RobertaModel(config, add_pooling_layer=False)
        self.head = PlainHead(config.hidden_size, config.hidden_dropout_prob)
        self.num_tokens = self.num_computed = 0

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """``logits``, and ``loss`` where labels are given."""
        states = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        logits = self.head(states[:, 0])
        if labels is None:
            return {"logits": logits}
        self.num_tokens += int(attention_mask.sum())
        self.num_computed += attention_mask.numel()
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits}


def plain_rows(path: Path, max_seq_len: int) -> list[Row]:
    """Every record as Trainer's collator takes it, truncated as a tokenizer does."""
    table = open_records(path)
    suffix = RecordTokenizer.read(path.parent / TOKENIZER_FOLDER).special.suffix
    rows = []
    for number in range(len(table)):
        ids = table.tokens(number).tolist()
        if len(ids) > max_seq_len:
            ids = ids[: max_seq_len - len(suffix)] + suffix.tolist()
        rows.append({"input_ids": ids, "label": int(table.labels[number])})
    return rows


def num_sorted_steps(num_records: int, batch_size: int) -> int:
    """Steps' worth of records that Trainer's length grouping draws and sorts at once, as its sampler reckons it."""
    return max(1, min(num_records // (batch_size * 4), 50))


class PlainTraining(TrainerCallback):
    """``Trainer.train`` in a thread of its own, held before each step until the step is asked for.

    Args:
        settings: Optimisation.
        config: The encoder.
        train: Rows to learn from.
        val: Rows to evaluate on.
        tokenizer_path: Folder of the tokenizer.
        sampling: Trainer's name of the order.
        seed: Of initialisation and order.
    """

    def __init__(
        self,
        settings: TransformerSettings,
        config: RobertaConfig,
        train: Sequence[Row],
        val: Sequence[Row],
        *,
        tokenizer_path: Path,
        sampling: Sampling,
        seed: int,
    ) -> None:
        arguments = TrainingArguments(
            use_cpu=True,
            per_device_train_batch_size=settings.batch_size,
            num_train_epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            warmup_steps=settings.warmup_ratio,
            train_sampling_strategy=sampling,
            seed=seed,
            save_strategy="no",
            disable_tqdm=True,
        )
        torch.manual_seed(seed)
        self.model = PlainClassifier(config)
        tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)
        self._collate = DataCollatorWithPadding(tokenizer)
        self._val = val
        self._trainer = Trainer(
            model=self.model,
            args=arguments,
            train_dataset=cast(Any, train),
            data_collator=self._collate,
            processing_class=tokenizer,
            callbacks=[self],
        )
        self._trainer.remove_callback(PrinterCallback)
        self._may_go, self._has_come = threading.Semaphore(0), threading.Semaphore(0)
        self._is_leaving = False
        self._problem: BaseException | None = None
        self._num_threads = torch.get_num_threads()
        self._thread = threading.Thread(target=self._train, daemon=True)

    def begin_epoch(self) -> None:
        """The first time, let Trainer get ready; it goes on from epoch to epoch by itself."""
        if self._thread.ident is None:
            self._thread.start()
            self._wait()

    def step(self) -> None:
        """The next step of ``Trainer.train``, from the batch to the cleared gradient."""
        self._may_go.release()
        self._wait()

    def leave(self) -> None:
        """End training where it is."""
        self._is_leaving = True
        self._may_go.release()
        self._thread.join()

    @torch.no_grad()
    def val_logits(self) -> Tensor:
        """``(records, 2)`` in evaluation mode."""
        self.model.eval()
        size = self._trainer.args.per_device_train_batch_size
        batches = (self._val[begin : begin + size] for begin in range(0, len(self._val), size))
        parts = []
        for rows in batches:
            batch = self._collate([{"input_ids": row["input_ids"]} for row in rows])
            parts.append(self.model(**batch)["logits"])
        self.model.train()
        return torch.cat(parts)

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
