"""All state of a training run, to bytes and back, in formats that cannot run code.

safetensors for tensors and JSON for the rest. The position is two integers because the order of the data is a pure
function (``models.training.order``).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from models.errors import ObjectCorrupt

MODEL_FILE = "model.safetensors"
OPTIMIZER_TENSORS_FILE = "optimizer.safetensors"
OPTIMIZER_FILE = "optimizer.json"
TRAINER_FILE = "trainer.json"


@dataclass
class Position:
    """Where training is and what it remembers.

    Args:
        step: Optimiser steps done.
        epoch: The present epoch, counted from 0.
        step_in_epoch: Steps of it done.
        best_score: Best validation score so far.
        best_step: The step it was reached at; its generation holds the best weights.
        num_bad_evaluations: Evaluations since without a better score.
        finished: Whether training has ended.
        stop_reason: Why it ended.
        micro_budget: Largest micro-batch, in the objective's units.
        halvings: Where memory ran out during training: the step, and the budget from there on.
        num_skipped_steps: Steps of fp16 training whose scaled gradient overflowed; they changed no weight.
        batch_size: Records per step.
        loss_sum: Sum of the losses of this epoch's steps.
        history: One entry per epoch, without times.
        sample_digest: Chained sha256 over the ordered record numbers of all steps.
        sample_digests: Its value at each epoch's end.
    """

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    best_score: float = -1.0
    best_step: int | None = None
    num_bad_evaluations: int = 0
    finished: bool = False
    stop_reason: str = ""
    micro_budget: int = 0
    halvings: list[list[int]] = field(default_factory=list)
    num_skipped_steps: int = 0
    batch_size: int = 0
    loss_sum: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    sample_digest: str = ""
    sample_digests: list[str] = field(default_factory=list)

    def to_bytes(self, schedule: dict[str, Any], scaler: dict[str, Any]) -> bytes:
        """JSON with the states of schedule and scaler beside it; floats survive exactly."""
        content = {"position": asdict(self), "schedule": schedule, "scaler": scaler}
        return json.dumps(content, sort_keys=True, indent=1).encode()


def position_from_bytes(content: bytes) -> tuple[Position, dict[str, Any], dict[str, Any]]:
    """Position, schedule state and scaler state; raises ``ObjectCorrupt`` where they are not as they were written."""
    with _as_written(TRAINER_FILE):
        read = json.loads(content)
        return Position(**read["position"]), read["schedule"], read["scaler"]


def model_to_bytes(model: nn.Module) -> bytes:
    """Parameters and persistent buffers, each shared tensor once."""
    return safetensors.torch.save(_unique_tensors(model))


def load_model(model: nn.Module, content: bytes) -> None:
    """Fill a model of the same shape.

    Raises:
        ObjectCorrupt: it is no safetensors file, or names or shapes differ.
    """
    with _as_written(MODEL_FILE):
        tensors = safetensors.torch.load(content)
    own = _unique_tensors(model)
    if tensors.keys() != own.keys():
        differing = sorted(tensors.keys() ^ own.keys())
        raise ObjectCorrupt(MODEL_FILE, "the tensors of this model", f"others: {', '.join(differing[:5])}")
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:  # copy_ would broadcast
            expected, found = (f"{name} {tuple(shape)}" for shape in (tensor.shape, tensors[name].shape))
            raise ObjectCorrupt(MODEL_FILE, expected, found)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def optimizer_to_bytes(optimizer: torch.optim.Optimizer) -> tuple[bytes, bytes]:
    """Tensors of the state by ``parameter.name``, and the groups as JSON.

    Raises:
        TypeError: the optimiser keeps something else than tensors per parameter, which would be lost.
    """
    state = optimizer.state_dict()
    tensors = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if not isinstance(value, Tensor):
                raise TypeError(f"{type(optimizer).__name__} keeps {name} as {type(value).__name__}, expected a tensor")
            tensors[f"{index}.{name}"] = value.detach().cpu().contiguous()
    return safetensors.torch.save(tensors), json.dumps(state["param_groups"], sort_keys=True).encode()


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: bytes, groups: bytes) -> None:
    """Fill an optimiser over the same parameters.

    Raises:
        ObjectCorrupt: the bytes are not those of such an optimiser.
    """
    state: dict[int, dict[str, Tensor]] = {}
    with _as_written(OPTIMIZER_TENSORS_FILE):
        for key, tensor in safetensors.torch.load(tensors).items():
            index, _, name = key.partition(".")
            state.setdefault(int(index), {})[name] = tensor
    with _as_written(OPTIMIZER_FILE):
        optimizer.load_state_dict({"state": state, "param_groups": json.loads(groups)})


def digest(content: bytes) -> str:
    """Hex sha256."""
    return hashlib.sha256(content).hexdigest()


def torch_random_states() -> list[Tensor]:
    """Random states of torch, the CPU's first; cheap enough for every step."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]


def restore_torch_random_states(states: list[Tensor]) -> None:
    """Put them back."""
    torch.set_rng_state(states[0])
    if states[1:]:
        torch.cuda.set_rng_state_all(states[1:])


def rng_file_names(rank: int) -> tuple[str, str]:
    """Names of one rank's random states: tensors and JSON."""
    return f"rng-rank{rank}.safetensors", f"rng-rank{rank}.json"


def rng_to_bytes() -> tuple[bytes, bytes]:
    """Random states of torch (all devices), NumPy and Python."""
    tensors = {"cpu": torch.get_rng_state()}
    for number, state in enumerate(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []):
        tensors[f"cuda{number:03d}"] = state
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    python_version, python_state, python_gauss = random.getstate()
    plain = {
        "numpy": [str(kind), np.asarray(keys).tolist(), int(position), int(has_gauss), float(gauss)],
        "python": [python_version, list(python_state), python_gauss],
    }
    return safetensors.torch.save(tensors), json.dumps(plain).encode()


def load_rng(tensors: bytes, plain: bytes) -> None:
    """Put all random states back.

    Raises:
        ObjectCorrupt: the bytes are not those of random states.
    """
    with _as_written("the random states"):
        states = safetensors.torch.load(tensors)
        read = json.loads(plain)
        kind, keys, position, has_gauss, gauss = read["numpy"]
        version, state, python_gauss = read["python"]
        torch.set_rng_state(states["cpu"])
        cuda = [states[name] for name in sorted(states) if name != "cpu"]
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
        np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, gauss))
        random.setstate((version, tuple(state), python_gauss))


@contextlib.contextmanager
def _as_written(file: str) -> Iterator[None]:
    """Bytes whose digests were forged too: nothing in them is run, and they are refused in words."""
    try:
        yield
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ObjectCorrupt(file, "state as it was written", repr(error)) from error


def _unique_tensors(model: nn.Module) -> dict[str, Tensor]:
    """By name; a tensor under two names is kept under its first."""
    persistent = model.state_dict(keep_vars=True)
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor.detach() for name, tensor in named if name in persistent}
