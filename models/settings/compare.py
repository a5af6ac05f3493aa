"""The ``compare`` job: systems over seeds, measured on one test split and compared with each other."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from models.settings.fields import InputPath, Settings

SPLITS = ("train", "valid", "test", "held_out")
"""Names that a probe cannot have: predictions of these are of something else."""
ProbeName = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]


class ComparedSystem(Settings):
    """One system and its runs, one a seed."""

    title: str
    """For people, such as Phase 2 gnn (weighted)."""
    phase: str
    """Where it comes from, such as phase1."""
    model_kind: str
    """transformer, gnn or fusion."""
    predictions: Annotated[dict[str, InputPath], Field(min_length=1)]
    """Directories of finished predict or fuse runs by seed."""


class CompareSettings(Settings):
    """Measure systems over seeds beside baselines, and say which differences are shown and which could be."""

    kind: Literal["compare"] = "compare"
    data: InputPath
    """Directory of the finished preprocess run: labels, groups and texts. Baselines are fitted on its training records,
    noisy ones too."""
    same_data: tuple[InputPath, ...] = ()
    """Other finished preprocess runs that predictions were made from; refused unless validation and test hold the same
    ids, labels and code. Training records may differ: the text baseline is fitted on those too."""
    systems: Annotated[dict[str, ComparedSystem], Field(min_length=1)]
    """Systems by name, in the order of the tables."""
    comparisons: tuple[tuple[str, str], ...] = ()
    """Pairs of systems, fixed before any was measured: first against second; empty: every two systems."""
    probes: dict[ProbeName, InputPath] = Field(default_factory=dict)
    """Directories of finished probe runs by name; systems whose runs scored them are measured on them."""
    max_false_alarms: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.005
    """Share of safe functions that may be called vulnerable, for the miss rate beside it (VD-S)."""
    num_resamples: PositiveInt = 10_000
    """Bootstrap resamples over seeds and groups."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Coverage of the intervals."""
    power: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.8
    """Power at which the minimum detectable difference is stated."""
    seed: NonNegativeInt = 42
    """Seed of resampling and baselines."""

    @model_validator(mode="after")
    def _compares_what_it_has(self) -> CompareSettings:
        for first, second in self.comparisons:
            for name in (first, second):
                if name not in self.systems:
                    raise ValueError(f"comparisons: no system is called {name!r}; there are {', '.join(self.systems)}")
            if first == second:
                raise ValueError(f"comparisons: {first!r} with itself")
        if len({frozenset(pair) for pair in self.comparisons}) < len(self.comparisons):
            raise ValueError("comparisons: a pair is named twice, which would count twice in the correction")
        for name in SPLITS:
            if name in self.probes:
                raise ValueError(f"probes: {name!r} is the name of a split; name the probe otherwise")
        return self
