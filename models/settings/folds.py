"""The ``folds`` job: training records cut into folds for out-of-fold scores."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from models.settings.fields import InputPath, Settings


class FoldsSettings(Settings):
    """Cut training records into folds; a commit and near copies, through each other too, stay in one."""

    kind: Literal["folds"] = "folds"
    data: InputPath
    """Directory of the finished preprocess run; only its training records are read."""
    num_folds: Annotated[int, Field(ge=2, le=50)] = 5
    """Folds [folds]."""
    by: Literal["group", "project"] = "group"
    """What is kept together: commits and clusters of near copies, or whole projects (records without one are never
    held out)."""
    near_duplicate_similarity: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7
    """Estimated Jaccard similarity from which two functions count as near duplicates."""
    seed: NonNegativeInt = 42
    """Seed of the assignment."""
