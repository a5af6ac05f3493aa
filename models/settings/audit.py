"""The ``audit`` job: what a careful reader checks of a data set before training on it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from models.settings.collect import CollectionFormat
from models.settings.fields import InputPath, Settings


class AuditSettings(Settings):
    """Audit a data set: label noise, leaks by group and order, contradicting copies, shortcuts, baselines."""

    kind: Literal["audit"] = "audit"
    data: InputPath
    """A finished preprocess, findings or collect run, a folder with train, valid and test, or a collection."""
    format: CollectionFormat = "auto"
    """Shape of a collection; auto looks at the fields and says what it took it for."""
    num_folds: Annotated[int, Field(ge=2, le=20)] = 5
    """Folds of the out-of-fold text baseline that hints at wrong labels [folds]."""
    near_duplicate_similarity: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7
    """Estimated Jaccard similarity from which two texts count as near duplicates."""
    num_shown: PositiveInt = 20
    """Suspicious records shown [records]."""
    seed: NonNegativeInt = 42
    """Seed of folds and baselines."""
