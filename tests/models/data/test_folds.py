"""The folds job as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.data.fold_file import read_folds
from models.data.folds import run
from models.data.generated import twin_functions
from models.errors import DataInvalid, Interrupted
from models.jobs.contract import JobContext, JobResult
from models.jobs.events import EventStream
from models.settings.folds import FoldsSettings

NUM_COMMITS = 30


def record(number: int, code: str, **changes: Any) -> dict[str, Any]:
    metadata = {"group": f"c{number // 2}", "project": ("p", "q", "")[number // 2 % 3], "source": "s"}
    return {"id": f"S-TRAIN-{number}", "label": number % 2, "code": code, "metadata": metadata} | changes


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    """Two functions a commit; no two of them are near copies, but the last is one of the first."""
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
    codes = []
    for number in range(2 * NUM_COMMITS):
        lines = (f"  {words[(number * 7 + k * 3) % 8]}{number}_{k}(b{k}, {number * 31 + k});" for k in range(12))
        codes.append(f"int f{number}(void)\n{{\n" + "\n".join(lines) + "\n}\n")
    codes[-1] = codes[0].replace("f0(void)", "copied(void)")
    return [record(number, code) for number, code in enumerate(codes)]


@pytest.fixture
def cut(tmp_path: Path, records: list[dict[str, Any]]) -> Callable[..., tuple[Path, JobResult]]:
    def made(
        rows: list[Any] | None = None, *, folder: str = "run", stop: bool = False, **changes: Any
    ) -> tuple[Path, JobResult]:
        data, run_path = tmp_path / "data", tmp_path / folder
        data.mkdir(exist_ok=True)
        run_path.mkdir(exist_ok=True)
        lines = (row if isinstance(row, str) else json.dumps(row) for row in (records if rows is None else rows))
        (data / "train.jsonl").write_text("".join(f"{line}\n" for line in lines))
        events = EventStream(run_path / "progress.jsonl", echo=None)
        try:
            context = JobContext(run_path, tmp_path, events, lambda: stop)
            return run_path, run(FoldsSettings(data=data, **changes), context)
        finally:
            events.close()

    return made


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_it_leaves_a_line_for_each_record_in_order_and_readers_find_them(
    cut: Callable[..., tuple[Path, JobResult]], records: list[dict[str, Any]]
):
    run_path, result = cut()
    rows = lines_of(run_path / "folds.jsonl")
    assert [row["id"] for row in rows] == [row["id"] for row in records]
    assert {row["fold"] for row in rows} == {0, 1, 2, 3, 4}
    assert result.files == ("folds.jsonl", "folds.json")
    assert {path.name for path in run_path.iterdir() if path.is_file()} == {*result.files, "progress.jsonl"}
    folds = read_folds(run_path, [row["id"] for row in records[::-1]])
    assert folds.fold.tolist() == [row["fold"] for row in rows[::-1]]


def test_a_near_copy_brings_two_commits_together_and_the_summary_adds_up(
    cut: Callable[..., tuple[Path, JobResult]], records: list[dict[str, Any]]
):
    run_path, result = cut()
    rows = lines_of(run_path / "folds.jsonl")
    assert {row["group"] for row in (*rows[:2], *rows[-2:])} == {"c0"}  # named by the first
    assert len({row["fold"] for row in (*rows[:2], *rows[-2:])}) == 1
    summary = json.loads((run_path / "folds.json").read_bytes())
    assert summary == result.numbers
    assert (summary["near_pairs"], summary["exact_copies"]) == (1, 0)
    assert (summary["num_groups"], summary["num_commits"]) == (NUM_COMMITS - 1, NUM_COMMITS)
    assert (summary["by"], summary["num_folds"], summary["never_held_out"], summary["largest_group"]) == (
        "group", 5, 0, 4
    )  # fmt: skip
    assert sum(fold["records"] for fold in summary["folds"]) == len(records)
    assert sum(fold["groups"] for fold in summary["folds"]) == NUM_COMMITS - 1
    for label in "01":
        assert sum(fold["labels"][label] for fold in summary["folds"]) == NUM_COMMITS


def test_an_exact_copy_counts_as_one_however_short(cut: Callable[..., tuple[Path, JobResult]]):
    codes = [code for pair in range(10) for code in twin_functions(pair)[1:]]
    rows = [record(2 * number, code, label=number % 2) for number, code in enumerate(codes)]
    rows += [record(101, "int f;", label=1), record(103, "int f; // again", label=0)]
    run_path, result = cut(rows, num_folds=2, near_duplicate_similarity=1.0)
    assert result.numbers["exact_copies"] == 1
    *_, one, other = lines_of(run_path / "folds.jsonl")
    assert (one["group"], one["fold"]) == (other["group"], other["fold"])


def test_by_project_records_without_one_and_shared_ones_are_never_held_out(
    cut: Callable[..., tuple[Path, JobResult]], records: list[dict[str, Any]]
):
    run_path, result = cut(by="project")
    rows = lines_of(run_path / "folds.jsonl")
    assert result.numbers["num_folds"] == 2
    # The last function is in no project and a near copy of the first, which is in p.
    expected = {row["id"] for row in records if not row["metadata"]["project"]} | {"S-TRAIN-0", "S-TRAIN-1"}
    assert {row["id"] for row in rows if row["fold"] is None} == expected
    assert result.numbers["never_held_out"] == len(expected)
    assert sorted(fold["projects"] for fold in result.numbers["folds"]) == [["p"], ["q"]]
    notices = [event["message"] for event in lines_of(run_path / "progress.jsonl") if event["event"] == "notice"]
    assert notices[0] == "2 projects, so 2 folds instead of 5"
    assert notices[1].startswith("22 of 60 records are never held out")


def test_equal_data_and_seed_give_equal_bytes_and_another_seed_others(cut: Callable[..., tuple[Path, JobResult]]):
    paths = [cut(folder=folder, seed=seed)[0] for folder, seed in (("a", 1), ("b", 1), ("c", 2))]
    one, again, other = ((path / "folds.jsonl").read_bytes() for path in paths)
    assert one == again != other


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "x", "label": 0}, r"train.jsonl:61: not a record of the preprocess job \(KeyError"),
        ("{", r"train.jsonl:61: not a record"),
        (record(999, "int f;", label=2), r"train.jsonl:61: a label is not 0 or 1"),
        (record(999, "int f;", id=7), r"train.jsonl:61: a label is not 0 or 1, or id, code or group is no text"),
    ],
)
def test_lines_that_are_no_records_are_refused(
    row: Any, message: str, cut: Callable[..., tuple[Path, JobResult]], records: list[dict[str, Any]]
):
    with pytest.raises(DataInvalid, match=message):
        cut([*records, row])


def test_no_record_and_no_file_are_refused(cut: Callable[..., tuple[Path, JobResult]], tmp_path: Path):
    with pytest.raises(DataInvalid, match="holds no record"):
        cut([])
    with pytest.raises(DataInvalid, match="directory of a finished preprocess run"):
        run(FoldsSettings(data=tmp_path / "none"), JobContext(tmp_path, tmp_path, EventStream(tmp_path / "p", None)))


def test_a_job_that_is_asked_to_stop_leaves_nothing(cut: Callable[..., tuple[Path, JobResult]], tmp_path: Path):
    with pytest.raises(Interrupted):
        cut(stop=True)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"progress.jsonl"}
