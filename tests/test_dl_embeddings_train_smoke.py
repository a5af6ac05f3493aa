"""The embeddings model as the seed asked for it to be tested: ``pytest tests/test_dl_embeddings_train_smoke.py``.

What trains is behind ``RUN_DL_TRAIN_TESTS=1``, and in ``make test-long``. Each part has a thorough test of its own
under ``tests/models``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from benchmarks.tiny_data import write_tiny_data
from models.losses.info_nce import symmetric_info_nce
from models.settings.contrastive import EmbeddingsSettings

SEEDS_DEFAULTS = {"learning_rate": 5e-4, "epochs": 10, "weight_decay": 0.01, "warmup_steps": 100, "batch_size": 16}


def test_the_defaults_are_the_seeds():
    settings = EmbeddingsSettings()
    assert {name: getattr(settings, name) for name in SEEDS_DEFAULTS} == SEEDS_DEFAULTS
    assert (settings.pretrained, settings.allow_network) == ("off", False)
    assert settings.small.num_layers == 0, "the fallback is a learned embedding layer"


def test_a_step_down_the_gradient_brings_a_pair_together():
    torch.manual_seed(1337)
    vectors = torch.nn.functional.normalize(torch.randn(6, 8), dim=1).requires_grad_()
    match = torch.arange(3)
    losses = symmetric_info_nce(vectors[:3], vectors[3:], torch.tensor(14.0), match_P=match, match_T=match)
    (gradient,) = torch.autograd.grad(losses.mean(), vectors)
    after = torch.nn.functional.normalize(vectors.detach() - 0.1 * gradient, dim=1)
    cosines = [float((rows[:3] * rows[3:]).sum().detach()) for rows in (vectors, after)]
    assert cosines[1] > cosines[0]


@pytest.fixture(scope="module")
def data(asked_to_train: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of texts and pairs; skipped where nobody asked for training."""
    folder = tmp_path_factory.mktemp("embeddings") / "data"
    write_tiny_data(folder)
    return folder


def run(*arguments: str | Path) -> str:
    done = subprocess.run([sys.executable, "-m", "models", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.long
def test_from_pairs_to_the_exported_encoder(data: Path):
    runs = data.parent
    told = ["--train-data", data / "train_pairs.jsonl", "--val-data", data / "valid_pairs.jsonl", "--runs", runs]
    told += ["--epochs", "2", "--max-pairs", "50", "--compute.device", "cpu"]
    for folder in ("one", "other"):
        run("train", "embeddings", *told, "--output-dir", runs / folder)
    one, other = runs / "one", runs / "other"
    assert (one / "embeddings_model.safetensors").read_bytes() == (other / "embeddings_model.safetensors").read_bytes()
    history = json.loads((one / "history.json").read_text())["epochs"]
    assert len(history) == 2
    assert all(0.0 < epoch["val_mrr"] <= 1.0 for epoch in history)
    assert json.loads((one / "result.json").read_text())["numbers"]["num_train"] == 50
    run("export", "--model-run", one, "--runs", runs, "--output-dir", runs / "exported")
    exported = torch.load(runs / "exported" / "embeddings_model.pt", weights_only=True)
    expected = safetensors.torch.load_file(one / "embeddings_model.safetensors")
    assert all(torch.equal(exported[name], expected[name]) for name in expected)
    for name in ("embeddings_meta.json", "vocab.json"):
        assert (runs / "exported" / name).is_file()


@pytest.mark.long
def test_a_missing_pretrained_model_is_announced_and_something_is_trained_all_the_same(data: Path):
    told = ["--train-data", data / "train_pairs.jsonl", "--val-data", data / "valid_pairs.jsonl", "--runs", data.parent]
    told += ["--epochs", "1", "--compute.device", "cpu", "--model.pretrained", "auto"]
    said = run(
        "train", "embeddings", *told, "--model.backbone", "nobody/nothing", "--output-dir", data.parent / "fallen"
    )
    assert "NOT PRETRAINED" in said
    backbone = json.loads((data.parent / "fallen" / "result.json").read_text())["numbers"]["backbone"]
    assert (backbone["pretrained"], backbone["reason"]) == (False, "the pretrained weights were not at hand")
