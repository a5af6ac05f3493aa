from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from models.errors import SettingsInvalid
from models.jobs.registry import ENTRY_MODULES, OBJECTIVE_MODULES, entry_modules, entry_of, parse_job
from models.settings.predict import PredictSettings


@pytest.mark.parametrize("module", ENTRY_MODULES.values())
def test_every_kind_of_job_has_its_entry_point(module: str):
    assert callable(importlib.import_module(module).run)


@pytest.mark.parametrize("module", OBJECTIVE_MODULES.values())
def test_every_kind_of_model_has_its_objective(module: str):
    methods = ("load", "resolve", "schedule", "step_parts", "scores", "metrics")
    objective = importlib.import_module(module).OBJECTIVE
    assert all(callable(getattr(objective, method)) for method in methods)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"kind": "cook"}', "cook"),
        ('{"kind": "evaluate", "data": "d", "predictions": {}, "colour": 1}', r"colour: Extra inputs"),
        ('{"kind": "evaluate", "data": "d", "predictions": {}, "confidence": 2}', r"confidence: "),
        ("{", "JSON"),
    ],
)
def test_settings_that_cannot_be_read_are_refused_with_the_field(content: str, message: str):
    with pytest.raises(SettingsInvalid, match=message):
        parse_job(content)


def test_a_prediction_belongs_to_the_kind_of_the_model_it_reads(tmp_path: Path):
    settings = PredictSettings(model_run=tmp_path, data=tmp_path)
    with pytest.raises(SettingsInvalid, match=r"no settings\.json"):
        entry_modules(settings)
    (tmp_path / "settings.json").write_text(json.dumps({"kind": "evaluate", "data": "d", "predictions": {}}))
    with pytest.raises(SettingsInvalid, match="not a training run"):
        entry_modules(settings)
    (tmp_path / "settings.json").write_text(json.dumps({"kind": "train", "train_data": "t", "val_data": "v"}))
    assert entry_modules(settings) == (ENTRY_MODULES["predict"], OBJECTIVE_MODULES["gnn"])
    assert callable(entry_of(settings))
