"""The candidates job: names, copies, left-out projects, and what never reaches its output."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.data.columnar import open_records
from models.data.retrieval.candidate_bugs import Bug, Candidate
from models.data.retrieval.candidate_lists import read_lists
from models.data.retrieval.candidates import run
from models.data.retrieval.left_out_projects import leave_out
from models.data.retrieval.lists_origin import is_learnt_from_held_out
from models.data.retrieval.texts import Texts
from models.errors import EXIT_DONE, EXIT_INTERRUPTED, DataInvalid
from models.jobs.execution import Execution, execute
from models.jobs.stopping import StopSignal
from models.settings.retrieval import CandidatesSettings

Patches = list[dict[str, Any]]
SMALL = {"vocab_size": 320, "max_seq_len": 64}
SPLITS = ("train", "valid", "held_out")


def write_patches(rows: Patches, path: Path) -> Path:
    path.write_bytes(gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in rows), mtime=0))
    return path


@pytest.fixture
def make(run_job: Any, tmp_path: Path) -> Callable[..., Path]:
    """Runs the job on patches; gives the run directory."""

    def made(rows: Patches, name: str = "run", **changes: Any) -> Path:
        data = write_patches(rows, tmp_path / f"{name}.jsonl.gz")
        run_job(run, CandidatesSettings(data=data, **(SMALL | changes)), tmp_path / name)
        return tmp_path / name

    return made


def metadata_of(run_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run_path / "candidates_metadata.json").read_bytes())
    return found


def outputs_of(run_path: Path) -> dict[str, bytes]:
    return {
        path.relative_to(run_path).as_posix(): path.read_bytes()
        for path in run_path.rglob("*")
        if path.is_file() and path.name != "progress.jsonl"
    }


def test_every_project_is_left_out_once_and_never_taught(make, patches):
    run_path = make(patches())
    for project in ("Alpha", "Beta", "Gamma"):
        lists = {split: read_lists(run_path / "projects" / project / f"{split}.jsonl") for split in SPLITS}
        assert {entry.list_id.partition("/")[0] for entry in lists["held_out"]} == {project}
        learnt = [entry.list_id for split in SPLITS[:2] for entry in lists[split]]
        assert sorted(learnt) == sorted(
            f"{other}/{bug}" for other in {"Alpha", "Beta", "Gamma"} - {project} for bug in range(6)
        )
        assert all(entry.is_mixed for entry in lists["valid"])
        assert len(lists["valid"]) == 2  # a fifth of the ten with both labels
        assert [len(lists["held_out"]), sum(entry.is_mixed for entry in lists["held_out"])] == [6, 5]
        assert {entry.split for entry in lists["train"]} == {"train"}
        assert {entry.split for entry in lists["held_out"]} == {project}
    counts = metadata_of(run_path)
    assert {name: counts[name] for name in ("num_bugs", "num_mixed", "num_one_label", "num_candidates")} == {
        "num_bugs": 18, "num_mixed": 15, "num_one_label": 3, "num_candidates": 54,
    }  # fmt: skip


def test_lists_name_the_texts_and_their_features(make, patches):
    run_path = make(patches())
    texts = Texts.open(run_path / "texts.jsonl", run_path / "tokenizer", 64)
    table = open_records(run_path / "texts.jsonl")
    entries = read_lists(run_path / "projects" / "Beta" / "held_out.jsonl")
    names = list(metadata_of(run_path)["features"])
    for entry in entries:
        assert (entry.query, entry.group, entry.num_relevant) == (None, entry.list_id, sum(entry.relevant))
        rows = texts.rows_of(entry.candidates, Path("held_out.jsonl"))
        assert [table.labels[row] for row in rows] == list(entry.relevant)
        assert {len(row) for row in entry.features} == {len(names)}
        bug = entry.list_id.partition("/")[2]
        for row, label in zip(rows, entry.relevant, strict=True):
            assert f"-    return a + {bug};\n+    return a " in table.code(row)
            assert texts.languages[row] == "java"
            assert label == (f"a - b + {bug}" in table.code(row) or bug == "5")


def test_no_name_of_a_tool_is_anywhere(make, patches, tools):
    rows = patches()
    for row in rows:
        row["after"] = row["after"].replace("    return", f"    // {row['tool']}'s patch begin\n    return")
    outputs = outputs_of(make(rows))
    for name, content in outputs.items():
        for tool in tools:
            assert tool.encode().lower() not in content.lower(), name
            assert tool.lower() not in name.lower()


class StopAfter(StopSignal):
    """Up once it was read so many times."""

    def __init__(self, num_calls: int) -> None:
        super().__init__()
        self.num_left = num_calls

    def __call__(self) -> bool:
        self.num_left -= 1
        return self.num_left < 0


@pytest.mark.parametrize("calls_before", [0, 20, 56, 74, 130])
def test_a_job_asked_to_stop_starts_over_and_ends_alike(calls_before: int, patches, tmp_path: Path):
    settings = CandidatesSettings(data=write_patches(patches(), tmp_path / "patches.jsonl.gz"), **SMALL)

    def end_of(name: str, stop: StopSignal) -> int:
        return execute(Execution(settings, tmp_path / name, tmp_path, stop=stop))

    assert end_of("run", StopAfter(calls_before)) == EXIT_INTERRUPTED
    assert not list((tmp_path / "run").glob("texts.*"))
    assert end_of("run", StopSignal()) == end_of("undisturbed", StopSignal()) == EXIT_DONE
    files = json.loads((tmp_path / "run" / "manifest.json").read_bytes())["files"]
    assert {f"projects/{name}/{split}.jsonl" for name in ("Alpha", "Beta", "Gamma") for split in SPLITS} <= set(files)
    for name in files:
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_file_decides_nothing(seed: int, make, patches):
    rows = patches()
    rows += [row | {"tool": "Other"} for row in rows[:5]]  # copies
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    assert outputs_of(make(rows)) == outputs_of(make(shuffled, "shuffled"))


def test_every_hash_seed_gives_the_same_bytes(patches, tmp_path: Path):
    data = write_patches(patches(), tmp_path / "patches.jsonl.gz")
    made = []
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "models", "candidates", "--data", str(data), "--vocab-size", "320"]
        subprocess.run(
            [*command, "--runs", str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
            check=True,
            capture_output=True,
        )
        (run_path,) = (tmp_path / seed / "candidates").glob("*/*")
        files = json.loads((run_path / "manifest.json").read_bytes())["files"]
        made.append({name: (run_path / name).read_bytes() for name in files})
    assert made[0] == made[1]


def test_copies_contradictions_and_empty_edits_are_counted(make, patches, warnings_in):
    rows = patches()
    alpha = rows[:3]
    rows.append(alpha[0] | {"after": alpha[0]["after"] + "// said by someone\n"})  # a copy but for the comment
    rows.append(alpha[1] | {"label": 1})  # called correct, once
    rows.append(alpha[0] | {"after": alpha[0]["before"]})
    rows.append(alpha[0] | {"after": alpha[0]["before"] + "// only this\n"})
    rows.append(alpha[0] | {"after": "x" * 10_000_000})
    rows.append(alpha[0] | {"after": "x" * 100_001})
    run_path = make(rows)
    found = metadata_of(run_path)
    assert found["num_rejected"] == {"changes_nothing": 1, "too_long": 2}
    assert found["num_dropped"] == {"changes_nothing": 1, "contradicted": 2, "copy": 1}
    assert found["num_candidates"] == 54 - 1
    told = warnings_in(run_path)
    assert "2 patches passed over: too_long" in told
    assert "2 patches dropped: the same result is called correct and wrong" in told


def test_what_reads_like_a_held_out_edit_does_not_teach(make, patches, warnings_in):
    rows = patches()
    theirs = next(row for row in rows if row["project"] == "Beta")
    rows.append(theirs | {"project": "Alpha", "bug_id": "twin", "label": 0})
    run_path = make(rows)
    held_out = {"Alpha": 1, "Beta": 1, "Gamma": 0}
    assert {
        project: found["num_copies_of_held_out"] for project, found in metadata_of(run_path)["projects"].items()
    } == (held_out)
    texts = {row["id"]: row["code"] for row in map(json.loads, (run_path / "texts.jsonl").read_bytes().splitlines())}
    for project in held_out:
        codes = [
            {
                texts[name]
                for entry in read_lists(run_path / "projects" / project / f"{split}.jsonl")
                for name in entry.candidates
            }
            for split in SPLITS
        ]
        assert not (codes[0] | codes[1]) & codes[2]
    assert any("1 patches of other projects read exactly as patches of Beta" in told for told in warnings_in(run_path))


def test_what_reads_like_an_edit_that_chooses_the_epoch_does_not_teach(make, patches, warnings_in):
    rows = patches()
    run_path = make(rows, "first")
    chosen = read_lists(run_path / "projects/Gamma/valid.jsonl")[0]
    project, bug = chosen.list_id.split("/")
    theirs = next(row for row in rows if (row["project"], row["bug_id"]) == (project, bug))
    other = {"Alpha": "Beta", "Beta": "Alpha"}[project]
    rows.append(theirs | {"project": other, "bug_id": "twin"})  # of one label, so it never chooses
    run_path = make(rows, "second")
    lists = {split: read_lists(run_path / "projects/Gamma" / f"{split}.jsonl") for split in SPLITS}
    assert chosen.list_id in {entry.list_id for entry in lists["valid"]}
    assert f"{other}/twin" not in {entry.list_id for entry in lists["train"]}
    assert metadata_of(run_path)["projects"]["Gamma"]["num_copies_of_valid"] == 1
    assert "1 patches that read exactly as one that chooses the epoch do not teach about Gamma" in warnings_in(run_path)


def test_who_chooses_may_leave_nothing_to_learn_from(tmp_path):
    candidates = [Candidate(f"c{label}", f"edit {label}", "", label, (0.0,)) for label in (0, 1)]
    bugs = [Bug(name, name[0], tuple(candidates)) for name in ("A/1", "A/2")] + [Bug("B/1", "B", ())]
    with pytest.raises(DataInvalid, match="leaves no bug with both labels to learn from: 2 edits read as"):
        leave_out(bugs, "B", valid_share=0.2, seed=1, path=tmp_path)


def test_what_the_tokenizer_was_learnt_from_is_said(make, patches, warnings_in, run_job, tmp_path):
    run_path = make(patches())
    assert metadata_of(run_path)["tokenizer_learnt_from_held_out_edits"] is True
    assert any("the tokenizer was learnt from the edits of all projects" in told for told in warnings_in(run_path))
    lists = run_path / "projects/Alpha/held_out.jsonl"
    assert is_learnt_from_held_out(lists) is True
    given = make(patches(), "given", tokenizer=str(run_path / "tokenizer"))
    assert metadata_of(given)["tokenizer_learnt_from_held_out_edits"] is False
    assert not any("tokenizer" in told for told in warnings_in(given))
    assert is_learnt_from_held_out(given / "projects/Alpha/held_out.jsonl") is False
    assert is_learnt_from_held_out(tmp_path / "lists.jsonl") is None


def test_code_that_no_grammar_reads_is_counted(make, patches, warnings_in):
    rows = patches()
    before = "class T { /* said */ int x( {\n"
    rows.append(rows[0] | {"bug_id": "unread", "before": before, "after": before + "y // by someone"})
    run_path = make(rows)
    assert metadata_of(run_path)["num_unread"] == 1
    assert any("1 patches are of code that no grammar reads" in told for told in warnings_in(run_path))


def test_a_quick_test_takes_a_hundred_bugs_whatever_the_order(make, patches):
    rows = patches(num_bugs=60)
    run_path = make(rows, quick_test=True)
    assert metadata_of(run_path)["num_bugs"] == 100
    assert outputs_of(run_path) == outputs_of(make(rows[::-1], "turned", quick_test=True))


def test_the_seed_chooses_who_chooses_the_epoch(make, patches):
    valid = [
        [
            entry.list_id
            for entry in read_lists(make(patches(num_bugs=12), f"run{seed}", seed=seed) / "projects/Beta/valid.jsonl")
        ]
        for seed in (1, 2)
    ]
    assert len(valid[0]) == len(valid[1]) == 4
    assert valid[0] != valid[1]


def one_label(rows: Patches) -> None:
    for row in rows:
        if row["project"] != "Alpha":
            row["label"] = 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows.clear(), "holds no patch that can be used"),
        (
            lambda rows: [row.update(project="Alpha") for row in rows],
            "all patches are of Alpha; one project is left out",
        ),
        (one_label, "leaving Alpha out leaves 0 bugs with both correct and wrong patches"),
        (lambda rows: rows[3].pop("before"), "jsonl.gz:4: before or after is missing"),
        (lambda rows: rows[3].update(after=None), "jsonl.gz:4: before or after is missing"),
        (lambda rows: rows[3].update(label="1"), "jsonl.gz:4: label must be 0 or 1, found '1'"),
        (lambda rows: rows[3].update(label=2), "jsonl.gz:4: label must be 0 or 1, found 2"),
        (lambda rows: rows[3].pop("label"), "jsonl.gz:4: label must be 0 or 1, found None"),
        (lambda rows: rows[3].pop("project"), "jsonl.gz:4: project or bug_id is missing"),
        (lambda rows: rows[3].update(project="../Alpha"), "jsonl.gz:4: project or bug_id is missing or no name"),
        (lambda rows: rows[3].update(bug_id=True), "jsonl.gz:4: project or bug_id is missing or no name"),
        (lambda rows: rows.insert(3, [1]), "jsonl.gz:4: no patch (not_an_object"),
    ],
)
def test_a_fault_ends_the_job_before_anything_is_written(
    change: Callable[[Patches], Any], told: str, make, patches, tmp_path: Path
):
    rows = patches()
    change(rows)
    with pytest.raises(DataInvalid) as refused:
        make(rows)
    assert told in str(refused.value)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["progress.jsonl"]


def test_a_missing_file_is_refused(tmp_path: Path, run_job):
    with pytest.raises(DataInvalid, match="no such file; expected"):
        run_job(run, CandidatesSettings(data=tmp_path / "gone.jsonl", **SMALL), tmp_path / "run")
