"""The patch ranker as the engine sees it: candidate patches of a bug, their edits as text and as features."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from models.data.record_tokenizer import RecordTokenizer
from models.data.retrieval.candidate_lists import read_lists
from models.data.retrieval.texts import Texts
from models.errors import SettingsInvalid
from models.jobs.contract import JobContext
from models.nn.backbones import backbone_config, configured_backbone
from models.nn.patch_ranker import PatchRanker
from models.nn.pooled_text import PooledText
from models.settings.reranking import PatchRankerSettings
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.settings.train import TrainSettings
from models.training import state
from models.training.objective import Story
from models.training.order import Indices
from models.training.ranked_lists import Candidates, RankedLists, require_mixed
from models.training.ranker_files import meta_file, read_architecture, tokenizer_files
from models.training.ranking import Ranking
from models.training.text_backbone import begin_backbone

WEIGHTS_FILE = "patch_ranker.safetensors"
META_FILE = "patch_ranker_meta.json"
NO_BACKBONE = {"identity": "none: features alone", "family": "none", "pretrained": False, "reason": ""}


class PatchRankerObjective(Ranking):
    """Rank patches of a bug by text and features of their edits.

    The loss is listwise, beside a share that judges each candidate alone: a bug whose candidates are all right, or all
    wrong, teaches by that share only.

    Args:
        settings: What is read, backbone, pooling, loss and optimisation.
        tokenizer: The tokenizer that made the texts.
        backbone: What reads them; ``None``: features alone.
        num_features: Numbers of each edit, in the lists that it learns from.
        identity: What the backbone began from, for the result.
        notices: What a person must be told.
    """

    model: PatchRanker
    WEIGHTS_FILES = (WEIGHTS_FILE,)

    def __init__(
        self,
        settings: PatchRankerSettings,
        tokenizer: RecordTokenizer,
        backbone: PreTrainedModel | None,
        *,
        num_features: int,
        identity: dict[str, Any],
        notices: tuple[str, ...] = (),
    ) -> None:
        super().__init__(
            settings,
            budget=settings.token_budget,
            num_features=num_features,
            pointwise_share=settings.pointwise_share,
        )
        self.ranker_settings = settings
        self.tokenizer = tokenizer
        self.notices = notices
        self._identity = identity
        text = None
        if backbone is not None:
            text = PooledText(backbone, reads_with=settings.reads_with, pooling=settings.pooling)
        self._num_read = 0 if settings.reads == "text" else num_features
        self.model = PatchRanker(text, self._num_read, hidden_dim=settings.hidden_dim, dropout=settings.dropout)

    @classmethod
    def untrained(cls, settings: TrainSettings, context: JobContext) -> Self:
        """Pretrained weights where they can be had, else the small encoder (an embedding layer by default).

        Raises:
            SettingsInvalid: no backbone where one is required, one that does not fit records or settings, or features
                are to be read and there are none. Not retried.
            DataInvalid: the lists of validation can choose nothing, or the texts cannot be read. Not retried.
            BuildDiffers: what is at hand is not what was settled on when the run was named. Not retried.
            StoreUnavailable: the hub did not answer for weights that were settled on. Retried.
        """
        model = settings.model
        assert isinstance(model, PatchRankerSettings)
        assert settings.tokenizer is not None
        assert settings.texts is not None
        require_mixed(settings.val_data)
        num_features = len(read_lists(settings.train_data, limit=1)[0].features[0])
        if num_features == 0 and model.reads != "text":
            raise SettingsInvalid(f"model.reads {model.reads}: {settings.train_data} has no features; give text")
        tokenizer = RecordTokenizer.read(settings.tokenizer)
        if model.reads == "features":
            objective = cls(model, tokenizer, None, num_features=num_features, identity=NO_BACKBONE)
        else:
            backbone, identity, notices = begin_backbone(model, tokenizer, context)
            objective = cls(model, tokenizer, backbone, num_features=num_features, identity=identity, notices=notices)
        objective.read_texts(settings.texts)
        return objective

    @classmethod
    def trained(cls, settings: PatchRankerSettings, run_path: Path) -> Self:
        """The best model of a finished run; it has no texts yet.

        Raises:
            ObjectCorrupt: its files do not fit each other. Not retried.
        """
        config, num_features = read_architecture(run_path / META_FILE, "backbone_config", "num_features")
        backbone = None if config is None else configured_backbone(config, reads_with=settings.reads_with)
        tokenizer = RecordTokenizer.read(run_path / TOKENIZER_FOLDER)
        objective = cls(settings, tokenizer, backbone, num_features=num_features, identity={})
        state.load_model(objective.model, (run_path / WEIGHTS_FILE).read_bytes())
        return objective

    def open_texts(self, path: Path) -> Texts:
        """Edits up to their longest read length."""
        vocab_size = None if self.model.text is None else int(self.model.text.backbone.config.vocab_size)
        return Texts.open(path, self.tokenizer.folder, self.ranker_settings.max_seq_len, vocab_size=vocab_size)

    def resolve(self, settings: PatchRankerSettings, examples: RankedLists, device: str) -> PatchRankerSettings:  # noqa: ARG002
        """The settings; the model is told mean and deviation of the features of the lists that are learnt from."""
        numbers = examples.candidates_of(np.arange(len(examples), dtype=np.int64))
        self.model.features.learn(self._features(examples.candidates, numbers))
        return settings

    def candidate_sizes(self, query: Indices, text: Indices) -> Indices:  # noqa: ARG002
        """Tokens of the edit; 1 where none are read."""
        return np.ones_like(text) if self.model.text is None else self.texts.lengths[text]

    def candidate_scores(self, candidates: Candidates, numbers: Indices) -> Tensor:
        """``(len(numbers),)`` of text and features."""
        features_KF = self._features(candidates, numbers)
        if self.model.text is None:
            return self._scores(None, None, features_KF)
        batch = self.texts.batch(candidates.text[numbers]).to(self.device)
        return self._scores(batch.ids_WT, batch.mask_WT, features_KF)

    def facts(self, examples: RankedLists) -> dict[str, Any]:
        """What was trained, and on what lists."""
        settings = self.ranker_settings
        reading = {
            "reads_with": settings.reads_with,
            "pooling": settings.pooling,
            "max_seq_len": settings.max_seq_len,
            "records": self.tokenizer.reading,
        }
        told = {"reads": settings.reads, "pointwise_share": settings.pointwise_share}
        return super().facts(examples) | told | {"backbone": self._identity | reading}

    def export(self, weights: bytes, run_path: Path, story: Story) -> dict[str, bytes]:  # noqa: ARG002
        """The weights (with mean and deviation of features), how to build the model again, and the tokenizer."""
        text = self.model.text
        architecture = {
            "backbone_config": None if text is None else backbone_config(text.backbone),
            "num_features": self.num_features,
        }
        return {
            WEIGHTS_FILE: weights,
            META_FILE: meta_file(architecture, story),
            **tokenizer_files(self.tokenizer),
        }

    def _features(self, candidates: Candidates, numbers: Indices) -> Tensor:
        """``(len(numbers), F)``, those that are read."""
        return torch.from_numpy(candidates.features[numbers, : self._num_read]).to(self.device)

    def _scores(self, ids_KT: Tensor | None, mask_KT: Tensor | None, features_KF: Tensor) -> Tensor:
        scores_K: Tensor = self.model(ids_KT, mask_KT, features_KF)
        return scores_K


OBJECTIVE = PatchRankerObjective
