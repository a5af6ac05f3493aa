"""One state of a sequence from the states of its tokens.

Shape letters: B sequences, T tokens, H width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FirstTokenPooling(nn.Module):
    """The state of the first token, which RoBERTa's kin are pretrained to know the whole by."""

    def __init__(self, hidden_dim: int) -> None:  # noqa: ARG002
        super().__init__()

    def forward(self, states_BTH: Tensor, mask_BT: Tensor) -> Tensor:  # noqa: ARG002
        """``(B, H)``."""
        return states_BTH[:, 0]


class MeanPooling(nn.Module):
    """The mean over the tokens that are there."""

    def __init__(self, hidden_dim: int) -> None:  # noqa: ARG002
        super().__init__()

    def forward(self, states_BTH: Tensor, mask_BT: Tensor) -> Tensor:
        """``(B, H)``."""
        shares_BT = mask_BT / mask_BT.sum(dim=1, keepdim=True)
        return torch.bmm(shares_BT.to(states_BTH.dtype)[:, None], states_BTH)[:, 0]


class AttentionPooling(nn.Module):
    """A mean weighted by how a learned vector scores each token (Yang et al. 2016, without its hidden layer).

    It begins as the plain mean.
    """

    def __init__(self, hidden_dim: int) -> None:
        super().__init__()
        self.score = nn.Linear(hidden_dim, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, states_BTH: Tensor, mask_BT: Tensor) -> Tensor:
        """``(B, H)``."""
        scores_BT = self.score(states_BTH)[..., 0].float()
        shares_BT = scores_BT.masked_fill(~mask_BT, -torch.inf).softmax(dim=1)
        return torch.bmm(shares_BT.to(states_BTH.dtype)[:, None], states_BTH)[:, 0]


class LastTokenPooling(nn.Module):
    """The state of the last token that is there: the token that ends a text, for every window ends with it."""

    def __init__(self, hidden_dim: int) -> None:  # noqa: ARG002
        super().__init__()

    def forward(self, states_BTH: Tensor, mask_BT: Tensor) -> Tensor:
        """``(B, H)``."""
        last_B = mask_BT.sum(dim=1) - 1
        return states_BTH[torch.arange(len(states_BTH), device=states_BTH.device), last_B]


POOLINGS: dict[str, type[nn.Module]] = {
    "cls": FirstTokenPooling,
    "attention": AttentionPooling,
    "mean": MeanPooling,
    "eos": LastTokenPooling,
}
