"""The audit as a program: where the path may stand, its plan, its table and page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.audit import AuditFlowSettings, main, with_path_as_flag
from flows.phase1 import main as phase1_main
from flows.phase2 import main as phase2_main
from flows.train import main as train_main
from models.data.generated import write_sample


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["data"], ["--data", "data"]),
        (["data", "--format", "bigvul"], ["--data", "data", "--format", "bigvul"]),
        (["--format", "bigvul", "data"], ["--format", "bigvul", "--data", "data"]),
        (["--dry-run", "data"], ["--dry-run", "--data", "data"]),
        (["--format", "bigvul"], ["--format", "bigvul"]),
        (["--data", "data"], ["--data", "data"]),
        (["--help"], ["--help"]),
        ([], []),
    ],
)
def test_a_path_that_stands_alone_is_the_data(given: list[str], read: list[str]) -> None:
    assert with_path_as_flag(given) == read


def test_a_dry_run_plans_one_job_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sample(tmp_path / "raw", num_functions=60)
    assert main([str(tmp_path / "raw"), "--runs", str(tmp_path / "runs"), "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("audit      audit")
    assert not (tmp_path / "runs").exists()


def test_data_that_are_not_there_are_refused_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--runs", str(tmp_path)])
    assert left.value.code == 2
    assert "--audit.data: is required" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["run", "dry run"])
@pytest.mark.parametrize(
    ("program", "flags", "field"),
    [
        (main, [], "data"),
        (phase1_main, ["--data"], "data"),
        (phase2_main, ["--collect.sources", "a=tests", "--clean"], "clean"),
        (train_main, ["--val-data", "pyproject.toml", "--train-data"], "train_data"),
    ],
    ids=["audit", "phase1", "phase2", "train"],
)
def test_an_input_that_is_not_there_is_refused_before_anything_starts(
    program: Callable[[list[str]], int],
    flags: list[str],
    field: str,
    more: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gone = tmp_path / "gone"
    assert program([*flags, str(gone), "--runs", str(tmp_path / "runs"), *more]) == 2
    told = capsys.readouterr().err
    assert told == f"SettingsInvalid: {field}: no file or folder at {gone}; give the path of an existing one\n"
    assert not (tmp_path / "runs").exists()


def test_its_settings_say_what_the_job_is_told() -> None:
    settings = AuditFlowSettings.model_validate({"audit": {"data": "runs/demo-data", "num_folds": 4}})
    assert settings.audit.num_folds == 4


@pytest.mark.server
def test_as_a_program_it_prints_checks_and_writes_the_page(server, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_sample(tmp_path / "raw", num_functions=120)
    done = server.command("flows.audit", str(tmp_path / "raw"), "--runs", str(tmp_path / "runs"), timeout=200)

    assert done.returncode == 0, done.stderr
    assert "Order of records" in done.stdout
    page = Path(done.stdout.splitlines()[-1].removeprefix("page: "))
    assert page.read_text().startswith("<!doctype html>")
