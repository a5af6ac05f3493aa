"""One base seed, and one derived for each purpose: initialisation, order, dropout of each rank."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def derived_seed(seed: int, *purpose: str | int) -> int:
    """A seed in [0, 2**63) that depends on ``seed`` and ``purpose`` alone."""
    text = ":".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # libraries below us use the global generator
    torch.manual_seed(seed)
