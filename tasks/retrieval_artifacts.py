"""The files of the seed under its names (``artifacts/dl/…``), copied out of finished runs for who asks for them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from models.jobs.contract import RESULT_FILE, SETTINGS_FILE
from models.store.manifest import read_manifest
from tasks.jobs import RunReference

VOCABULARY_FILE = "vocab.json"
BALANCED_FOLDER = "balanced"
OF_DATA = {
    "train.jsonl": f"{BALANCED_FOLDER}/train.jsonl",
    "val.jsonl": f"{BALANCED_FOLDER}/val.jsonl",
    "test.jsonl": f"{BALANCED_FOLDER}/test.jsonl",
    "stats.json": f"{BALANCED_FOLDER}/stats.json",
    "pairs.jsonl": "pairs.jsonl",
    "triples.jsonl": "triples.jsonl",
}
"""Where each file of a balance run goes."""


def put_artifacts(
    folder: Path | None, *, balanced: RunReference | None, exported: Mapping[str, RunReference]
) -> list[Path]:
    """Copy data and exported weights to ``folder``; each file is replaced whole. Gives what was written.

    Args:
        folder: Is made where it is not there; ``None``: nobody asks for the files.
        balanced: The balance run; ``None``: there is none.
        exported: Export runs by model; their files keep their names, but for the vocabulary of others than the encoder.
    """
    if folder is None:
        return []
    named: dict[str, Path] = {}
    if balanced is not None:
        named |= {place: balanced.run_path / name for name, place in OF_DATA.items()}
    for model, run in exported.items():
        named |= {_name_of(name, model): run.run_path / name for name in _files_of(run)}
    return _copied(folder, named)


def _name_of(name: str, model: str) -> str:
    """``vocab.json`` is the encoder's, as in the seed; patches are read in tokens of their own."""
    return f"{model}_{name}" if name == VOCABULARY_FILE and model != "embeddings" else name


def _files_of(run: RunReference) -> list[str]:
    manifest = read_manifest(run.run_path)
    assert manifest is not None, "an export run is finished"
    return sorted(set(manifest.files) - {RESULT_FILE, SETTINGS_FILE})


def _copied(folder: Path, named: Mapping[str, Path]) -> list[Path]:
    written = []
    for name, source in named.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        temp = target.with_name(f".{target.name}.part")
        shutil.copyfile(source, temp)
        temp.replace(target)
        written.append(target)
    return written
