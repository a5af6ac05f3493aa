"""The reranker as the seed asked for it to be tested: ``pytest tests/test_dl_reranker_integration.py``.

What trains is behind ``RUN_DL_TRAIN_TESTS=1``, and in ``make test-long``. Each part has a thorough test of its own
under ``tests/models``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from pydantic import ValidationError

from benchmarks.tiny_data import write_tiny_data
from models.losses.list_softmax import list_softmax
from models.nn.pair_comparison import PairComparison
from models.settings.reranking import CrossEncoderSettings, PatchRankerSettings, RerankerSettings
from models.settings.train import TrainSettings

SEEDS_DEFAULTS = {"learning_rate": 5e-4, "epochs": 10, "weight_decay": 0.01, "warmup_steps": 100, "batch_size": 16}


@pytest.mark.parametrize(
    ("settings", "defaults"),
    [
        (RerankerSettings(), SEEDS_DEFAULTS),
        (CrossEncoderSettings(), SEEDS_DEFAULTS),
        (PatchRankerSettings(), SEEDS_DEFAULTS | {"learning_rate": 5e-3, "epochs": 20}),
    ],
    ids=lambda given: getattr(given, "kind", ""),
)
def test_the_defaults_are_the_seeds(settings: Any, defaults: dict[str, Any]):
    assert {name: getattr(settings, name) for name in defaults} == defaults


def test_a_reranker_without_an_encoder_is_refused():
    with pytest.raises(ValidationError, match="give the directory of an embeddings run"):
        TrainSettings.model_validate({"train_data": "a", "val_data": "b", "model": {"kind": "reranker"}})


def test_a_step_down_the_gradient_moves_the_relevant_candidate_up():
    torch.manual_seed(1337)
    network = PairComparison(8, 1, hidden_dim=16, num_layers=2, dropout=0.0)
    query, candidates = torch.randn(1, 8).expand(4, 8), torch.randn(4, 8)
    relevant, there = torch.tensor([[0.0, 0.0, 1.0, 0.0]]), torch.ones(1, 4, dtype=torch.bool)

    def share_of_relevant() -> torch.Tensor:
        return network(query, candidates, torch.zeros(4, 1)).softmax(0)[2]

    before = float(share_of_relevant().detach())
    loss = list_softmax(network(query, candidates, torch.zeros(4, 1))[None], relevant, there).sum()
    loss.backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 0.05 * parameter.grad
    assert float(share_of_relevant().detach()) > before


@pytest.fixture(scope="module")
def trained(asked_to_train: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and an encoder; skipped where nobody asked for training."""
    folder = tmp_path_factory.mktemp("reranker")
    write_tiny_data(folder / "data")
    return folder


def run(*arguments: str | Path) -> None:
    done = subprocess.run([sys.executable, "-m", "models", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("kind", ["reranker", "cross_encoder"])
def test_from_lists_to_the_exported_reranker(trained: Path, kind: str):
    data, encoder = trained / "data", trained / "data" / "encoder"
    told = ["--train-data", data / "train_lists.jsonl", "--val-data", data / "valid_lists.jsonl", "--runs", trained]
    told += ["--epochs", "2", "--compute.device", "cpu"]
    told += ["--model.encoder", encoder] if kind == "reranker" else ["--max-seq-len", "64"]
    for folder in ("one", "other"):
        run("train", kind, *told, "--output-dir", trained / kind / folder)
    one, other = (trained / kind / folder for folder in ("one", "other"))
    assert (one / "reranker_model.safetensors").read_bytes() == (other / "reranker_model.safetensors").read_bytes()
    history = json.loads((one / "history.json").read_text())["epochs"]
    assert len(history) == 2
    assert all(0.0 < epoch["val_mrr"] <= 1.0 for epoch in history)
    run("export", "--model-run", one, "--runs", trained, "--output-dir", trained / kind / "exported")
    exported = torch.load(trained / kind / "exported" / "reranker_model.pt", weights_only=True)
    expected = safetensors.torch.load_file(one / "reranker_model.safetensors")
    assert all(torch.equal(exported[name], expected[name]) for name in expected)
    assert (trained / kind / "exported" / "reranker_meta.json").is_file()
