"""Numbers beside a candidate, brought to one scale: that of the candidates that are learnt from.

Shape letters: K candidates, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StandardisedFeatures(nn.Module):
    """Less the mean, over the standard deviation; both are buffers, so that the model file has them.

    Args:
        num_features: F.

    Attributes:
        mean_F: Mean of each feature over the candidates of training.
        std_F: Standard deviation of each; 1 for a feature that never differs.
    """

    mean_F: Tensor
    std_F: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("mean_F", torch.zeros(num_features))
        self.register_buffer("std_F", torch.ones(num_features))

    def learn(self, features_KF: Tensor) -> None:
        """Remember mean and standard deviation of the candidates that are learnt from."""
        if not features_KF.shape[1]:
            return
        wide_KF = features_KF.double()
        differs_F = wide_KF.amax(dim=0) > wide_KF.amin(dim=0)  # of equal numbers the deviation may be rounded off 0
        self.mean_F.copy_(wide_KF.mean(dim=0))
        self.std_F.copy_(torch.where(differs_F, wide_KF.std(dim=0, correction=0), 1.0))

    def forward(self, features_KF: Tensor) -> Tensor:
        """``(K, F)``."""
        return (features_KF - self.mean_F) / self.std_F
