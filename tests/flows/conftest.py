"""A small pipeline on generated findings that every test of the stages can afford."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.data.generated_findings import write_sample

TINY: dict[str, Any] = {
    "pretrained": "off",
    "small": {"family": "roberta", "hidden_dim": 16, "num_layers": 1, "num_heads": 2, "feedforward_dim": 32},
    "learning_rate": 3e-3,
    "schedule": "cosine",
    "max_seq_len": 64,
    "epochs": 1,
}
TINY_T5 = {**TINY, "small": {**TINY["small"], "family": "t5"}, "pooling": "mean"}


@pytest.fixture
def no_hub_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever this machine has of the hub is not seen."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture(scope="session")
def findings_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of generated findings; nobody writes into it."""
    folder = tmp_path_factory.mktemp("findings") / "raw"
    write_sample(folder, num_findings=360)
    return folder


@pytest.fixture
def stage_values(findings_path: Path, tmp_path: Path) -> dict[str, Any]:
    """Settings of any stage, as raw values: two tiny models, one trial each."""
    return {
        "findings": {"data": str(findings_path), "vocab_size": 300, "max_seq_len": 64},
        "models": {
            "roberta_tiny": {"family": "roberta", "settings": TINY},
            "t5_tiny": {"family": "t5", "settings": TINY_T5},
        },
        "grid": {"batch_size": [32]},
        "num_resamples": 200,
        "slots": 2,
        "runs": str(tmp_path / "runs"),
    }
