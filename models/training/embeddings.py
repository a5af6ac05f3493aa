"""The dual encoder as the engine sees it: pairs as records, symmetric InfoNCE over all pairs of a step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, distributed
from torch.optim import Optimizer

from models.data.record_tokenizer import RecordTokenizer
from models.data.retrieval.text_pairs import read_pairs
from models.data.retrieval.texts import Texts
from models.jobs.contract import JobContext
from models.nn.dual_encoder import ANCHOR, TEXT, DualEncoder, TextTower
from models.nn.pooled_text import PooledText
from models.settings.contrastive import EmbeddingsSettings
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.settings.train import TEXTS_FILE, TrainSettings
from models.training.embeddings_files import WEIGHTS_FILE, model_files, saved_encoder
from models.training.gradient_cache import GradientCache, filled_by_all_ranks
from models.training.objective import StepPart, Story
from models.training.order import Indices, cut_by_area, rank_share
from models.training.pair_ranking import PairRanks, pair_ranks, ranking_metrics
from models.training.schedule import Schedule
from models.training.step_loss import step_loss, validation_loss
from models.training.text_backbone import begin_backbone
from models.training.text_pair_examples import PairExamples, StepTexts, pair_examples
from models.training.warmup import warmed_up

TOKENS_AT_ONCE = 4096
"""Of a micro-batch on the CPU, padding counted: larger ones leave its caches and are a quarter slower."""


class EmbeddingsObjective:
    """Bring texts that do the same together, and all others apart.

    Args:
        settings: Towers, loss and optimisation.
        tokenizer: The tokenizer that made the texts.
        model: The towers.
        identity: What the backbone began from, for the result.
        notices: What a person must be told.
    """

    WEIGHTS_FILES = (WEIGHTS_FILE,)

    def __init__(
        self,
        settings: EmbeddingsSettings,
        tokenizer: RecordTokenizer,
        model: DualEncoder,
        *,
        identity: dict[str, Any],
        notices: tuple[str, ...] = (),
    ) -> None:
        self.settings = settings
        self.tokenizer = tokenizer
        self.model = model
        self.budget = settings.token_budget
        self.notices = notices
        self._identity = identity
        self._texts_path: Path | None = None
        self._learnt_from: Path | None = None
        self._opened: dict[Path, Texts] = {}

    @classmethod
    def untrained(cls, settings: TrainSettings, context: JobContext) -> Self:
        """Pretrained weights where they can be had, else the small encoder; a new projection on either.

        Raises:
            SettingsInvalid: no backbone where one is required, or one that does not fit texts or settings. Not
                retried.
            BuildDiffers: what is at hand is not what was settled on when the run was named. Not retried.
            StoreUnavailable: the hub did not answer for weights that were settled on. Retried.
        """
        model = settings.model
        assert isinstance(model, EmbeddingsSettings)
        assert settings.tokenizer is not None
        tokenizer = RecordTokenizer.read(settings.tokenizer)
        begun = begin_backbone(model, tokenizer, context)
        text = PooledText(begun.model, reads_with=model.reads_with, pooling=model.pooling)
        encoder = DualEncoder(
            TextTower(text, model.embedding_dim),
            separate=model.towers == "separate",
            temperature=model.temperature,
            learns_temperature=model.learn_temperature,
        )
        objective = cls(model, tokenizer, encoder, identity=begun.identity, notices=begun.notices)
        objective._texts_path, objective._learnt_from = settings.texts, settings.train_data
        return objective

    @classmethod
    def trained(cls, settings: EmbeddingsSettings, run_path: Path) -> Self:
        """The best encoder of a finished run.

        Raises:
            ObjectCorrupt: its weights are of another encoder than its meta file says. Not retried.
            SettingsInvalid: its meta file is not understood. Not retried.
        """
        tokenizer = RecordTokenizer.read(run_path / TOKENIZER_FOLDER)
        return cls(settings, tokenizer, saved_encoder(run_path), identity={})

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.log_scale.device

    def open_texts(self, path: Path) -> Texts:
        """The texts at ``path`` as the encoder reads them.

        Raises:
            DataInvalid: they cannot be read, or are of another tokenizer. Not retried.
        """
        if path not in self._opened:
            vocab_size = self.model.vocab_size
            folder, max_seq_len = self.tokenizer.folder, self.settings.max_seq_len
            self._opened[path] = Texts.open(path, folder, max_seq_len, vocab_size=vocab_size)
        return self._opened[path]

    def load(self, path: Path, *, limit: int | None) -> PairExamples:
        """The pairs at ``path`` with the texts that they name; of the training file ``max_pairs`` at most.

        Raises:
            DataInvalid: no pair, one that names a text that is not there, or texts of another tokenizer. Not retried.
        """
        limits = [limit, self.settings.max_pairs if path == self._learnt_from else None]
        pairs = read_pairs(path, limit=min((given for given in limits if given is not None), default=None))
        return pair_examples(self.open_texts(self._texts_path or path.parent / TEXTS_FILE), pairs, path)

    def resolve(self, settings: EmbeddingsSettings, examples: PairExamples, device: str) -> EmbeddingsSettings:  # noqa: ARG002
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

    def step_parts(
        self,
        examples: PairExamples,
        records: Indices,
        *,
        own: Indices,  # noqa: ARG002
        budget: int,
        total_weight: float,
    ) -> Iterator[StepPart]:
        """This rank's texts, micro-batch by micro-batch, each with the gradient that the loss of all pairs gives it.

        Raises:
            torch.OutOfMemoryError: memory does not suffice, here or on another rank.
        """
        joined = distributed.is_initialized()
        rank, num_ranks = (distributed.get_rank(), distributed.get_world_size()) if joined else (0, 1)
        places = rank_share(np.arange(len(records)), rank=rank, num_ranks=num_ranks)
        self.model.hold_temperature()
        texts = examples.step_texts(records)
        cache = self._cache(examples, texts, texts.rows_of(places), budget)
        embeddings_RE = filled_by_all_ranks(cache, (len(texts.text), self.settings.embedding_dim), self.device)
        weights = examples.weights[records] / total_weight
        yield from self._parts(cache, embeddings_RE, texts, weights, tells_loss=rank == 0)

    def heaviest_part(self, examples: PairExamples, records: Indices, *, budget: int) -> StepPart:
        """The micro-batch that takes most of the budget, after all others were read."""
        texts = examples.step_texts(records)
        cache = self._cache(examples, texts, np.arange(len(texts.text)), budget)
        embeddings_RE = torch.zeros(len(texts.text), self.settings.embedding_dim, device=self.device)
        cache.fill(embeddings_RE)
        return next(self._parts(cache, embeddings_RE, texts, np.ones(len(records)), tells_loss=True))

    def _cache(self, examples: PairExamples, texts: StepTexts, rows: Indices, budget: int) -> GradientCache:
        """These rows in micro-batches of texts alike in length, the largest first; states are kept where all fit."""
        lengths = examples.texts.lengths[texts.text]
        parts = [part for side in self._sides(texts, rows) for part in self._cut(side, lengths, budget)]
        areas = [len(part) * int(lengths[part].max()) for part in parts]
        parts = [parts[number] for number in np.argsort(np.negative(areas), kind="stable")]

        def encode(part: Indices) -> Tensor:
            return self._embed(examples.texts, texts.text[part], int(texts.side[part[0]]))

        return GradientCache(encode, parts, keeps_states=sum(areas) <= budget)

    def _parts(
        self,
        cache: GradientCache,
        embeddings_RE: Tensor,
        texts: StepTexts,
        weights: npt.NDArray[np.float64],
        *,
        tells_loss: bool,
    ) -> Iterator[StepPart]:
        """The loss of all pairs by the cached embeddings, and what its gradient says of this rank's texts.

        One rank tells the loss and the gradient of the temperature: they are the same on all.
        """
        found = step_loss(embeddings_RE, texts, weights, self.model.log_scale)
        nothing = torch.zeros_like(found.loss)
        for surrogate in cache.surrogates(found.by_embeddings_RE):
            if tells_loss and self.model.log_scale.requires_grad:
                surrogate = surrogate + self.model.log_scale * found.by_log_scale
            yield StepPart(surrogate, found.loss if tells_loss else nothing)
            tells_loss = False

    @torch.no_grad()
    def embeddings(self, texts: Texts, rows: Indices, side: int, *, budget: int) -> Tensor:
        """``(len(rows), E)`` embeddings of texts without dropout, in the order of ``rows``.

        Args:
            texts: Where they are.
            rows: Which.
            side: As ``ANCHOR`` or ``TEXT``.
            budget: Padded tokens of a micro-batch at most.
        """
        self.model.eval()
        result = torch.zeros(len(rows), self.settings.embedding_dim)
        for part in self._cut(np.arange(len(rows)), texts.lengths[rows], budget):
            result[torch.from_numpy(part)] = self._embed(texts, rows[part], side).cpu()
        self.model.train()
        return result

    def scores(self, examples: PairExamples, records: Indices, *, budget: int) -> Tensor:
        """``(len(records), 2 E)``: embeddings of anchor and positive without gradients; each text is read once."""
        found = []
        for side in (ANCHOR, TEXT):
            rows, place = np.unique(examples.sides[records, side], return_inverse=True)
            found.append(self.embeddings(examples.texts, rows, side, budget=budget)[torch.from_numpy(place)])
        return torch.cat(found, dim=1)

    def metrics(self, examples: PairExamples, scores: npt.NDArray[np.float32]) -> dict[str, float]:
        """Loss in batches as large as those of training, MRR and recall; MRR is what is selected on."""
        settings, scale = self.settings, 1.0 / self.model.temperature
        loss = validation_loss(scores, examples.match, batch_size=settings.batch_size, scale=scale)
        return {"val_loss": loss, **ranking_metrics(self._ranks(examples, scores))}

    def predictions(self, examples: PairExamples, scores: npt.NDArray[np.float32]) -> list[dict[str, Any]]:
        """Rank of the positive among how many texts, and its cosine to the anchor."""
        ranks = self._ranks(examples, scores)
        return [
            {"rank": int(rank), "num_candidates": int(num_candidates), "cosine": float(cosine)}
            for rank, num_candidates, cosine in zip(*ranks, strict=True)
        ]

    def facts(self, examples: PairExamples) -> dict[str, Any]:
        """What was trained, and how much of the texts it reads."""
        settings, texts, named = self.settings, examples.texts, examples.named_texts
        num_tokens = int(np.diff(np.asarray(texts.table.token_ptr))[named].sum())
        reading = {
            "max_seq_len": settings.max_seq_len,
            "num_texts": len(named),
            "share_of_kept_tokens_read": round(int(texts.lengths[named].sum()) / num_tokens, 4),
            "records": self.tokenizer.reading,
        }
        read_by = {"reads_with": settings.reads_with, "pooling": settings.pooling}
        return {
            "backbone": self._identity | read_by | reading,
            "towers": settings.towers,
            "embedding_dim": settings.embedding_dim,
            "temperature": self.model.temperature,
            "num_negatives": examples.num_negatives,
        }

    def export(self, weights: bytes, run_path: Path, story: Story) -> dict[str, bytes]:  # noqa: ARG002
        """Weights, what they belong to, vocabulary and tokenizer."""
        return model_files(weights, self.model, self.tokenizer, self.settings, story)

    def _embed(self, texts: Texts, rows: Indices, side: int) -> Tensor:
        embeddings_RE: Tensor = self.model(texts.batch(rows).to(self.device), side)
        return embeddings_RE

    def _sides(self, texts: StepTexts, rows: Indices) -> list[Indices]:
        """Rows that one tower reads, tower by tower."""
        if not self.model.has_separate_towers:
            return [rows]
        return [rows[texts.side[rows] == side] for side in (ANCHOR, TEXT)]

    def _ranks(self, examples: PairExamples, scores: npt.NDArray[np.float32]) -> PairRanks:
        anchors, positives = np.split(scores, 2, axis=1)
        return pair_ranks(anchors, positives, text_N=examples.sides[:, TEXT], match_N=examples.match)

    def _cut(self, rows: Indices, lengths: Indices, budget: int) -> list[Indices]:
        """Micro-batches of texts alike in length, with at most ``budget`` padded tokens."""
        at_once = min(budget, TOKENS_AT_ONCE) if self.device.type == "cpu" else budget
        return cut_by_area(rows, lengths, np.ones_like(lengths), at_once)


OBJECTIVE = EmbeddingsObjective
