"""Generated repositories, small trees, and data sets built of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from models.data.balanced.dataset import BalancedDataset, write_dataset
from models.settings.balance import BalanceSettings
from tests.models.data.balanced.small_trees import Build, Tree, write_small_sample


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of the generated sample: ``repos/`` and ``patches.jsonl``."""
    return write_small_sample(tmp_path_factory.mktemp("generated")).parent


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Writes files below a folder of repositories."""

    def written(files: Mapping[str, str | bytes]) -> Path:
        for name, content in files.items():
            path = tmp_path / "repos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / "repos"

    return written


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Builds a data set; the folder is ``out`` unless another is named."""

    def built(root: Path, folder: str = "out", **settings: Any) -> BalancedDataset:
        return write_dataset(BalanceSettings(repos_root=root, **settings), tmp_path / folder)

    return built


@pytest.fixture
def rows_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a collection: rows, or lines as they are."""

    def written(name: str, rows: Iterable[Mapping[str, Any] | str]) -> Path:
        path = tmp_path / "collection" / f"{name}.jsonl.gz"
        path.parent.mkdir(exist_ok=True)
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
        return path

    return written
