"""Learning rates that rise first and then fall to 0, as transformers has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from models.training.schedule import Stepwise

SHAPES: dict[str, Callable[[Optimizer, int, int], LRScheduler]] = {
    "linear": get_linear_schedule_with_warmup,
    "cosine": get_cosine_schedule_with_warmup,
}


def warmed_up(
    optimizer: Optimizer,
    shape: Literal["linear", "cosine"],
    *,
    warmup_ratio: float,
    warmup_steps: int | None,
    num_steps: int,
) -> Stepwise:
    """A rate that rises linearly, then falls to 0 at the last step there can be.

    Args:
        optimizer: Has the rate at the top.
        shape: How it falls: linearly, or by half a cosine.
        warmup_ratio: Share of all steps in which it rises.
        warmup_steps: Steps of the rise in place of the share; at most half of all are taken [steps].
        num_steps: Steps there can be [steps].
    """
    taken = round(warmup_ratio * num_steps) if warmup_steps is None else min(warmup_steps, num_steps // 2)
    notices: tuple[str, ...] = ()
    if warmup_steps is not None and taken < warmup_steps:
        notices = (f"warmup_steps {warmup_steps} of at most {num_steps} steps: {taken} taken",)
    facts = {"shape": shape, "num_warmup_steps": taken, "num_steps": num_steps}
    return Stepwise(SHAPES[shape](optimizer, taken, num_steps), facts=facts, notices=notices)
