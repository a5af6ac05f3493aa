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


def finding_row(number: int = 0, tech: str = "ansible", **changes: Any) -> dict[str, Any]:
    """A row of findings, the flagged line amid four others; two rows a file, one of them true."""
    file, line, content = f"{tech}-{number // 2}.yml", 10 + number, f"  password: s3cret{number}"
    around = [f"- name: user {number}", "  # kept by hand", f"{line}: {content}", f"{line + 1}:   state: present", ""]
    return {
        "smell": "hard_coded_secret",
        "file": file,
        "content": content.strip(),
        "line": line,
        "with_context": "\n".join([f"# {tech.title()} file: {file}", "", *around]),
        "label": ("FP", "TP")[number % 2],
        "source": "by hand",
        "tech": tech,
        "in_combined": True,
    } | changes


def finding_lines(rows: Sequence[dict[str, Any] | bytes]) -> bytes:
    """Dicts become JSON lines, bytes are lines as they are."""
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


def good_finding_sets() -> dict[str, list[dict[str, Any]]]:
    """Rows by name of their file in the folder; no file is in two sets."""
    return {
        "train": [finding_row(number, tech) for tech in ("ansible", "chef") for number in range(12)],
        "val": [finding_row(number) for number in range(20, 26)],
        "test/ansible": [finding_row(number) for number in range(40, 44)],
        "test/chef": [finding_row(number, "chef") for number in range(60, 64)],
    }


@pytest.fixture(scope="session")
def row_of() -> Callable[..., dict[str, Any]]:
    """``finding_row``."""
    return finding_row


@pytest.fixture
def write_findings(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder of findings; sets that are not given are small and good, and those given as ``None`` left out."""

    def written(
        sets: dict[str, Sequence[dict[str, Any] | bytes] | None] | None = None,
        *,
        suffix: str = ".jsonl",
        folder: str = "findings",
    ) -> Path:
        path = tmp_path / folder
        (path / "test").mkdir(parents=True)
        for name, rows in (good_finding_sets() | (sets or {})).items():
            if rows is not None:
                lines = finding_lines(rows)
                content = gzip.compress(lines, mtime=0) if suffix.endswith(".gz") else lines
                (path / f"{name}{suffix}").write_bytes(content)
        return path

    return written
