"""The ``collect`` job: clean splits and noisy collections merged, with nothing near validation or test in training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from models.settings.fields import InputPath, Settings

SourceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")]
CollectionFormat = Literal["auto", "codexglue", "bigvul", "primevul", "collected", "juliet", "pairs", "fixes", "folder"]


class CollectedSource(Settings):
    """One collection: where it lies and how it is read; a path alone stands for its data."""

    data: InputPath
    """File or folder of the collection."""
    format: CollectionFormat = "auto"
    """Its shape; auto looks at the fields and says what it took it for."""
    max_rows: PositiveInt | None = None
    """Take a sample of at most so many usable rows, in the proportions of origin and label [rows]; empty: all."""

    @model_validator(mode="before")
    @classmethod
    def _a_path_is_its_data(cls, given: Any) -> Any:
        return {"data": given} if given and isinstance(given, str | Path) else given


class CollectSettings(Settings):
    """Merge noisy collections with clean splits: provenance kept, duplicates removed, no leak into training."""

    kind: Literal["collect"] = "collect"
    clean: InputPath
    """Folder with train, valid and test as .jsonl or .jsonl.gz (fields func, target, project, commit_id, idx)."""
    clean_name: SourceName = "codexglue"
    """Name of the clean data in ids and provenance."""
    sources: dict[SourceName, CollectedSource] = Field(default_factory=dict)
    """Noisy collections by name, NAME=PATH or NAME={"data": PATH, "max_rows": 100}; their rows go to training only,
    in the order of the names: of near copies in two collections, that of the first name stays."""
    pairs: dict[SourceName, CollectedSource] = Field(default_factory=dict)
    """Collections of before/after pairs by name, said alike; kept to measure pairwise accuracy, never in training."""
    near_duplicate_similarity: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7
    """Estimated Jaccard similarity from which two functions count as near duplicates."""
    max_code_bytes: PositiveInt = 1_000_000
    """Functions longer than this are rejected [bytes]."""
    max_rejected_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    """More broken rows than this share of a source end the job; rows in another language are counted apart."""
    max_duplicate_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """A source with more duplicates than this share of its rows is warned about."""
    seed: NonNegativeInt = 42
    """Seed of the samples."""

    @model_validator(mode="after")
    def _each_name_once(self) -> CollectSettings:
        names = [self.clean_name, *self.sources, *self.pairs]
        in_ids = [name.upper() for name in names]
        if twice := [name for name in names if in_ids.count(name.upper()) > 1]:
            first, second = [name for name in twice if name.upper() == twice[0].upper()][:2]
            told = repr(first) if first == second else f"{first!r} and {second!r}, which are one in ids,"
            raise ValueError(f"{told} names two sets of data; ids and provenance need one name each")
        return self
