"""The cross-encoder as the engine sees it: lists whose candidates are read together with their query."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel

from models.data.record_tokenizer import RecordTokenizer
from models.data.retrieval.candidate_lists import read_lists
from models.data.retrieval.joined_texts import JoinedTexts
from models.data.retrieval.texts import Texts
from models.jobs.contract import JobContext
from models.nn.backbones import backbone_config, configured_backbone
from models.nn.cross_encoder import CrossEncoder
from models.nn.pooled_text import PooledText
from models.settings.reranking import CrossEncoderSettings
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.settings.train import TrainSettings
from models.training import state
from models.training.objective import Story
from models.training.order import Indices
from models.training.ranked_lists import Candidates, RankedLists, require_mixed, require_queries
from models.training.ranker_files import meta_file, read_architecture, tokenizer_files
from models.training.ranking import Ranking
from models.training.text_backbone import begin_backbone

WEIGHTS_FILE = "reranker_model.safetensors"
META_FILE = "reranker_meta.json"


class CrossEncoderObjective(Ranking):
    """Rerank by what an encoder makes of query and candidate as one text; numbers beside them are not read.

    Args:
        settings: Backbone, pooling and optimisation.
        tokenizer: The tokenizer that made the texts.
        backbone: What reads them.
        num_features: Numbers beside each candidate in the lists that it learns from.
        identity: What the backbone began from, for the result.
        notices: What a person must be told.
    """

    model: CrossEncoder
    WEIGHTS_FILES = (WEIGHTS_FILE,)

    def __init__(
        self,
        settings: CrossEncoderSettings,
        tokenizer: RecordTokenizer,
        backbone: PreTrainedModel,
        *,
        num_features: int,
        identity: dict[str, Any],
        notices: tuple[str, ...] = (),
    ) -> None:
        super().__init__(
            settings, budget=settings.token_budget, num_features=num_features, max_triples=settings.max_triples
        )
        self.encoder_settings = settings
        self.tokenizer = tokenizer
        self.notices = notices
        self._identity = identity
        self._joined: JoinedTexts | None = None
        text = PooledText(backbone, reads_with=settings.reads_with, pooling=settings.pooling)
        self.model = CrossEncoder(text, dropout=settings.dropout)

    @classmethod
    def untrained(cls, settings: TrainSettings, context: JobContext) -> Self:
        """Pretrained weights where they can be had, else the small encoder; a new head on either.

        Raises:
            SettingsInvalid: no backbone where one is required, or one that does not fit records or settings. Not
                retried.
            DataInvalid: the lists of validation can choose nothing, or the texts cannot be read. Not retried.
            BuildDiffers: what is at hand is not what was settled on when the run was named. Not retried.
            StoreUnavailable: the hub did not answer for weights that were settled on. Retried.
        """
        model = settings.model
        assert isinstance(model, CrossEncoderSettings)
        assert settings.tokenizer is not None
        assert settings.texts is not None
        require_mixed(settings.val_data)
        num_features = len(read_lists(settings.train_data, limit=1)[0].features[0])
        tokenizer = RecordTokenizer.read(settings.tokenizer)
        begun = begin_backbone(model, tokenizer, context)
        objective = cls(
            model, tokenizer, begun.model, num_features=num_features, identity=begun.identity, notices=begun.notices
        )
        objective.learn_from(settings.train_data)
        objective.read_texts(settings.texts)
        return objective

    @classmethod
    def trained(cls, settings: CrossEncoderSettings, run_path: Path) -> Self:
        """The best model of a finished run; it has no texts yet.

        Raises:
            ObjectCorrupt: its files do not fit each other. Not retried.
        """
        config, num_features = read_architecture(run_path / META_FILE, "backbone_config", "num_features")
        backbone = configured_backbone(config, reads_with=settings.reads_with)
        tokenizer = RecordTokenizer.read(run_path / TOKENIZER_FOLDER)
        objective = cls(settings, tokenizer, backbone, num_features=num_features, identity={})
        state.load_model(objective.model, (run_path / WEIGHTS_FILE).read_bytes())
        return objective

    def open_texts(self, path: Path) -> Texts:
        """Whole texts: how much of each is read depends on the other."""
        settings = self.encoder_settings
        vocab_size = int(self.model.text.backbone.config.vocab_size)
        texts = Texts.open(path, self.tokenizer.folder, settings.max_seq_len, vocab_size=vocab_size)
        self._joined = JoinedTexts(texts, settings.max_seq_len)
        return texts

    def load(self, path: Path, *, limit: int | None) -> RankedLists:
        """The lists at ``path``; each has a query. Errors as of the lists of any ranker."""
        lists = super().load(path, limit=limit)
        require_queries(lists)
        return lists

    def candidate_sizes(self, query: Indices, text: Indices) -> Indices:
        """Tokens of query and candidate together."""
        return self.joined.lengths(query, text)

    def candidate_scores(self, candidates: Candidates, numbers: Indices) -> Tensor:
        """``(len(numbers),)`` of the joined texts."""
        batch = self.joined.batch(candidates.query[numbers], candidates.text[numbers]).to(self.device)
        scores_K: Tensor = self.model(batch.ids_WT, batch.mask_WT)
        return scores_K

    @property
    def joined(self) -> JoinedTexts:
        """Pairs of the texts at hand."""
        assert self._joined is not None
        return self._joined

    def facts(self, examples: RankedLists) -> dict[str, Any]:
        """What was trained, on what lists, and how much of the texts it reads."""
        settings, sizes = self.encoder_settings, examples.candidates.sizes
        reading = {
            "reads_with": settings.reads_with,
            "pooling": settings.pooling,
            "max_seq_len": settings.max_seq_len,
            "share_of_pairs_at_max_seq_len": round(float(np.mean(sizes == settings.max_seq_len)), 4),
            "records": self.tokenizer.reading,
        }
        return super().facts(examples) | {"backbone": self._identity | reading}

    def export(self, weights: bytes, run_path: Path, story: Story) -> dict[str, bytes]:  # noqa: ARG002
        """The weights, how to build the model again, and the tokenizer."""
        architecture = {
            "backbone_config": backbone_config(self.model.text.backbone),
            "num_features": self.num_features,
        }
        return {
            WEIGHTS_FILE: weights,
            META_FILE: meta_file(architecture, story),
            **tokenizer_files(self.tokenizer),
        }


OBJECTIVE = CrossEncoderObjective
