"""Both losses over lists against their definitions, written out candidate by candidate."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.losses.candidate_logistic import candidate_logistic
from models.losses.list_softmax import list_softmax

Lists = list[list[tuple[float, int]]]
lists_of_candidates = st.lists(
    st.lists(st.tuples(st.floats(-20, 20), st.integers(0, 1)), min_size=1, max_size=6), min_size=1, max_size=5
)


def filled_up(lists: Lists, filling: float) -> tuple[Tensor, Tensor, Tensor]:
    longest = max(map(len, lists))
    scores, relevant = (torch.full((len(lists), longest), filling, dtype=torch.float64) for _ in range(2))
    there = torch.zeros(len(lists), longest, dtype=torch.bool)
    for row, candidates in enumerate(lists):
        for place, (score, right) in enumerate(candidates):
            scores[row, place], relevant[row, place], there[row, place] = score, right, True
    return scores, relevant, there


def listwise_written_out(candidates: list[tuple[float, int]]) -> float:
    right = [score for score, relevant in candidates if relevant]
    if len(right) in (0, len(candidates)):
        return 0.0
    total = sum(math.exp(score) for score, _ in candidates)
    return sum(-math.log(math.exp(score) / total) for score in right) / len(right)


def pointwise_written_out(candidates: list[tuple[float, int]]) -> float:
    losses = [math.log1p(math.exp(-score if relevant else score)) for score, relevant in candidates]
    return sum(losses) / len(losses)


@given(lists=lists_of_candidates, filling=st.sampled_from([0.0, 1.0, 50.0]))
def test_they_are_what_their_definitions_say_whatever_lists_are_filled_up_with(lists: Lists, filling: float):
    listwise = list_softmax(*filled_up(lists, filling)).tolist()
    pointwise = candidate_logistic(*filled_up(lists, filling)).tolist()
    assert listwise == pytest.approx([listwise_written_out(candidates) for candidates in lists], rel=1e-9, abs=1e-9)
    assert pointwise == pytest.approx([pointwise_written_out(candidates) for candidates in lists], rel=1e-9, abs=1e-9)


def test_lists_of_one_label_and_filled_up_places_get_no_gradient():
    scores, relevant, there = filled_up([[(1.0, 1), (2.0, 0), (0.0, 0)], [(1.0, 1), (-1.0, 1)], [(3.0, 0)]], 7.0)
    scores.requires_grad_()
    list_softmax(scores, relevant, there).sum().backward()
    assert scores.grad is not None
    assert scores.grad[1:].abs().max() == 0.0
    assert (scores.grad[0] != 0.0).all()
    scores.grad = None
    candidate_logistic(scores, relevant, there).sum().backward()
    assert torch.equal(scores.grad != 0.0, there)


def test_scores_that_are_far_apart_give_finite_losses_and_gradients():
    scores = torch.tensor([[-1e4, 1e4]], requires_grad=True)
    loss = list_softmax(scores, torch.tensor([[1.0, 0.0]]), torch.ones(1, 2, dtype=torch.bool))
    loss.sum().backward()
    assert loss.tolist() == [2e4]
    assert scores.grad is not None
    assert scores.grad.tolist() == [[-1.0, 1.0]]
