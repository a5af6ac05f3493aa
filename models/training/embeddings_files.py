"""A trained dual encoder as files: weights, what they belong to, vocabulary, tokenizer; and back again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from models.data.record_tokenizer import RecordTokenizer
from models.data.tokenizer_files import TOKENIZER_FILE
from models.errors import SettingsInvalid
from models.nn.backbones import backbone_config, configured_backbone
from models.nn.dual_encoder import DualEncoder, TextTower
from models.nn.pooled_text import PooledText
from models.settings.contrastive import EmbeddingsSettings
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.training import state
from models.training.objective import Story

WEIGHTS_FILE = "embeddings_model.safetensors"
META_FILE = "embeddings_meta.json"
VOCAB_FILE = "vocab.json"
FORMAT = "codewarden-embeddings/1"


def model_files(
    weights: bytes, model: DualEncoder, tokenizer: RecordTokenizer, settings: EmbeddingsSettings, story: Story
) -> dict[str, bytes]:
    """All files by their path in the run directory."""
    meta = {
        "format": FORMAT,
        "backbone": backbone_config(model.backbone),
        "reads_with": settings.reads_with,
        "pooling": settings.pooling,
        "towers": settings.towers,
        "embedding_dim": settings.embedding_dim,
        "max_seq_len": settings.max_seq_len,
        "temperature": model.temperature,
        "tokenizer_sha256": tokenizer.content_sha256,
        "reading": tokenizer.reading,
        "question": story.question,
        "best": story.best,
        "facts": story.facts,
    }
    vocabulary = Tokenizer.from_file(str(tokenizer.folder / TOKENIZER_FILE)).get_vocab()
    by_number = dict(sorted(vocabulary.items(), key=lambda entry: entry[1]))
    files = {f"{TOKENIZER_FOLDER}/{name}": content for name, content in tokenizer.files().items()}
    return {
        WEIGHTS_FILE: weights,
        # Sorted: a history that was restored from a checkpoint has its keys in another order.
        META_FILE: (json.dumps(meta, indent=1, sort_keys=True) + "\n").encode(),
        VOCAB_FILE: (json.dumps(by_number, indent=1, ensure_ascii=False) + "\n").encode(),
        **files,
    }


def saved_encoder(run_path: Path) -> DualEncoder:
    """The encoder as :func:`model_files` left it. Nothing but JSON and safetensors is read.

    Raises:
        SettingsInvalid: the meta file is missing or not understood. Not retried.
        ObjectCorrupt: the weights are of another encoder. Not retried.
    """
    meta = read_meta(run_path)
    backbone = configured_backbone(meta["backbone"], reads_with=meta["reads_with"])
    text = PooledText(backbone, reads_with=meta["reads_with"], pooling=meta["pooling"])
    model = DualEncoder(
        TextTower(text, meta["embedding_dim"]),
        separate=meta["towers"] == "separate",
        temperature=meta["temperature"],
        learns_temperature=True,
    )
    state.load_model(model, (run_path / WEIGHTS_FILE).read_bytes())
    return model.eval()


def read_meta(run_path: Path) -> dict[str, Any]:
    """What a run says of its encoder.

    Raises:
        SettingsInvalid: the file is missing or of another form. Not retried.
    """
    path = run_path / META_FILE
    try:
        meta = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"{path} cannot be read ({error}); give a finished embeddings run") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise SettingsInvalid(f"{path} is no {FORMAT}; give a finished embeddings run")
    return meta
