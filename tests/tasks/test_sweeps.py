"""What a sweep refuses and says of itself before and beside its trials; whole sweeps are run in tests/flows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import JobCrashed, JobRefused, SettingsInvalid
from models.evaluation.records import data_digest
from models.settings.rank import Keep
from models.settings.selection import SelectedConfiguration, Selection
from models.settings.transformer import TransformerSettings
from tasks.sweeps import failure_line, refuse_selection_of_other_data


def records(folder: Path, *, token: int = 1, code: str = "a: 1") -> Path:
    folder.mkdir()
    for split in ("train", "valid"):
        entry = {"id": split, "label": 1, "code": code, "tokens": [token], "metadata": {"group": "chef/a"}}
        (folder / f"{split}.jsonl").write_text(json.dumps(entry) + "\n")
    return folder


def test_a_selection_is_of_the_data_and_not_of_their_tokens(tmp_path):
    made_on = records(tmp_path / "one")
    entry = SelectedConfiguration(
        rank=1,
        family="f",
        model="m",
        configuration="m_lr1",
        settings=TransformerSettings(pretrained="off"),
        f1=0.5,
        threshold=0.5,
        run_key="0" * 64,
    )
    digest = data_digest(made_on / "train.jsonl", made_on / "valid.jsonl")
    selection = Selection(stage="stage1", keep=Keep(), val_sha256="0" * 64, data_sha256=digest, selected=(entry,))
    path = tmp_path / "selection.json"
    path.write_text(selection.model_dump_json())
    refuse_selection_of_other_data(path, made_on)
    refuse_selection_of_other_data(path, records(tmp_path / "other-tokens", token=7))
    other = records(tmp_path / "other", code="b: 2")
    found = data_digest(other / "train.jsonl", other / "valid.jsonl")
    with pytest.raises(SettingsInvalid) as raised:
        refuse_selection_of_other_data(path, other)
    assert [word for word in (str(path), digest[:12], str(other), found[:12]) if word not in str(raised.value)] == []


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (JobRefused("NumericsError: loss is nan at step 3"), "JobRefused: NumericsError: loss is nan at step 3"),
        (
            JobCrashed("/home/me/runs/train/ab-12/cd: KeyError: 'x'. The end:\nlog"),
            "JobCrashed: …/cd: KeyError: 'x'. The end:",
        ),
        (JobRefused("no file '/data/x y', 1/2 of it and lr/wd"), "JobRefused: no file '…/x y', 1/2 of it and lr/wd"),
        (JobRefused("models/nn/a.py is relative"), "JobRefused: models/nn/a.py is relative"),
    ],
)
def test_a_failure_is_one_line_that_names_no_folder(failure, said):
    assert failure_line(failure) == said
