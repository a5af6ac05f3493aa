"""The export job: the seed's file names, tensors that plain torch reads back, equal bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from models.errors import EXIT_DONE, EXIT_REFUSED

FILES = {
    "embeddings": ("embeddings_model.safetensors", "embeddings_model.pt", "embeddings_meta.json", True),
    "reranker": ("reranker_model.safetensors", "reranker_model.pt", "reranker_meta.json", False),
    "cross_encoder": ("reranker_model.safetensors", "reranker_model.pt", "reranker_meta.json", True),
    "patch_ranker": ("patch_ranker.safetensors", "patch_ranker.pt", "patch_ranker_meta.json", True),
}


@pytest.mark.parametrize("kind", FILES)
def test_plain_torch_reads_back_the_tensors_of_the_run(
    kind: str,
    run_job: Callable[..., int],
    ranker_document: Callable[..., dict[str, Any]],
    ranked_lists: Path,
    tmp_path: Path,
):
    model_run = ranked_lists / "encoder"
    if kind != "embeddings":
        model_run = tmp_path / "run"
        assert run_job(ranker_document(kind, {"epochs": 1}), "run") == EXIT_DONE
    for folder in ("one", "other"):
        assert run_job({"kind": "export", "model_run": str(model_run)}, folder) == EXIT_DONE
    weights, name, meta, has_vocabulary = FILES[kind]
    read = torch.load(tmp_path / "one" / name, weights_only=True)
    expected = safetensors.torch.load_file(model_run / weights)
    assert type(read) is dict
    assert read.keys() == expected.keys()
    assert all(torch.equal(read[tensor], expected[tensor]) for tensor in expected)
    assert (tmp_path / "one" / meta).read_bytes() == (model_run / meta).read_bytes()
    manifests = [json.loads((tmp_path / folder / "manifest.json").read_text())["files"] for folder in ("one", "other")]
    assert manifests[0] == manifests[1]
    assert manifests[0].keys() >= {name, meta}
    assert ("vocab.json" in manifests[0]) == has_vocabulary
    if has_vocabulary:
        vocabulary = json.loads((tmp_path / "one" / "vocab.json").read_text())
        assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
        assert vocabulary["<s>"] == 0


def test_other_kinds_and_unfinished_runs_are_refused(
    run_job: Callable[..., int],
    train_document: Callable[..., dict[str, Any]],
    ranker_document: Callable[..., dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    assert run_job(train_document({"epochs": 1}), "gnn") == EXIT_DONE
    assert run_job({"kind": "export", "model_run": str(tmp_path / "gnn")}, "one") == EXIT_REFUSED
    assert "a model of kind gnn; only embeddings, reranker, cross_encoder, patch_ranker" in capsys.readouterr().err
    assert run_job(ranker_document("patch_ranker", {"epochs": 1}), "run") == EXIT_DONE
    (tmp_path / "run" / "manifest.json").unlink()
    assert run_job({"kind": "export", "model_run": str(tmp_path / "run")}, "two") == EXIT_REFUSED
    assert "is not finished" in capsys.readouterr().err
