"""A trained sequence classifier as others load it: backbone in the ecosystem's form, head, tokenizer and card."""

from __future__ import annotations

import tempfile
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from models.data.record_tokenizer import RecordTokenizer
from models.errors import ObjectCorrupt
from models.nn.backbones import only_errors_told
from models.nn.sequence_classifier import SequenceClassifier
from models.settings.transformer import TransformerSettings
from models.training.model_card import model_card
from models.training.objective import Story

MODEL_FOLDER = "best_model"
HEAD_FILE = "head.safetensors"
CARD_FILE = "README.md"
ONE_SHARD = "1TB"


def folder_files(
    model: SequenceClassifier, tokenizer: RecordTokenizer, settings: TransformerSettings, story: Story
) -> dict[str, bytes]:
    """All files of the folder by their path in the run directory."""
    with tempfile.TemporaryDirectory(prefix="codewarden-model-") as folder, only_errors_told():
        model.backbone.save_pretrained(folder, max_shard_size=ONE_SHARD)
        files = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
    files |= tokenizer.files()
    files[HEAD_FILE] = safetensors.torch.save(_head_tensors(model))
    files[CARD_FILE] = model_card(model.backbone, settings, story).encode()
    return {f"{MODEL_FOLDER}/{name}": content for name, content in files.items()}


def load_head(model: SequenceClassifier, folder: Path) -> None:
    """Fill pooling and head from a saved folder.

    Raises:
        ObjectCorrupt: the tensors are not those of this pooling and width. Not retried.
    """
    found = safetensors.torch.load((folder / HEAD_FILE).read_bytes())
    own = _head_tensors(model)
    shapes = [{name: tuple(tensor.shape) for name, tensor in tensors.items()} for tensors in (own, found)]
    if shapes[0] != shapes[1]:
        raise ObjectCorrupt(HEAD_FILE, str(shapes[0]), str(shapes[1]))
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(found[name])


def _head_tensors(model: SequenceClassifier) -> dict[str, Tensor]:
    """Everything that is not the backbone."""
    return {
        f"{part}.{name}": tensor
        for part in ("pooling", "head")
        for name, tensor in model.get_submodule(part).state_dict().items()
    }
