from __future__ import annotations

import pytest
import torch

from models.nn.token_embedding import TokenEmbedding


@pytest.mark.parametrize("has_gradient", [False, True])
def test_the_gradient_is_that_of_torch_s_embedding(has_gradient: bool):
    ours, theirs = TokenEmbedding(30, 4, padding_idx=1), torch.nn.Embedding(30, 4, padding_idx=1)
    ids, weights = torch.tensor([[5, 7, 5, 1], [29, 5, 1, 1]]), torch.randn(2, 4, 4)
    buffer = torch.full((30, 4), 0.5)
    theirs.load_state_dict(ours.state_dict())
    for embedding in (ours, theirs):
        embedding.weight.grad = buffer.clone() if has_gradient else None
    given = ours.weight.grad
    for embedding in (ours, theirs):
        found = embedding(ids)
        assert torch.equal(found, embedding.weight[ids])
        (found * weights).sum().backward()
    assert ours.weight.grad is not None
    assert theirs.weight.grad is not None
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
    assert not ours.weight.grad.is_sparse
    assert not has_gradient or ours.weight.grad is given  # the engine's buffer, filled in place
