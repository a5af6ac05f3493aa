"""How much work a model is for each record, against the models that the planning figures are for. Pure, an assumption.

Matrix products are counted, at the longest record that a transformer reads: what the estimate of a model that was never
run needs, and no more. Measured runs take its place as soon as there are some.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from models.errors import SettingsInvalid
from models.settings.gnn import GnnSettings
from models.settings.text_encoder import TextEncoder
from models.settings.train import ModelSettings
from models.settings.transformer import TransformerSettings

LEAST_COST = 0.02
"""Smaller models are not faster than this: reading records and starting kernels takes its time."""
CHECKPOINTING_COST = 4 / 3
"""Of computing the forward part again for the gradient."""
DECODER_COST = 7 / 3
"""Of a decoder layer beside each encoder layer: it attends twice."""


@dataclass(frozen=True)
class EncoderSize:
    """What an encoder is made of.

    Args:
        num_layers: Its layers.
        hidden_dim: Width of a state.
        feedforward_dim: Width inside the feed-forward part.
    """

    num_layers: int
    hidden_dim: int
    feedforward_dim: int

    def products(self, num_tokens: int) -> float:
        """Multiplications for a window of so many tokens: four projections, feed-forward, scores and their sum."""
        of_token = (
            4 * self.hidden_dim**2 + 2 * self.hidden_dim * self.feedforward_dim + 2 * num_tokens * self.hidden_dim
        )
        return float(self.num_layers * num_tokens * of_token)


BASE = EncoderSize(12, 768, 3072)
BASE_TOKENS = 512
KNOWN_SIZES = {"Salesforce/codet5-small": EncoderSize(6, 512, 2048)}
"""Of backbones by name that are not of CodeBERT-base's size."""
BASE_GNN = GnnSettings()
TEXTS_OF = {"embeddings": 2, "cross_encoder": 16, "patch_ranker": 4}
"""Texts that are read for a record, about: of a pair, of a list, of a bug."""


def relative_cost(model: ModelSettings) -> float:
    """Work for a record, as a multiple of CodeBERT-base's at 512 tokens, or of the default graph network's.

    A backbone that is not at hand counts as the small encoder where settings let that be trained instead; one whose
    size nobody tells, as CodeBERT-base.

    Args:
        model: ``model`` of a train job.
    """
    if isinstance(model, TextEncoder):
        cost = _of_texts(model) * (
            model.max_windows if isinstance(model, TransformerSettings) else TEXTS_OF[model.kind]
        )
    else:
        cost = _of_gnn(model) / _of_gnn(BASE_GNN) if isinstance(model, GnnSettings) else LEAST_COST
    return max(LEAST_COST, cost)


def _of_texts(model: TextEncoder) -> float:
    """Work for one text."""
    size = _encoder_size(model)
    cost = size.products(model.max_seq_len) / BASE.products(BASE_TOKENS)
    cost *= DECODER_COST if model.reads_with == "encoder_decoder" else 1.0
    return cost * (CHECKPOINTING_COST if model.gradient_checkpointing else 1.0)


def _encoder_size(model: TextEncoder) -> EncoderSize:
    small = EncoderSize(model.small.num_layers, model.small.hidden_dim, model.small.feedforward_dim)
    if model.pretrained == "off":
        return small
    if Path(model.backbone).is_dir():
        return _size_in(Path(model.backbone))
    if model.pretrained == "auto" and not model.allow_network and not _is_cached(model):
        return small
    return KNOWN_SIZES.get(model.backbone, BASE)


def _is_cached(model: TextEncoder) -> bool:
    from models.data.backbone_files import choose_backbone

    try:
        return choose_backbone(model).files is not None
    except SettingsInvalid:  # planning says so
        return True


def _size_in(folder: Path) -> EncoderSize:
    """By a backbone's configuration, in the words of RoBERTa and BERT, or of T5."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):  # planning says so
        return BASE
    return EncoderSize(
        int(config.get("num_hidden_layers") or config.get("num_layers") or BASE.num_layers),
        int(config.get("hidden_size") or config.get("d_model") or BASE.hidden_dim),
        int(config.get("intermediate_size") or config.get("d_ff") or BASE.feedforward_dim),
    )


def _of_gnn(model: GnnSettings) -> float:
    """Multiplications for a node."""
    width = model.hidden_dim
    if model.architecture == "gcn":
        return float(model.embedding_dim * width + (model.num_layers - 1) * width**2)
    # A layer is its own product, one to a quarter of the width, and one from six relations of a quarter each.
    return float(model.embedding_dim * width + model.num_layers * width**2 * 2.75)
