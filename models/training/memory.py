"""How much memory the device has, and one step tried before the first."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import torch

from models.training.objective import Examples
from models.training.order import Indices

CPU_SHARE = 0.5
"""Share of the machine's memory that one training process on the CPU may plan with."""


def device_memory_bytes(device: str) -> int:
    """Memory a training process may plan with [bytes]."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * CPU_SHARE)


def largest_records(examples: Examples, count: int) -> Indices:
    """The ``count`` largest records: the worst step that can come."""
    return np.argsort(-examples.sizes, kind="stable")[:count].astype(np.int64)


def fitting_budget(try_step: Callable[[int], None], budget: int, smallest: int) -> int:
    """The largest of ``budget``, ``budget / 2`` … that one step survives.

    Args:
        try_step: Runs forward and backward under a budget; raises when memory does not suffice.
        budget: Where to begin.
        smallest: Budget below which it makes no sense to go (one record).

    Raises:
        torch.OutOfMemoryError: even one record at a time does not fit.
    """
    while True:
        try:
            try_step(budget)
            return budget
        except torch.OutOfMemoryError:
            if budget <= smallest:
                raise
            torch.cuda.empty_cache()
            budget = max(budget // 2, smallest)
