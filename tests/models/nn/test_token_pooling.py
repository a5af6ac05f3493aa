from __future__ import annotations

import pytest
import torch

from models.nn.token_pooling import POOLINGS, AttentionPooling


@pytest.mark.parametrize("name", sorted(POOLINGS))
def test_what_is_filled_up_changes_nothing(name: str):
    torch.manual_seed(0)
    pooling = POOLINGS[name](6)
    for parameter in pooling.parameters():
        torch.nn.init.normal_(parameter)
    states = torch.randn(3, 5, 6)
    full = pooling(states, torch.ones(3, 5, dtype=torch.bool))
    wider = torch.cat([states, torch.full((3, 2, 6), 1e6)], dim=1)
    mask = torch.ones(3, 7, dtype=torch.bool)
    mask[:, 5:] = False
    torch.testing.assert_close(pooling(wider, mask), full)
    assert full.shape == (3, 6)


def test_attention_begins_as_the_mean_and_can_pick_one_token():
    states = torch.randn(2, 4, 3)
    mask = torch.ones(2, 4, dtype=torch.bool)
    pooling = AttentionPooling(3)
    torch.testing.assert_close(pooling(states, mask), states.mean(dim=1))
    states[:, 2] = torch.tensor([9.0, 0.0, 0.0])
    with torch.no_grad():
        pooling.score.weight.copy_(torch.tensor([[50.0, 0.0, 0.0]]))
    torch.testing.assert_close(pooling(states, mask), states[:, 2])
