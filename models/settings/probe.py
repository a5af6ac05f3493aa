"""The ``probe`` job: records that ask one question of a model beside the test split."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from models.settings.fields import InputPath, Settings


class Renamed(Settings):
    """The sealed test functions with their own names changed."""

    kind: Literal["rename"] = "rename"
    seed: NonNegativeInt = 42
    """Seed of the names."""


class Reformatted(Settings):
    """The sealed test functions laid out anew, and nothing else changed."""

    kind: Literal["reformat"] = "reformat"
    seed: NonNegativeInt = 42
    """Seed of the layout."""


class BeforeAfter(Settings):
    """Pairs of a vulnerable function and its fix."""

    kind: Literal["pairs"] = "pairs"
    data: InputPath
    """Directory of the finished collect run that holds pairs.jsonl."""


class ProbeSettings(Settings):
    """Make records that probe a model: the test functions renamed or reformatted, or before/after pairs."""

    kind: Literal["probe"] = "probe"
    records: InputPath
    """Directory of the finished preprocess run; its tokenizer and settings make the new records."""
    what: Annotated[Renamed | Reformatted | BeforeAfter, Field(discriminator="kind")]
    """What is made."""
