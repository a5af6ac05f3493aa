from __future__ import annotations

import pytest
import torch

from models.nn.dropout import Dropout, dropout, rectified_dropout


def drawn(function: object, states: torch.Tensor, rate: float = 0.3) -> torch.Tensor:
    torch.manual_seed(5)
    result: torch.Tensor = function(states, rate, training=True)  # type: ignore[operator]
    return result


def test_it_drops_the_share_that_is_asked_for_and_keeps_the_mean():
    states = torch.ones(400, 500)
    found = drawn(dropout, states)
    assert (found == 0).double().mean().item() == pytest.approx(0.3, abs=0.005)
    assert found.double().mean().item() == pytest.approx(1.0, abs=0.01)
    torch.testing.assert_close(found[found != 0], torch.full_like(found[found != 0], 1 / 0.7), rtol=1e-4, atol=0)


@pytest.mark.parametrize("function", [dropout, rectified_dropout])
@pytest.mark.parametrize("shape", [(7, 5), (1, 3), (0, 4), (33,)])
def test_the_gradient_passes_where_the_state_passed(function: object, shape: tuple[int, ...]):
    states = torch.randn(shape, dtype=torch.double, requires_grad=True)
    found = drawn(function, states)
    (gradient,) = torch.autograd.grad(found.sum(), states)
    passed = found != 0
    torch.testing.assert_close(gradient[passed], (found / states)[passed].detach())
    assert not gradient[~passed].any()


def test_the_rectified_form_is_dropout_after_relu():
    states = torch.randn(20, 30)
    assert torch.equal(drawn(rectified_dropout, states), drawn(dropout, states.relu()))


def test_the_masks_come_from_torch_s_generator_and_go_on_after_it_is_put_back():
    states = torch.ones(11, 13)
    torch.manual_seed(1)
    dropout(states, 0.5, training=True)
    saved = torch.get_rng_state()
    second = dropout(states, 0.5, training=True)
    third = dropout(states, 0.5, training=True)
    torch.set_rng_state(saved)
    assert torch.equal(dropout(states, 0.5, training=True), second)
    assert not torch.equal(second, third)


@pytest.mark.parametrize(("rate", "training"), [(0.0, True), (0.9, False)])
def test_nothing_is_dropped_without_a_rate_or_outside_training(rate: float, training: bool):
    states = torch.randn(4, 5)
    assert torch.equal(dropout(states, rate, training=training), states)
    assert torch.equal(rectified_dropout(states, rate, training=training), states.relu())


def test_the_module_drops_in_training_only():
    states, module = torch.randn(6, 7), Dropout(0.3)
    assert torch.equal(drawn(lambda states, rate, training: module(states), states), drawn(dropout, states))
    assert torch.equal(module.eval()(states), states)
