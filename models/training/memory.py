"""How much memory the device has, and one step tried before the first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from models.jobs.hardware import memory_gib
from models.training.objective import Examples
from models.training.order import Indices

CPU_SHARE = 0.5
"""Share of the machine's memory that one training process on the CPU may plan with."""
CPU_ALLOCATOR = "DefaultCPUAllocator"


def device_memory_bytes(device: str) -> int:
    """Memory a training process may plan with [bytes]; whole GiB as in the build key, which then decides the plan.

    Raises:
        SettingsInvalid: the memory of the GPU cannot be told. Not retried.
    """
    return int(memory_gib(device) * 2**30 * (1.0 if device == "cuda" else CPU_SHARE))


def largest_records(examples: Examples, count: int) -> Indices:
    """The ``count`` largest records: the worst step that can come."""
    return np.argsort(-examples.sizes, kind="stable")[:count].astype(np.int64)


def least_budget(examples: Examples) -> int:
    """What the largest record alone takes: below it a smaller budget changes nothing."""
    return int(examples.sizes.max())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory does not suffice.

    On a GPU torch has a class for it; its CPU allocator raises a plain ``RuntimeError`` that only its words tell apart.
    """
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and CPU_ALLOCATOR in str(error) and "allocate memory" in str(error)
    )


def fitting_budget(try_step: Callable[[int], None], budget: int, smallest: int) -> int | None:
    """The largest of ``budget``, ``budget / 2`` … that one step survives; ``None`` where it survives none.

    Args:
        try_step: Runs forward and backward under a budget; raises when memory does not suffice.
        budget: Where to begin.
        smallest: Budget below which it makes no sense to go (one record).
    """
    while True:
        try:
            try_step(budget)
            return budget
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        if budget <= smallest:
            return None
        torch.cuda.empty_cache()
        budget = max(budget // 2, smallest)
