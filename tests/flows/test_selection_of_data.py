"""A stage tries what was selected on its own data, and says so before it trains where it was not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from flows.stage1 import Stage1Settings, stage1_broad
from flows.stage2 import Stage2Settings, stage2_tuning
from models.errors import SettingsInvalid


@pytest.mark.server
def test_a_selection_of_other_data_ends_the_stage_before_anything_is_trained(
    prefect_client, stage_values, findings_path, tmp_path
):
    del stage_values["models"]["t5_tiny"]
    selected = stage1_broad(Stage1Settings(**stage_values))
    other = tmp_path / "other"
    shutil.copytree(findings_path, other)
    rows = (other / "train.jsonl").read_text().splitlines(keepends=True)
    (other / "train.jsonl").write_text("".join(rows[1:]))
    stage_values["findings"]["data"] = str(other)
    trained = sorted(Path(stage_values["runs"]).glob("train/*/*"))
    with pytest.raises(SettingsInvalid, match=r"selection: .*selection\.json was made on other data"):
        stage2_tuning(Stage2Settings(**stage_values, selection=selected.selection_path))
    assert sorted(Path(stage_values["runs"]).glob("train/*/*")) == trained
    told = json.loads(selected.selection_path.read_bytes())["data_sha256"]
    assert selected.read_ranking()["val"]["data_sha256"] == told
