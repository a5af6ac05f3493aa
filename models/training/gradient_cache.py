"""Steps whose loss needs all embeddings at once, in memory for a few: the gradient cache.

All texts are read without keeping anything, the loss is taken of their embeddings, and then each micro-batch is read
again, now with its states, and given the gradient of its embeddings. Random states are put back before the second
reading, so that dropout is the same; the gradient is that of one pass. Where a step fits, its texts are read once and
their states kept.

Source: Gao et al. 2021, arXiv:2101.06983.

Shape letters: R texts of a step, E width of an embedding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, distributed

from models.training import state
from models.training.memory import is_out_of_memory
from models.training.order import Indices

Encode = Callable[[Indices], Tensor]
"""Rows of a step's texts to their ``(len(rows), E)`` embeddings, with gradients where they are enabled."""


class _Reading(NamedTuple):
    """A micro-batch that was read; ``kept`` where its states were."""

    rows: Indices
    random_states: list[Tensor]
    kept: Tensor | None


class GradientCache:
    """This rank's texts of one step.

    Args:
        encode: Reads a micro-batch.
        parts: Micro-batches, each rows of the step's texts.
        keeps_states: Whether all states are kept, and nothing is read twice.
    """

    def __init__(self, encode: Encode, parts: Sequence[Indices], *, keeps_states: bool) -> None:
        self._encode = encode
        self._parts = parts
        self._keeps_states = keeps_states
        self._readings: deque[_Reading] = deque()

    def fill(self, embeddings_RE: Tensor) -> None:
        """Write the embeddings of this rank's rows where they belong."""
        for rows in self._parts:
            random_states = state.torch_random_states()
            with torch.set_grad_enabled(self._keeps_states):
                found = self._encode(rows)
            embeddings_RE[torch.from_numpy(rows).to(embeddings_RE.device)] = found.detach()
            self._readings.append(_Reading(rows, random_states, found if self._keeps_states else None))

    def surrogates(self, gradient_RE: Tensor) -> Iterator[Tensor]:
        """A scalar for each micro-batch whose backward pass adds what ``gradient_RE`` says of its rows.

        A part's states are free once its backward pass is done and the next one is asked for.
        """
        # Autocast remembers weights that it converted without gradients, and would take these again.
        torch.clear_autocast_cache()
        random_states = state.torch_random_states()
        while self._readings:
            yield self._surrogate(self._readings.popleft(), gradient_RE)
        if not self._keeps_states:
            state.restore_torch_random_states(random_states)

    def _surrogate(self, reading: _Reading, gradient_RE: Tensor) -> Tensor:
        embeddings = reading.kept
        if embeddings is None:
            state.restore_torch_random_states(reading.random_states)
            embeddings = self._encode(reading.rows)
        return (embeddings * gradient_RE[torch.from_numpy(reading.rows).to(gradient_RE.device)]).sum()


def filled_by_all_ranks(cache: GradientCache, shape: tuple[int, int], device: torch.device) -> Tensor:
    """``(R, E)`` embeddings of all texts of a step, those of other ranks too.

    Each row is one rank's numbers plus zeros: exact. A rank whose memory does not suffice comes all the same, or the
    others would wait for it for ever, and then all of them say so.

    Args:
        cache: This rank's.
        shape: ``R`` and ``E``.
        device: Where they are wanted.

    Raises:
        torch.OutOfMemoryError: on this rank or another one.
    """
    if not distributed.is_initialized():
        embeddings_RE = torch.zeros(shape, device=device)
        cache.fill(embeddings_RE)
        return embeddings_RE
    flat = torch.zeros(shape[0] * shape[1] + 1, device=device)
    embeddings_RE, out_of_memory = flat[:-1].view(shape), flat[-1]
    try:
        cache.fill(embeddings_RE)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        out_of_memory.fill_(1.0)
    distributed.all_reduce(flat)
    if out_of_memory:
        raise torch.OutOfMemoryError("no rank goes on with texts that did not all fit")
    return embeddings_RE
