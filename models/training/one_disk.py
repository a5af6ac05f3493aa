"""Checkpoints of ranks on several machines, of which only that of rank 0 has the run's disk.

Their parts go to rank 0, which alone writes; what it has loaded and verified comes to them. Bytes travel as tensors:
nothing that arrives is run.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import distributed

from models.store.generations import LoadedGeneration
from models.training import state


def parts_at_first(parts: dict[str, bytes], num_ranks: int, device: torch.device) -> dict[str, bytes]:
    """At rank 0 its own parts and the random states of all ranks; at the others nothing. All ranks, together."""
    rank = distributed.get_rank()
    together = dict(parts) if rank == 0 else {}
    for source in range(1, num_ranks):
        for name in state.rng_file_names(source):
            content = _from_rank(source, parts[name] if rank == source else None, device)
            if rank == 0:
                together[name] = content
    return together


def loaded_by_first(loaded: LoadedGeneration | None, device: torch.device) -> LoadedGeneration | None:
    """The generation that rank 0 has loaded, at every rank. All ranks, together.

    Args:
        loaded: At rank 0 what it has loaded; the others give ``None``.
        device: Where collectives work.
    """
    is_first = distributed.get_rank() == 0
    told = json.loads(_from_rank(0, json.dumps(_described(loaded)).encode() if is_first else None, device))
    if told is None:
        return None
    contents: dict[str, bytes] = {}
    for part in told["parts"]:
        content = _from_rank(0, loaded.read(part) if loaded is not None else None, device)
        if not is_first:
            contents[part] = content
    if loaded is not None:
        return loaded
    return LoadedGeneration(
        **{**told, "parts": tuple(told["parts"])},
        path=Path(told["name"]),
        best_path=None,
        skipped=[],
        _read=lambda _, part: contents[part],
    )


def _described(loaded: LoadedGeneration | None) -> dict[str, object] | None:
    if loaded is None:
        return None
    return {name: getattr(loaded, name) for name in ("step", "name", "metadata", "parts", "best_step", "best_name")}


def _from_rank(source: int, content: bytes | None, device: torch.device) -> bytes:
    """The bytes that the rank ``source`` gives, at every rank."""
    size = torch.tensor(len(content) if content is not None else 0, device=device)
    distributed.broadcast(size, source)
    if not int(size):
        return b""
    if content is not None:
        buffer = torch.frombuffer(bytearray(content), dtype=torch.uint8).to(device)
    else:
        buffer = torch.empty(int(size), dtype=torch.uint8, device=device)
    distributed.broadcast(buffer, source)
    return content if content is not None else buffer.cpu().numpy().tobytes()
