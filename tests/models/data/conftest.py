"""A small tokenizer and raw rows for everything that reads functions."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from models.data.generated import twin_functions
from models.data.tokenizer_files import train_tokenizer


def collapsed(code: str) -> str:
    return " ".join(code.split())


@pytest.fixture(scope="session")
def functions() -> list[str]:
    """Twelve generated C functions."""
    return [code for pair in range(6) for code in twin_functions(pair)[1:]]


@pytest.fixture(scope="session")
def tokenizer(functions: list[str]) -> Tokenizer:
    """A byte-level BPE with merges."""
    return train_tokenizer(map(collapsed, functions), vocab_size=500)


@pytest.fixture
def write_raw(tmp_path: Path) -> Callable[..., Path]:
    """Writes split files: dicts become JSON lines, bytes are lines as they are; splits not given are small and good."""

    def written(*, suffix: str = ".jsonl", **splits: Sequence[dict[str, Any] | bytes]) -> Path:
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        for split in ("train", "valid", "test"):
            rows = splits.get(split, good_rows(split))
            lines = b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)
            content = gzip.compress(lines, mtime=0) if suffix.endswith(".gz") else lines
            (folder / f"{split}{suffix}").write_bytes(content)
        return folder

    return written


def good_rows(split: str, count: int = 4) -> list[dict[str, Any]]:
    """Rows in CodeXGLUE fields; commits are those of one split only."""
    return [
        {
            "project": "p",
            "commit_id": f"{split}{number // 2}",
            "target": number % 2,
            "func": f"int {split}_{number}(char *s)\n{{\n  char b[{number + 1}];\n  strcpy(b, s);\n}}\n",
            "idx": number,
        }
        for number in range(count)
    ]
