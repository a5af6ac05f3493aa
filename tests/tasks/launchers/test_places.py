"""Which job goes where, and what the environment of a deployment may say of it."""

from __future__ import annotations

import pytest

from models.errors import SettingsInvalid
from tasks.launchers.places import placed_by_environment
from tasks.run_settings import RunSettings, ignored_place

SPOT = {"CODEWARDEN_WHERE": "sagemaker", "CODEWARDEN_STORE": "s3://some-bucket/codewarden"}


def test_the_environment_places_a_flow_that_says_nothing():
    placed = placed_by_environment(RunSettings(), SPOT)
    assert (placed.where, placed.sagemaker.store) == ("sagemaker", "s3://some-bucket/codewarden")
    assert placed_by_environment(RunSettings(), {}) == RunSettings()


def test_what_the_settings_say_wins():
    said = RunSettings(where="sagemaker", sagemaker={"store": "s3://mine/here", "max_run_seconds": 60})
    assert placed_by_environment(said, {**SPOT, "CODEWARDEN_WHERE": "local"}) == said


def test_a_place_that_does_not_exist_is_refused_by_the_variables_name():
    with pytest.raises(SettingsInvalid, match=r"CODEWARDEN_WHERE.*\n?.*where"):
        placed_by_environment(RunSettings(), {"CODEWARDEN_WHERE": "moon"})


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"max_run_seconds": 7200, "max_wait_seconds": 3600}, "max_wait_seconds 3600 is below max_run_seconds 7200"),
        ({"keep_alive_seconds": 60}, "use_spot is on; turn one off"),
        ({"subnets": ["subnet-1"]}, "together, or neither"),
        ({"tags": {"aws:x": "1"}}, "are taken"),
        ({"budget": {"total_usd": 5, "buffer_usd": 5}}, "leaves nothing"),
        ({"store": "s3://bucket/it's"}, "store"),
        ({"instance_type": "g4dn.xlarge"}, "instance_type"),
    ],
)
def test_settings_that_aws_would_refuse_are_refused_here(values, what):
    with pytest.raises(ValueError, match=what):
        RunSettings(sagemaker=values)


def test_a_store_that_a_worker_knows_mirrors_nothing_that_runs_here():
    assert placed_by_environment(RunSettings(), {"CODEWARDEN_STORE": "s3://some-bucket/x"}) == RunSettings()


def test_a_machine_that_is_described_and_not_used_is_told():
    assert ignored_place(RunSettings()) is None
    assert ignored_place(RunSettings(where="sagemaker", sagemaker={"instance_type": "ml.g5.xlarge"})) is None
    told = ignored_place(RunSettings(sagemaker={"instance_type": "ml.g4dn.xlarge", "use_spot": True}))
    assert told is not None
    assert "sagemaker.instance_type, sagemaker.use_spot: ignored" in told
    assert "--where sagemaker" in told
