"""The reranker as the engine sees it: lists whose candidates are compared with their query by the vectors of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from models.data.retrieval.candidate_lists import read_lists
from models.data.retrieval.texts import Texts
from models.errors import SettingsInvalid
from models.jobs.contract import MANIFEST_FILE, SETTINGS_FILE, JobContext
from models.jobs.keys import content_digest
from models.jobs.registry import parse_job
from models.nn.dual_encoder import ANCHOR, TEXT
from models.nn.pair_comparison import PairComparison
from models.settings.contrastive import EmbeddingsSettings
from models.settings.reranking import RerankerSettings
from models.settings.train import TrainSettings
from models.store.manifest import verify_manifest
from models.training import state
from models.training.embeddings import EmbeddingsObjective
from models.training.objective import Story
from models.training.order import Indices
from models.training.ranked_lists import Candidates, RankedLists, require_mixed, require_queries
from models.training.ranker_files import meta_file, read_architecture
from models.training.ranking import Ranking

WEIGHTS_FILE = "reranker_model.safetensors"
META_FILE = "reranker_meta.json"


class RerankerObjective(Ranking):
    """Rerank by a small network over the vectors of a finished encoder, which itself learns nothing any more.

    Args:
        settings: The network, its encoder and its optimisation.
        encoder: What makes the vectors.
        num_features: Numbers of the first stage beside each candidate.
    """

    model: PairComparison
    WEIGHTS_FILES = (WEIGHTS_FILE,)

    def __init__(self, settings: RerankerSettings, encoder: EmbeddingsObjective, *, num_features: int) -> None:
        super().__init__(
            settings, budget=settings.candidate_budget, num_features=num_features, max_triples=settings.max_triples
        )
        self._encoder = encoder
        self._vectors: tuple[Tensor, Tensor] | None = None
        self.model = PairComparison(
            encoder.settings.embedding_dim,
            num_features,
            hidden_dim=settings.hidden_dim,
            num_layers=settings.num_layers,
            dropout=settings.dropout,
        )

    @classmethod
    def untrained(cls, settings: TrainSettings, context: JobContext) -> Self:  # noqa: ARG003
        """A new network over the vectors of ``model.encoder``.

        Raises:
            SettingsInvalid: the encoder is no finished embeddings run. Not retried.
            DataInvalid: the lists of validation can choose nothing, or the texts cannot be read. Not retried.
            ObjectCorrupt: the encoder's files are not those it wrote. Not retried.
        """
        model = settings.model
        assert isinstance(model, RerankerSettings)
        assert model.encoder is not None
        assert settings.texts is not None
        require_mixed(settings.val_data)
        num_features = len(read_lists(settings.train_data, limit=1)[0].features[0])
        objective = cls(model, finished_encoder(model.encoder), num_features=num_features)
        objective.learn_from(settings.train_data)
        objective.read_texts(settings.texts)
        return objective

    @classmethod
    def trained(cls, settings: RerankerSettings, run_path: Path) -> Self:
        """The best network of a finished run; it has no texts yet.

        Raises:
            SettingsInvalid: its encoder is gone, or is another one now. Not retried.
            ObjectCorrupt: its files do not fit each other. Not retried.
        """
        assert settings.encoder is not None
        (num_features,) = read_architecture(run_path / META_FILE, "num_features")
        encoder = finished_encoder(settings.encoder)
        learnt_with = json.loads((run_path / META_FILE).read_bytes())["question"]["model"]["encoder"]
        if content_digest(settings.encoder) != learnt_with:
            raise SettingsInvalid(
                f"model.encoder: {settings.encoder} is not the encoder that {run_path} learnt with (sha256 "
                f"{learnt_with[:12]}…); put that one back"
            )
        objective = cls(settings, encoder, num_features=num_features)
        state.load_model(objective.model, (run_path / WEIGHTS_FILE).read_bytes())
        return objective

    def open_texts(self, path: Path) -> Texts:
        """Texts as the encoder reads them; their vectors are made when they are first asked for."""
        self._vectors = None
        return self._encoder.open_texts(path)

    def load(self, path: Path, *, limit: int | None) -> RankedLists:
        """The lists at ``path``; each has a query. Errors as of the lists of any ranker."""
        lists = super().load(path, limit=limit)
        require_queries(lists)
        return lists

    def resolve(self, settings: RerankerSettings, examples: RankedLists, device: str) -> RerankerSettings:  # noqa: ARG002
        """The settings; the model learns the scale of the features, and every text is embedded."""
        numbers = examples.candidates_of(np.arange(len(examples), dtype=np.int64))
        self.model.features.learn(torch.from_numpy(examples.candidates.features[numbers]).to(self.device))
        self.vectors  # noqa: B018  made now, on the device that trains
        return settings

    def candidate_sizes(self, query: Indices, text: Indices) -> Indices:  # noqa: ARG002
        """1: a vector is a vector."""
        return np.ones_like(text)

    def candidate_scores(self, candidates: Candidates, numbers: Indices) -> Tensor:
        """``(len(numbers),)`` of the vectors and the numbers of the first stage."""
        queries, texts = self.vectors
        query_K, text_K = (torch.from_numpy(rows[numbers]) for rows in (candidates.query, candidates.text))
        features_KF = torch.from_numpy(candidates.features[numbers]).to(self.device)
        scores_K: Tensor = self.model(queries[query_K.to(self.device)], texts[text_K.to(self.device)], features_KF)
        return scores_K

    @property
    def vectors(self) -> tuple[Tensor, Tensor]:
        """``(N, D)`` of all texts: as queries, and as what is found; one tensor where the encoder has one tower."""
        if self._vectors is None:
            self._vectors = self._embedded()
        return self._vectors

    def facts(self, examples: RankedLists) -> dict[str, Any]:
        """What was trained, and on what lists."""
        return super().facts(examples) | {"embedding_dim": self._encoder.settings.embedding_dim}

    def export(self, weights: bytes, run_path: Path, story: Story) -> dict[str, bytes]:  # noqa: ARG002
        """The weights, and what they belong to; the encoder stays where it is."""
        architecture = {
            "num_features": self.num_features,
            "embedding_dim": self._encoder.settings.embedding_dim,
        }
        return {WEIGHTS_FILE: weights, META_FILE: meta_file(architecture, story)}

    def _embedded(self) -> tuple[Tensor, Tensor]:
        """Always in full precision and all texts together, so that a vector is a function of texts and encoder."""
        encoder, rows = self._encoder, np.arange(len(self.texts), dtype=np.int64)
        encoder.model.to(self.device)
        with torch.autocast(self.device.type, enabled=False):
            texts = encoder.embeddings(self.texts, rows, TEXT, budget=encoder.budget).to(self.device)
            if not encoder.model.has_separate_towers:
                return texts, texts
            return encoder.embeddings(self.texts, rows, ANCHOR, budget=encoder.budget).to(self.device), texts


def finished_encoder(run_path: Path) -> EmbeddingsObjective:
    """The encoder of a finished embeddings run.

    Raises:
        SettingsInvalid: It is none. Not retried.
        ObjectCorrupt: Its files are not those it wrote. Not retried.
    """
    if not (run_path / MANIFEST_FILE).is_file():
        raise SettingsInvalid(f"model.encoder: {run_path} is not a finished run (no {MANIFEST_FILE}); finish it first")
    verify_manifest(run_path)
    settings = parse_job((run_path / SETTINGS_FILE).read_bytes())
    if not isinstance(settings, TrainSettings) or not isinstance(settings.model, EmbeddingsSettings):
        raise SettingsInvalid(f"model.encoder: {run_path} is no embeddings run; give one of model.kind embeddings")
    return EmbeddingsObjective.trained(settings.model, run_path)


OBJECTIVE = RerankerObjective
