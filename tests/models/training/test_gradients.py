from __future__ import annotations

import torch
from torch import nn

from models.training.gradients import FlatGradients


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


def loss_of(model: nn.Module, seed: int = 1) -> torch.Tensor:
    inputs = torch.randn(7, 3, generator=torch.Generator().manual_seed(seed))
    return model(inputs).pow(2).sum() * 50


def test_the_views_stay_views_when_the_optimiser_steps_and_gradients_are_cleared():
    model = small_model()
    gradients = FlatGradients(model.parameters(), num_extra=3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    for _ in range(3):
        gradients.clear()
        loss_of(model).backward()
        optimizer.step()
    first = gradients.gradient.data_ptr()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert first <= parameter.grad.data_ptr() < first + gradients.gradient.nbytes
    gradients.gradient.fill_(7.0)
    assert all((parameter.grad == 7.0).all() for parameter in model.parameters())


def test_parts_add_up_to_the_gradient_that_autograd_gives_for_their_sum():
    model, twin = small_model(), small_model()
    gradients = FlatGradients(model.parameters(), num_extra=1)
    for seed in (1, 2):
        loss_of(model, seed).backward()
    (loss_of(twin, 1) + loss_of(twin, 2)).backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in twin.parameters()])
    torch.testing.assert_close(gradients.gradient, expected, rtol=1e-6, atol=1e-5)


def test_clearing_zeroes_the_numbers_that_travel_beside():
    gradients = FlatGradients(small_model().parameters(), num_extra=2)
    gradients.extra += 1.0
    gradients.clear()
    assert gradients.extra.tolist() == [0.0, 0.0]


def test_clipping_is_that_of_torch_above_and_below_the_limit():
    for limit in (0.5, 1e6):
        model, twin = small_model(), small_model()
        gradients = FlatGradients(model.parameters(), num_extra=3)
        gradients.extra.fill_(1e9)  # no part of the norm
        loss_of(model).backward()
        loss_of(twin).backward()
        norm = gradients.clip(limit)
        expected = nn.utils.clip_grad_norm_(twin.parameters(), limit)
        torch.testing.assert_close(norm, expected)
        for parameter, other in zip(model.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(parameter.grad, other.grad)


def test_frozen_parameters_are_left_out():
    model = small_model()
    model[0].weight.requires_grad_(False)
    gradients = FlatGradients(model.parameters(), num_extra=0)
    assert gradients.gradient.numel() == 5 + 10 + 2
    assert model[0].weight.grad is None
