"""A grid multiplied out: each combination once, named by what it is, narrowed by what an earlier stage selected."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.errors import SettingsInvalid
from models.settings.documents import load_settings
from models.settings.rank import Keep
from models.settings.selection import SelectedConfiguration, Selection
from models.settings.transformer import TransformerSettings
from tasks.sweep_settings import Candidate, Grid, SweepSettings
from tasks.trials import expand

OFF = TransformerSettings(pretrained="off")


def candidate(family: str = "codet5p", grid: Grid | None = None, **settings) -> Candidate:
    return Candidate(family=family, settings=OFF.model_copy(update=settings), grid=grid)


def sweep(models: dict[str, Candidate], **settings) -> SweepSettings:
    return SweepSettings(findings={"data": "nowhere"}, models=models, **settings)


def selected(by: str, *entries: tuple[str, str, TransformerSettings]) -> Selection:
    return Selection(
        stage="stage1",
        keep=Keep(num=len(entries), by=by),
        **{name: "0" * 64 for name in Selection.model_fields if name.endswith("sha256")},
        selected=tuple(
            SelectedConfiguration(
                rank=rank,
                family=family,
                model=model,
                configuration=f"{model}_lr{settings.learning_rate:g}",
                settings=settings,
                f1=0.5,
                threshold=0.5,
                run_key="0" * 64,
            )
            for rank, (family, model, settings) in enumerate(entries, start=1)
        ),
    )


@given(
    st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=4, unique_by=lambda v: f"{v:g}"),
    st.lists(st.integers(1, 64), min_size=1, max_size=3, unique=True),
    st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True),
)
def test_every_combination_is_one_trial_with_a_label_of_its_own(rates, sizes, seeds):
    settings = sweep({"a": candidate(grid=Grid(learning_rate=rates, batch_size=sizes))}, seeds=seeds)
    trials = expand(settings, None).trials

    tried = {(t.settings.learning_rate, t.settings.batch_size, t.seed) for t in trials}
    assert tried == {(rate, size, seed) for rate in rates for size in sizes for seed in seeds}
    assert len(trials) == len(tried) == len({t.label for t in trials})
    assert len({t.configuration for t in trials}) == len(rates) * len(sizes)
    assert all(
        math.isclose(float(t.label.split("_lr")[1].split("_")[0]), t.settings.learning_rate, rel_tol=1e-5)
        for t in trials
    )


def test_labels_are_those_that_people_know():
    grid = Grid(learning_rate=[2e-5], batch_size=[8], epochs=[3], weight_decay=[0.01])
    one = expand(sweep({"codet5p_220m": candidate(grid=grid)}), None).trials
    assert [trial.label for trial in one] == ["codet5p_220m_lr2e-5_bs8_ep3_wd0.01"]

    class Champion(SweepSettings):
        TAG = "champion"

    two = Champion(findings={"data": "nowhere"}, models={"codet5p_220m": candidate(grid=grid)}, seeds=(41, 42))
    assert [trial.label for trial in expand(two, None).trials] == [
        "codet5p_220m_champion_lr2e-5_bs8_ep3_wd0.01_s41",
        "codet5p_220m_champion_lr2e-5_bs8_ep3_wd0.01_s42",
    ]
    assert {trial.configuration for trial in expand(two, None).trials} == {one[0].configuration}


def test_a_model_s_own_grid_comes_before_the_sweep_s():
    models = {"small": candidate(), "large": candidate(dropout=0.2, grid=Grid(batch_size=[4]))}
    trials = expand(sweep(models, grid=Grid(batch_size=[16, 32])), None).trials
    assert [(t.model, t.settings.batch_size) for t in trials] == [("small", 16), ("small", 32), ("large", 4)]


def test_a_model_without_any_grid_is_refused():
    with pytest.raises(SettingsInvalid, match=r"models\.a\.grid"):
        expand(sweep({"a": candidate()}), None)


def test_two_models_that_are_the_same_training_are_refused():
    models = {"a": candidate(), "b": candidate()}
    with pytest.raises(SettingsInvalid, match=r"a_lr.*b_lr.*duplicate trial"):
        expand(sweep(models, grid=Grid(epochs=[2])), None)


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ({}, "empty grid"),
        ({"epochs": []}, "at least 1 item"),
        ({"epochs": [3, 3]}, "names a value twice"),
        ({"epoch": [3]}, "Extra inputs"),
        ({"learning_rate": [0.0]}, "greater than 0"),
    ],
)
def test_grids_that_mean_nothing_are_refused(grid, expected):
    with pytest.raises(ValidationError, match=expected):
        Grid(**grid)


def test_a_seed_named_twice_is_refused():
    with pytest.raises(ValidationError, match="a seed is named twice"):
        sweep({"a": candidate()}, seeds=(1, 1))


def test_findings_longer_than_the_model_reads_are_refused():
    with pytest.raises(
        ValidationError, match=r"models\.a\.settings\.max_seq_len 64 is below findings\.max_seq_len 512"
    ):
        sweep({"a": candidate(max_seq_len=64)})


def test_a_selection_of_families_admits_every_listed_model_of_them():
    models = {"codet5p_220m": candidate(), "codet5p_770m": candidate(dropout=0.2), "codebert": candidate("codebert")}
    found = expand(sweep(models, grid=Grid(epochs=[2])), selected("family", ("codet5p", "codet5p_220m", OFF)))
    assert [trial.model for trial in found.trials] == ["codet5p_220m", "codet5p_770m"]
    assert found.announcements == ["codebert is listed and not tried: stage1 selected codet5p"]


def test_a_selection_of_models_wins_over_what_is_listed():
    models = {"codet5p_220m": candidate()}
    found = expand(
        sweep(models, grid=Grid(epochs=[2, 4])),
        selected("model", ("codet5p", "codet5p_770m", OFF.model_copy(update={"dropout": 0.3}))),
    )
    assert [(t.model, t.settings.epochs, t.settings.dropout) for t in found.trials] == [
        ("codet5p_770m", 2, 0.3),
        ("codet5p_770m", 4, 0.3),
    ]
    assert found.announcements == [
        "codet5p_220m is listed and not tried: stage1 selected codet5p_770m",
        "codet5p_770m is not listed and tried all the same: stage1 selected it",
    ]


def test_a_selection_of_configurations_is_tried_as_it_is():
    rates = [OFF.model_copy(update={"learning_rate": rate}) for rate in (1e-4, 2e-4)]
    selection = selected("configuration", *(("codet5p", "codet5p_220m", settings) for settings in rates))
    found = expand(sweep({"codet5p_220m": candidate()}, grid=Grid(epochs=[2]), seeds=(1, 2)), selection)
    assert [(t.settings.learning_rate, t.seed) for t in found.trials] == [(1e-4, 1), (1e-4, 2), (2e-4, 1), (2e-4, 2)]
    assert [t.configuration for t in found.trials[::2]] == [entry.configuration for entry in selection.selected]
    assert found.announcements == ["stage1 selected 2 configurations; they are tried in place of the listed grid"]


def test_what_is_wrong_with_a_file_is_told_by_file_and_key(tmp_path: Path):
    path = tmp_path / "stage.yaml"
    path.write_text(
        "findings: {data: nowhere}\nmodels:\n  tiny:\n    family: t5\n    settings: {learning_rate: -3}\n"
        "    grid: {learnig_rate: [1.0e-3]}\n"
    )
    with pytest.raises(SettingsInvalid) as raised:
        load_settings(SweepSettings, path)
    assert str(raised.value).splitlines() == [
        f"{path}: models.tiny.settings.learning_rate: expected greater than 0, got -3 (Peak learning rate of AdamW.)",
        f"{path}: models.tiny.grid.learnig_rate: unknown key; did you mean learning_rate?",
    ]
