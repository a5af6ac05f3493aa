"""A small preprocess run and predict runs as other jobs leave them, written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SIZES = {"train": 80, "valid": 40, "test": 44}


def record(split: str, row: int, random: np.random.Generator) -> dict[str, Any]:
    """One record; a word carries most of the label, length and project carry nothing."""
    label = row % 2
    told = label if random.random() < 0.85 else 1 - label
    call = "strcpy(a, b);" if told else "strlcpy(a, b, n);"
    code = f"void f{row}(char *a) {{ {call} {'x += 1; ' * int(random.integers(1, 9))}}}"
    return {
        "id": f"SAMPLE-{split.upper()}-{row}",
        "code": code,
        "language": "c",
        "tokens": [1, 2],
        "token_offsets": [[0, 4], [5, 7]],
        "ast_nodes": [1, 2],
        "edge_index": [[0, 1]],
        "edge_type": [0],
        "label": label,
        "metadata": {"group": f"{split}-commit-{row // 4}", "project": ["alpha", "beta"][row // 4 % 2]},
    }


@pytest.fixture
def records_path(tmp_path: Path) -> Path:
    """A preprocess run of three splits."""
    folder = tmp_path / "preprocess"
    folder.mkdir()
    random = np.random.default_rng(3)
    for split, size in SIZES.items():
        lines = [json.dumps(record(split, row, random)) + "\n" for row in range(size)]
        (folder / f"{split}.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture
def write_predictions(tmp_path: Path, records_path: Path) -> Callable[..., Path]:
    """Writes a predict run; ``skill`` in [0, 1] is how far its probabilities follow the label."""

    def write(*, skill: float = 0.6, splits: tuple[str, ...] = ("valid",), name: str = "predict") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        random = np.random.default_rng(11)
        for split in splits:
            lines = []
            for line in (records_path / f"{split}.jsonl").read_text().splitlines():
                entry = json.loads(line)
                probability = float(np.clip(skill * entry["label"] + (1 - skill) * random.random(), 0, 1))
                lines.append(
                    json.dumps(
                        {
                            "id": entry["id"],
                            "group": entry["metadata"]["group"],
                            "label": entry["label"],
                            "probability": probability,
                            "logits": [0.0, 0.0],
                        }
                    )
                )
            (folder / f"predictions_{split}.jsonl").write_text("\n".join(lines) + "\n")
        (folder / "result.json").write_text(json.dumps({"numbers": {"model_kind": "gnn"}}))
        return folder

    return write
