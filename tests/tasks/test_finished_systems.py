from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from models.errors import SettingsInvalid
from models.settings.compare import ComparedSystem
from tasks.finished_systems import (
    FinishedSystems,
    joined_over_seeds,
    pairs_between,
    read_systems,
    remember_systems,
)


def finished(runs_path: Path, seed: str = "1") -> FinishedSystems:
    run = runs_path / "predict" / f"test-{seed}" / "build"
    system = ComparedSystem(title="Phase 1 gnn", phase="phase1", model_kind="gnn", predictions={seed: run})
    return FinishedSystems(
        flow="phase1",
        records=runs_path / "preprocess" / "a" / "b",
        other_records=(runs_path / "preprocess" / "c" / "d",),
        systems={"phase1_gnn": system},
        probes={"rename": runs_path / "probe" / "e"},
    )


def test_what_is_remembered_is_read_again_wherever_the_run_root_went(tmp_path: Path) -> None:
    here, there = tmp_path / "runs", tmp_path / "elsewhere" / "runs"
    path = remember_systems(here, finished(here))

    assert read_systems(path, here) == finished(here)
    assert read_systems(path, tmp_path / "another root") == finished(here)
    assert remember_systems(here, finished(here)) == path
    there.parent.mkdir()
    shutil.move(here, there)
    assert read_systems(there / "systems" / path.name, there) == finished(there)


def test_other_systems_have_another_file(tmp_path: Path) -> None:
    paths = {remember_systems(tmp_path, finished(tmp_path, seed)) for seed in ("1", "2")}
    assert len(paths) == 2


def test_runs_of_one_phase_are_joined_over_their_seeds(tmp_path: Path) -> None:
    parts = {Path(seed): finished(tmp_path, seed) for seed in ("1", "2")}

    assert set(joined_over_seeds(parts)["phase1_gnn"].predictions) == {"1", "2"}


def test_a_seed_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    parts = {Path("a.json"): finished(tmp_path), Path("b.json"): finished(tmp_path)}

    with pytest.raises(SettingsInvalid, match=r"b\.json: phase1_gnn has seed 1, and so has a run named before it"):
        joined_over_seeds(parts)


def systems(*names: str) -> dict[str, ComparedSystem]:
    """Systems by name: PHASE_KIND, with a treatment after it or not, or fusion."""
    return {
        name: ComparedSystem(
            title=name,
            phase=name.split("_")[0],
            model_kind=[*name.split("_"), ""][1] or name,
            predictions={"1": Path()},
        )
        for name in names
    }


@pytest.mark.parametrize(
    ("first", "second", "pairs"),
    [
        (
            ["phase1_gnn", "phase2_gnn", "phase2_gnn_none", "fusion"],
            ["phase1_gnn", "phase2_gnn", "phase2_gnn_none", "fusion"],
            [(name, name) for name in ("phase1_gnn", "phase2_gnn", "phase2_gnn_none", "fusion")],
        ),
        (
            ["phase1_gnn", "phase1_transformer"],
            ["phase2_gnn", "phase2_gnn_none", "fusion"],
            [("phase2_gnn", "phase1_gnn"), ("fusion", "phase1_gnn"), ("fusion", "phase1_transformer")],
        ),
        (["phase1_gnn"], ["phase1_gnn", "phase2_gnn"], [("phase1_gnn", "phase1_gnn"), ("phase2_gnn", "phase1_gnn")]),
        (["phase2_gnn", "phase2_gnn_none"], ["phase1_gnn"], [("phase1_gnn", "phase2_gnn")]),
    ],
    ids=["two runs of phase 2", "phase 1, then 2", "phase 1 in both", "phase 2, then 1"],
)
def test_namesakes_are_compared_and_else_what_stands_for_each_phase(
    first: list[str], second: list[str], pairs: list[tuple[str, str]]
) -> None:
    assert list(pairs_between(systems(*first), systems(*second))) == pairs


def test_runs_with_nothing_in_common_are_refused() -> None:
    with pytest.raises(SettingsInvalid, match="nothing to compare: the second run has phase2_transformer, the first"):
        pairs_between(systems("phase1_gnn"), systems("phase2_transformer"))


@pytest.mark.parametrize(("content", "message"), [(None, "no such file"), ("{}", "not a file of finished systems")])
def test_what_is_no_file_of_systems_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "systems.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(SettingsInvalid, match=message):
        read_systems(path, tmp_path)
