"""The ``embed`` job: a vector of length 1 for every text of a pairs run, by a trained encoder and by its beginnings.

Sealed texts are opened on request only, and the opening is logged.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from accelerate import Accelerator
from torch import Tensor

from models.data.job_progress import Progress
from models.data.retrieval.text_facts import read_facts
from models.data.retrieval.texts import Texts
from models.errors import SettingsInvalid
from models.jobs.compute import resolved_compute
from models.jobs.contract import MANIFEST_FILE, JobContext, JobResult
from models.jobs.keys import run_key
from models.jobs.registry import train_settings_of
from models.nn.dual_encoder import ANCHOR, TEXT
from models.settings.contrastive import EmbeddingsSettings
from models.settings.retrieval import EmbedSettings
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.settings.train import TEXTS_FILE, TrainSettings
from models.store.filesystem import LocalFilesystem, write_synced
from models.store.manifest import read_manifest, verify_manifest
from models.training.embeddings import EmbeddingsObjective
from models.training.known_lists import is_trained_on, known_texts
from models.training.objective import Objective
from models.training.process import open_process
from models.training.scoring import open_sealed
from models.training.seeding import derived_seed, seed_everything

TEST_TEXTS_FILE = "test_texts.jsonl"
VECTORS = "vectors"
QUERIES = "queries"
"""Beside the vectors where towers are separate: the same texts as they ask, while the vectors are what is found."""
TEXTS_AT_ONCE = 2048
"""Between two looks at whether the job was asked to leave."""


def run(settings: EmbedSettings, context: JobContext, *, objective_class: type[Objective]) -> JobResult:
    """Embed the texts of a pairs run.

    Raises:
        Interrupted: asked to stop; the next attempt begins anew. Retried.
        SettingsInvalid: ``model_run`` is no finished embeddings run, ``data`` no finished pairs run, the encoder was
            trained or selected on a sealed text or its group, or several ranks are asked for. Not retried.
        DataInvalid: the texts cannot be read, or are of another tokenizer than the encoder's. Not retried.
        ObjectCorrupt: its weights are not those it wrote. Not retried.
        StoreUnavailable: the opening could not be logged; the sealed texts stay closed. Retried.
    """
    if settings.compute.num_ranks != 1:
        raise SettingsInvalid("compute.num_ranks: texts are embedded in one process; give 1")
    context.enter("load")
    model, trained_by = _trained_encoder(settings, objective_class)
    _require_finished("data", settings.data)
    not_checked: list[str] = []
    paths = [settings.data / TEXTS_FILE]
    if settings.open_test:
        paths.append(_opened(settings, context, settings.open_test))
        not_checked = _refuse_known(settings, trained_by, paths[-1])
        for name in not_checked:
            context.events.notice(
                f"{name}: the file that {settings.model_run} was trained with is gone or changed; whether the encoder "
                "saw the sealed texts was not checked there",
                "warning",
            )
    accelerator = open_process(resolved_compute(settings), context)
    encoders = {"": model}
    if settings.with_untrained:
        encoders["untrained_"] = _untrained(trained_by, settings, context)
    embedder = _Embedder(context, accelerator, encoders)
    for path in paths:
        embedder.embed(path)
    manifest = read_manifest(settings.model_run)
    assert manifest is not None
    numbers = {
        "dim": model.settings.embedding_dim,
        "num_texts": embedder.num_texts,
        "share_of_kept_tokens_read": embedder.share_read,
        "with_untrained": settings.with_untrained,
        "separate_towers": model.model.has_separate_towers,
        "model_run_key": manifest.run_key,
        "not_checked_for_leaks": not_checked,
    }
    return JobResult(numbers=numbers, files=tuple(embedder.files), record={"seconds_embedding": embedder.seconds})


def _trained_encoder(
    settings: EmbedSettings, objective_class: type[Objective]
) -> tuple[EmbeddingsObjective, TrainSettings]:
    """The encoder of ``model_run`` and the settings of its run."""
    _require_finished("model_run", settings.model_run)
    trained_by = train_settings_of(settings)
    if not isinstance(trained_by.model, EmbeddingsSettings):
        raise SettingsInvalid(
            f"model_run: {settings.model_run} trained a model of kind {trained_by.model.kind}, which embeds nothing; "
            "give an embeddings run"
        )
    verify_manifest(settings.model_run)
    model = objective_class.trained(trained_by.model, settings.model_run)
    assert isinstance(model, EmbeddingsObjective)
    return model, trained_by


def _untrained(trained_by: TrainSettings, settings: EmbedSettings, context: JobContext) -> EmbeddingsObjective:
    """The same encoder before its first step: made as its run made it, which says what it began from."""
    beside_model = trained_by.model_copy(update={"tokenizer": settings.model_run / TOKENIZER_FOLDER})
    seed_everything(derived_seed(trained_by.seed, "initialisation"))
    return EmbeddingsObjective.untrained(beside_model, replace(context, run_path=settings.model_run))


def _opened(settings: EmbedSettings, context: JobContext, purpose: str) -> Path:
    """The sealed texts, once their opening is logged."""
    weights = [settings.model_run / name for name in EmbeddingsObjective.WEIGHTS_FILES]
    path = settings.data / TEST_TEXTS_FILE
    return open_sealed(path, context, weights=weights, purpose=purpose, run_key=run_key(settings))


def _refuse_known(settings: EmbedSettings, trained_by: TrainSettings, path: Path) -> list[str]:
    """Refuse sealed texts that the encoder has seen; gives what could not be checked.

    Nothing is left to check where it was trained on the texts beside them: the pairs run keeps the two apart.
    """
    known = known_texts(trained_by, settings.model_run)
    known.refuse_texts(path, read_facts(path))
    return [] if is_trained_on(settings.data / TEXTS_FILE, settings.model_run) else known.not_checked


def _require_finished(name: str, path: Path) -> None:
    if not (path / MANIFEST_FILE).exists():
        raise SettingsInvalid(f"{name}: {path} is not finished (no {MANIFEST_FILE}); finish it first")


@dataclass
class _Embedder:
    """Encoders by the beginning of their files' names, and what they have embedded so far."""

    context: JobContext
    accelerator: Accelerator
    encoders: dict[str, EmbeddingsObjective]
    files: list[str] = field(default_factory=list)
    num_texts: dict[str, int] = field(default_factory=dict)
    share_read: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def embed(self, path: Path) -> None:
        """Write the vectors of the texts at ``path``, rows in its order."""
        texts = next(iter(self.encoders.values())).open_texts(path)
        kept_tokens = int(np.diff(np.asarray(texts.table.token_ptr)).sum())
        self.num_texts[path.stem] = len(texts)
        self.share_read[path.stem] = round(int(texts.lengths.sum()) / kept_tokens, 4)
        for beginning, encoder in self.encoders.items():
            name = f"{beginning}{path.stem}.safetensors"
            self.context.enter("embed")
            started = time.monotonic()
            content = safetensors.torch.save(self._tensors(encoder, texts))
            write_synced(LocalFilesystem(), self.context.run_path / name, content, temp_folder=self._temp_path)
            self.seconds[name] = round(time.monotonic() - started, 3)
            self.files.append(name)

    @property
    def _temp_path(self) -> Path:
        return self.context.run_path / ".temp"

    def _tensors(self, encoder: EmbeddingsObjective, texts: Texts) -> dict[str, Tensor]:
        encoder.model.to(self.accelerator.device)
        sides = {VECTORS: TEXT, QUERIES: ANCHOR} if encoder.model.has_separate_towers else {VECTORS: TEXT}
        return {name: self._vectors(encoder, texts, side) for name, side in sides.items()}

    def _vectors(self, encoder: EmbeddingsObjective, texts: Texts, side: int) -> Tensor:
        """``(N, d)`` float32. Texts alike in length go together, whatever their places in the file."""
        progress = Progress(self.context, len(texts), "texts")
        by_length = np.argsort(texts.lengths, kind="stable").astype(np.int64)
        vectors = torch.zeros(len(texts), encoder.settings.embedding_dim)
        for begin in range(0, len(texts), TEXTS_AT_ONCE):
            self.context.leave_if_asked(begin)
            rows = by_length[begin : begin + TEXTS_AT_ONCE]
            with self.accelerator.autocast():
                vectors[torch.from_numpy(rows)] = encoder.embeddings(texts, rows, side, budget=encoder.budget)
            progress.step(len(rows))
        return vectors
