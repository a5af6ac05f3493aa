"""The files of the seed under its names (``artifacts/dl/…``), copied out of finished runs for who asks for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.jobs.contract import RESULT_FILE, SETTINGS_FILE
from models.store.manifest import read_manifest
from tasks.jobs import RunReference
from tasks.retrieval_runs import RetrievalRuns
from tasks.retrieval_steps import exported_models, exported_patch_ranker

VOCABULARY_FILE = "vocab.json"
LIST_FILE = "artifacts.json"
"""Says of each file which run it is of."""
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


def put_artifacts(folder: Path | None, runs: RetrievalRuns, exported: Mapping[str, RunReference]) -> list[Path]:
    """Copy data and exported weights to ``folder``; each file is replaced whole. Gives what was written.

    Args:
        folder: Is made where it is not there; ``None``: nobody asks for the files.
        runs: What the flow ran.
        exported: Export runs by model; their files keep their names, but for the vocabulary of others than the encoder.
    """
    if folder is None:
        return []
    named: dict[str, Path] = {}
    listed: dict[str, Any] = {}
    if runs.encoder is not None:
        balanced = runs.encoder.balance
        named |= {place: balanced.run_path / name for name, place in OF_DATA.items()}
        listed |= dict.fromkeys(OF_DATA.values(), _described(balanced))
    for model, run in exported.items():
        own = {_name_of(name, model): run.run_path / name for name in _files_of(run)}
        named |= own
        listed |= dict.fromkeys(own, _described(exported_models(runs)[model]) | _left_out(model, runs))
    written = _copied(folder, named)
    return [*written, _list_of(folder, listed)]


def _described(run: RunReference) -> dict[str, str]:
    return {"kind": run.kind, "label": run.label, "run_key": run.run_key}


def _left_out(model: str, runs: RetrievalRuns) -> dict[str, str]:
    """The project that a patch ranker learnt nothing of: the one that it may be judged on."""
    if model != "patch_ranker" or runs.patches is None:
        return {}
    return {"left_out_project": exported_patch_ranker(runs.patches)[0]}


def _list_of(folder: Path, listed: Mapping[str, Any]) -> Path:
    target = folder / LIST_FILE
    temp = _temp(target)
    temp.write_text(json.dumps(dict(sorted(listed.items())), indent=2) + "\n", encoding="utf-8")
    return temp.replace(target)


def _temp(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


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
        temp = _temp(target)
        shutil.copyfile(source, temp)
        temp.replace(target)
        written.append(target)
    return written
