from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from models.errors import ObjectCorrupt
from models.training import state
from models.training.schedule import Plateau
from models.training.state import Position

numbers = st.floats(allow_nan=False)
whole = st.integers(0, 2**53)
entries = st.dictionaries(st.text(max_size=5), st.one_of(numbers, whole), max_size=4)
positions = st.builds(
    Position,
    step=whole,
    epoch=whole,
    step_in_epoch=whole,
    best_score=numbers,
    best_step=st.none() | whole,
    num_bad_evaluations=whole,
    finished=st.booleans(),
    stop_reason=st.text(max_size=8),
    micro_budget=whole,
    batch_size=whole,
    loss_sum=numbers,
    history=st.lists(entries, max_size=3),
    sample_digest=st.text(max_size=8),
    sample_digests=st.lists(st.text(max_size=8), max_size=3),
)


@given(position=positions, schedule=entries, scaler=entries)
def test_a_position_comes_back_exactly(position: Position, schedule: dict[str, Any], scaler: dict[str, Any]):
    content = position.to_bytes(schedule, scaler)
    found = state.position_from_bytes(content)
    assert found == (position, schedule, scaler)
    assert found[0].to_bytes(*found[1:]) == content


class Tied(nn.Module):
    """A model with a shared weight, a buffer, and a buffer that is not kept."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, width)
        self.norm = nn.BatchNorm1d(width)
        self.head = nn.Linear(width, 6, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("scratch", torch.zeros(3), persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.embedding(ids)))


def trained(num_steps: int = 3) -> tuple[Tied, torch.optim.AdamW]:
    torch.manual_seed(num_steps)
    model = Tied()
    groups = [{"params": [model.embedding.weight]}, {"params": list(model.norm.parameters()), "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.01, fused=True)
    for step in range(num_steps):
        optimizer.zero_grad()
        model(torch.arange(6)).pow(2).sum().backward()
        optimizer.param_groups[0]["lr"] = 0.01 / (step + 1)
        optimizer.step()
    return model, optimizer


def test_model_and_optimiser_come_back_to_the_byte_and_go_on_alike():
    model, optimizer = trained(3)
    weights, (tensors, groups) = state.model_to_bytes(model), state.optimizer_to_bytes(optimizer)
    other, other_optimizer = trained(1)
    state.load_model(other, weights)
    state.load_optimizer(other_optimizer, tensors, groups)
    for _ in range(2):
        assert state.model_to_bytes(other) == state.model_to_bytes(model)
        assert state.optimizer_to_bytes(other_optimizer) == state.optimizer_to_bytes(optimizer)
        for each, its_optimizer in ((model, optimizer), (other, other_optimizer)):
            its_optimizer.zero_grad()
            each(torch.arange(6)).pow(2).sum().backward()
            its_optimizer.step()


def test_a_shared_tensor_is_saved_once_and_stays_shared():
    import safetensors.torch

    model, _ = trained(2)
    saved = safetensors.torch.load(state.model_to_bytes(model))
    assert {"embedding.weight", "norm.running_mean"} <= saved.keys()
    assert not {"head.weight", "scratch"} & saved.keys()
    other = Tied()
    state.load_model(other, state.model_to_bytes(model))
    assert other.head.weight is other.embedding.weight
    torch.testing.assert_close(other.head.weight, model.embedding.weight)


@pytest.mark.parametrize("other", [nn.Linear(4, 6), Tied(width=5), Tied(width=1)], ids=["names", "shapes", "smaller"])
def test_weights_of_another_model_are_refused(other: nn.Module):
    with pytest.raises(ObjectCorrupt):
        state.load_model(other, state.model_to_bytes(Tied()))


def test_weights_that_would_only_fit_by_broadcasting_are_refused():
    with pytest.raises(ObjectCorrupt, match=r"weight \(3, 4\).*weight \(1, 4\)"):
        state.load_model(nn.Linear(4, 3, bias=False), state.model_to_bytes(nn.Linear(4, 1, bias=False)))


def test_an_optimiser_whose_state_would_be_lost_is_refused():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.LBFGS(model.parameters())

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = model(torch.ones(1, 2)).pow(2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with pytest.raises(TypeError, match="LBFGS keeps"):
        state.optimizer_to_bytes(optimizer)


def draws() -> tuple[Any, ...]:
    return (
        torch.rand(3).tolist(),
        torch.randn(2).tolist(),
        np.random.rand(3).tolist(),
        np.random.randn(1).tolist(),
        random.random(),
        random.gauss(0, 1),
    )


@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_all_random_streams_go_on_where_they_were(seed: int, num_draws: int):
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    for _ in range(num_draws):  # an odd number leaves the second of a Gaussian pair waiting
        draws()
    saved = state.rng_to_bytes()
    expected = draws()
    draws()
    state.load_rng(*saved)
    assert state.rng_to_bytes() == saved
    assert draws() == expected


def test_what_a_plateau_remembers_comes_back():
    def made() -> tuple[torch.optim.Optimizer, Plateau]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
        return optimizer, Plateau(optimizer, factor=0.5, patience=1)

    optimizer, plateau = made()
    scores = [0.1, 0.3, 0.2, 0.2, 0.2, 0.25, 0.31, 0.1, 0.1, 0.1]
    for score in scores[:3]:
        plateau.after_evaluation(score)
    position = Position()
    _, remembered, _ = state.position_from_bytes(position.to_bytes(plateau.state_dict(), {}))
    resumed_optimizer, resumed = made()
    resumed.load_state_dict(remembered)
    state.load_optimizer(resumed_optimizer, *state.optimizer_to_bytes(optimizer))
    rates = []
    for score in scores[3:]:
        plateau.after_evaluation(score)
        resumed.after_evaluation(score)
        rates.append(optimizer.param_groups[0]["lr"])
        assert resumed_optimizer.param_groups[0]["lr"] == rates[-1]
    assert rates == [0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125]
