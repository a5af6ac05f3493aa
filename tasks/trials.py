"""Which trials a sweep consists of: models and grids multiplied out, or what an earlier stage selected.

Pure: nothing is read, planned or run here.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from models.errors import SettingsInvalid
from models.settings.selection import SelectedConfiguration, Selection
from models.settings.transformer import TransformerSettings
from tasks.sweep_settings import Candidate, Grid, SweepSettings

SHORT_NAMES = {"learning_rate": "lr", "batch_size": "bs", "epochs": "ep", "weight_decay": "wd"}
"""Hyperparameters that every label says, in its order."""
MORE_SHORT_NAMES = {"dropout": "do", "warmup_steps": "wu"}
"""Those that a label says where a grid varies them."""


@dataclass(frozen=True)
class Trial:
    """One training run of a sweep.

    Args:
        label: For people, such as ``codet5p_220m_lr2e-5_bs8_ep3_wd0.01``; unique in the sweep.
        family: Family of models.
        model: Name of the model.
        configuration: Model and hyperparameters without stage and seed.
        settings: The model settings, grid filled in.
        seed: Base seed of the run.
    """

    label: str
    family: str
    model: str
    configuration: str
    settings: TransformerSettings
    seed: int


class Expansion(NamedTuple):
    """Trials in the order they are begun, and what a person should be told of how they came about."""

    trials: list[Trial]
    announcements: list[str]


def expand(settings: SweepSettings, selection: Selection | None) -> Expansion:
    """All trials of a sweep.

    Args:
        settings: Models, grids and seeds.
        selection: What an earlier stage selected; it says what is tried, where given. Of families: every listed model
            of them. Of models: these, on the grid. Of configurations: exactly these.

    Raises:
        SettingsInvalid: no model has a grid, or two trials are the same. Not retried.
    """
    if selection is not None and selection.keep.by == "configuration":
        configurations, announcements = _selected_configurations(settings, selection)
    else:
        candidates, announcements = _chosen_candidates(settings, selection)
        configurations = [c for name, candidate in candidates.items() for c in _on_grid(settings, name, candidate)]
    trials = [
        Trial(_label(settings, c, seed), c.family, c.model, c.name, c.settings, seed)
        for c in configurations
        for seed in settings.seeds
    ]
    _refuse_twins(trials)
    return Expansion(trials, announcements)


class _Configuration(NamedTuple):
    family: str
    model: str
    hyperparameters: str
    settings: TransformerSettings

    @property
    def name(self) -> str:
        return f"{self.model}_{self.hyperparameters}"


def _chosen_candidates(
    settings: SweepSettings, selection: Selection | None
) -> tuple[Mapping[str, Candidate], list[str]]:
    """Listed models, narrowed or widened by a selection of families or models."""
    if selection is None:
        return settings.models, []
    by_family = selection.keep.by == "family"
    wanted = {(entry.family if by_family else entry.model): entry for entry in selection.selected}
    chosen: dict[str, Candidate] = {}
    announcements = []
    for name, candidate in settings.models.items():
        if (candidate.family if by_family else name) in wanted:
            chosen[name] = candidate
        else:
            announcements.append(f"{name} is listed and not tried: {_not_among(selection, wanted)}")
    listed = {candidate.family for candidate in settings.models.values()} if by_family else set(settings.models)
    for key, entry in wanted.items():
        if key not in listed:
            chosen[entry.model] = Candidate(family=entry.family, settings=_transformer(entry))
            announcements.append(f"{entry.model} is not listed and tried all the same: {selection.stage} selected it")
    return chosen, announcements


def _selected_configurations(settings: SweepSettings, selection: Selection) -> tuple[list[_Configuration], list[str]]:
    """Exactly what was selected; what is listed is only compared with it."""
    configurations = [
        _Configuration(e.family, e.model, e.configuration.removeprefix(f"{e.model}_"), _transformer(e))
        for e in selection.selected
    ]
    models = dict.fromkeys(c.model for c in configurations)
    announcements = [
        f"{name} is listed and not tried: {_not_among(selection, models)}"
        for name in settings.models
        if name not in models
    ]
    announcements.append(
        f"{selection.stage} selected {len(configurations)} configurations; they are tried in place of the listed grid"
    )
    return configurations, announcements


def _not_among(selection: Selection, names: Mapping[str, Any]) -> str:
    return f"{selection.stage} selected {', '.join(names)}"


def _transformer(entry: SelectedConfiguration) -> TransformerSettings:
    if not isinstance(entry.settings, TransformerSettings):
        raise SettingsInvalid(f"selection: {entry.configuration} is a {entry.settings.kind}; expected a transformer")
    return entry.settings


def _on_grid(settings: SweepSettings, name: str, candidate: Candidate) -> Iterator[_Configuration]:
    grid = candidate.grid or settings.grid
    if grid is None:
        raise SettingsInvalid(f"models.{name}.grid: is empty, and so is grid; say in either what is tried")
    tried = _tried(grid)
    for values in itertools.product(*tried.values()):
        chosen = dict(zip(tried, values, strict=True))
        model = candidate.settings.model_copy(update=chosen)
        yield _Configuration(candidate.family, name, _hyperparameters(model, chosen), model)


def _tried(grid: Grid) -> dict[str, tuple[Any, ...]]:
    return {name: values for name in type(grid).model_fields if (values := getattr(grid, name)) is not None}


def _hyperparameters(model: TransformerSettings, varied: Mapping[str, Any]) -> str:
    said = [f"{short}{_short(getattr(model, name))}" for name, short in SHORT_NAMES.items()]
    said += [f"{short}{_short(varied[name])}" for name, short in MORE_SHORT_NAMES.items() if name in varied]
    return "_".join(said)


def _short(number: float) -> str:
    """``2e-5`` rather than ``2e-05``."""
    return f"{number:g}".replace("e-0", "e-")


def _label(settings: SweepSettings, configuration: _Configuration, seed: int) -> str:
    tag = f"_{settings.TAG}" if settings.TAG else ""
    of_seed = f"_s{seed}" if len(settings.seeds) > 1 else ""
    return f"{configuration.model}{tag}_{configuration.hyperparameters}{of_seed}"


def _refuse_twins(trials: list[Trial]) -> None:
    """Two labels for one training would be counted as two."""
    labels: dict[str, str] = {}
    for trial in trials:
        what = json.dumps([trial.settings.model_dump(mode="json"), trial.seed], sort_keys=True)
        if what in labels:
            raise SettingsInvalid(
                f"models: {labels[what]} and {trial.label} are the same training (duplicate trial); remove one"
            )
        labels[what] = trial.label
    twice = [label for label in labels.values() if list(labels.values()).count(label) > 1]
    if twice:
        raise SettingsInvalid(f"models: two different trials are both called {twice[0]}; name their models differently")
