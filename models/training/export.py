"""The ``export`` job: a trained encoder, reranker or patch ranker under the seed's file names.

Weights as ``torch.save`` of a plain dict of tensors, which ``torch.load(…, weights_only=True)`` reads; the model's own
story as JSON; and where it reads tokens, its vocabulary.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from tokenizers import Tokenizer

from models.data.tokenizer_files import TOKENIZER_FILE
from models.errors import SettingsInvalid
from models.jobs.contract import MANIFEST_FILE, JobContext, JobResult
from models.jobs.registry import train_settings_of
from models.settings.retrieval import ExportSettings
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.store.filesystem import LocalFilesystem, write_synced
from models.store.manifest import read_manifest, verify_manifest
from models.training.objective import Objective

VOCABULARY_FILE = "vocab.json"


class Exported(NamedTuple):
    """Files of a model kind: its weights, what they are exported as, and its story."""

    weights: str
    name: str
    meta: str


RERANKER = Exported("reranker_model.safetensors", "reranker_model.pt", "reranker_meta.json")
EXPORTED = {
    "embeddings": Exported("embeddings_model.safetensors", "embeddings_model.pt", "embeddings_meta.json"),
    "reranker": RERANKER,
    "cross_encoder": RERANKER,
    "patch_ranker": Exported("patch_ranker.safetensors", "patch_ranker.pt", "patch_ranker_meta.json"),
}
"""By kind of model."""


def run(settings: ExportSettings, context: JobContext, *, objective_class: type[Objective]) -> JobResult:  # noqa: ARG001
    """Leave the files; equal runs give equal bytes.

    Raises:
        SettingsInvalid: The run trained a model of another kind, or is not finished. Not retried.
        ObjectCorrupt: A file of it is not what it wrote. Not retried.
    """
    context.enter("write")
    model_run, kind = settings.model_run, train_settings_of(settings).model.kind
    if kind not in EXPORTED:
        raise SettingsInvalid(
            f"model_run: {model_run} trained a model of kind {kind}; only {', '.join(EXPORTED)} are exported"
        )
    if not (model_run / MANIFEST_FILE).exists():
        raise SettingsInvalid(f"model_run: {model_run} is not finished (no {MANIFEST_FILE}); finish it first")
    verify_manifest(model_run)
    manifest = read_manifest(model_run)
    assert manifest is not None
    exported = EXPORTED[kind]
    tensors = safetensors.torch.load((model_run / exported.weights).read_bytes())
    files = {exported.name: saved_tensors(tensors), exported.meta: (model_run / exported.meta).read_bytes()}
    files |= _vocabulary(model_run)
    disk = LocalFilesystem()
    for name, content in files.items():
        write_synced(disk, context.run_path / name, content, temp_folder=context.run_path / ".temp")
    numbers = {
        "model_kind": kind,
        "model_run_key": manifest.run_key,
        "num_tensors": len(tensors),
        "num_values": sum(tensor.numel() for tensor in tensors.values()),
    }
    return JobResult(numbers=numbers, files=tuple(files))


def saved_tensors(tensors: dict[str, torch.Tensor]) -> bytes:
    """``torch.save`` of the tensors in the order of their names; in memory, for a file's name would be in it."""
    buffer = io.BytesIO()
    torch.save({name: tensors[name] for name in sorted(tensors)}, buffer)
    return buffer.getvalue()


def _vocabulary(run_path: Path) -> dict[str, bytes]:
    """Tokens and their ids; nothing for a model that reads none itself."""
    if (run_path / VOCABULARY_FILE).is_file():
        return {VOCABULARY_FILE: (run_path / VOCABULARY_FILE).read_bytes()}
    path = run_path / TOKENIZER_FOLDER / TOKENIZER_FILE
    if not path.is_file():
        return {}
    vocabulary = Tokenizer.from_str(path.read_bytes().decode()).get_vocab()
    by_id = dict(sorted(vocabulary.items(), key=lambda item: (item[1], item[0])))
    return {VOCABULARY_FILE: json.dumps(by_id, ensure_ascii=False, indent=0).encode() + b"\n"}
