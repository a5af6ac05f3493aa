"""Records that jobs travel with."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.tiny_data import write_tiny_data


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records, tokenizer and a backbone in a folder whose name would do harm in a shell; nobody writes into it."""
    folder = tmp_path_factory.mktemp("records") / 'it\'s "quoted" $(touch touched)\n`x`'
    write_tiny_data(folder, num_functions=60)
    return folder
