"""How the findings job ends: done once for each tokenizer, interrupted, or refused before anything is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from models.data.tokenizer_files import save_tokenizer, train_tokenizer
from models.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED
from models.jobs.execution import Execution, execute
from models.jobs.keys import run_key
from models.jobs.registry import parse_job
from models.jobs.stopping import StopSignal
from models.settings.findings import FindingsSettings

RowOf = Callable[..., dict[str, Any]]
WriteFindings = Callable[..., Path]
Document = Callable[..., dict[str, Any]]


class StopAfter(StopSignal):
    """Up once it was read so many times."""

    def __init__(self, num_calls: int) -> None:
        super().__init__()
        self.num_left = num_calls

    def __call__(self) -> bool:
        self.num_left -= 1
        return self.num_left < 0


def end_of(data: Path, run_path: Path, stop: StopSignal | None = None, **changes: Any) -> int:
    settings = FindingsSettings(data=data, **({"vocab_size": 300} | changes))
    return execute(Execution(settings, run_path, run_path.parent, stop=stop or StopSignal()))


def message_of(run_path: Path) -> str:
    return str(json.loads((run_path / "outcome.json").read_bytes())["message"])


def deterministic_files(run_path: Path) -> dict[str, bytes]:
    names = [*json.loads((run_path / "manifest.json").read_bytes())["files"], "manifest.json"]
    return {name: (run_path / name).read_bytes() for name in names}


def made_in(run_path: Path) -> list[str]:
    """Records, tokenizer and metadata that lie there under their names."""
    return sorted(
        name for name in ("train.*", "valid.*", "test.*", "tokenizer", "findings_metadata.json", "manifest.json")
        for _ in run_path.glob(name)
    )  # fmt: skip


def test_one_tokenizer_is_one_run(tokenizer: Tokenizer, write_findings: WriteFindings, tmp_path: Path) -> None:
    """Trials that read with one tokenizer share its records, wherever it and the findings lie."""
    folder = write_findings()
    moved = shutil.copytree(folder, tmp_path / "moved")
    save_tokenizer(tokenizer.to_str(), tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "elsewhere" / "one")
    save_tokenizer(train_tokenizer(["some other text"], 300).to_str(), tmp_path / "other")

    def key(data: Path, name: str, **changes: Any) -> str:
        return run_key(FindingsSettings(data=data, tokenizer=str(tmp_path / name), **changes))

    assert key(folder, "one") == key(moved, "elsewhere/one", allow_network=True)
    others = [
        key(folder, "other"),
        key(folder, "one", context_lines=3),
        key(folder, "one", max_seq_len=64),
        key(folder, "one", shared_files="drop"),
        run_key(FindingsSettings(data=folder)),
    ]
    assert len({key(folder, "one"), *others}) == 1 + len(others)


def test_a_finished_run_is_not_made_again(write_findings: WriteFindings, tmp_path: Path) -> None:
    folder = write_findings()
    assert end_of(folder, tmp_path / "run") == EXIT_DONE
    before = (tmp_path / "run" / "train.jsonl").stat()
    assert end_of(shutil.copytree(folder, tmp_path / "moved"), tmp_path / "run") == EXIT_DONE
    after = (tmp_path / "run" / "train.jsonl").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("calls_before", [0, 1, 24, 25, 26, 27])
def test_a_job_asked_to_stop_leaves_no_record_and_starts_over(
    calls_before: int, write_findings: WriteFindings, tmp_path: Path
) -> None:
    """It looks before the tokenizer, at each of the 24 texts this learns from, and before each of the three splits."""
    folder = write_findings()
    assert end_of(folder, tmp_path / "run", StopAfter(calls_before)) == EXIT_INTERRUPTED
    assert made_in(tmp_path / "run") == []
    assert end_of(folder, tmp_path / "run") == end_of(folder, tmp_path / "undisturbed") == EXIT_DONE
    assert deterministic_files(tmp_path / "run") == deterministic_files(tmp_path / "undisturbed")
    assert not list((tmp_path / "run").glob(".findings*"))


@pytest.mark.parametrize(
    ("sets_of", "told"),
    [
        (lambda row: {"test/chef": [row(60, "chef"), row(61, "chef", label="x")]}, "chef.jsonl:2: label: expected TP"),
        (lambda row: {"test/chef": [row(0), row(1)]}, "chef.jsonl:1: tech: expected chef"),
        (lambda row: {"val": [row(20), row(22)]}, "val.jsonl: label: expected both TP and FP"),
        (lambda row: {"test/ansible": [row(0), row(1)]}, "ansible.jsonl:1: file: 'ansible-0.yml' is in "),
    ],
    ids=["label", "technology", "one class", "overlap"],
)
def test_a_fault_ends_the_job_before_anything_is_written(
    sets_of: Callable[[RowOf], Any], told: str, row_of: RowOf, write_findings: WriteFindings, tmp_path: Path
) -> None:
    assert end_of(write_findings(sets_of(row_of)), tmp_path / "run") == EXIT_REFUSED
    assert told in message_of(tmp_path / "run")
    assert made_in(tmp_path / "run") == []


def test_a_split_that_has_one_label_once_files_are_separated_is_refused(
    row_of: RowOf, write_findings: WriteFindings, tmp_path: Path
) -> None:
    rows = [row_of(0), row_of(1), row_of(3)]
    shared = row_of(30, file=rows[0]["file"])
    folder = write_findings({"train": rows, "val": [row_of(20), row_of(21), shared]})
    assert end_of(folder, tmp_path / "run", shared_files="drop") == EXIT_REFUSED
    told = "both TP and FP among the 1 rows that are left for train (shared_files=drop); found 0 FP, 1 TP"
    assert told in message_of(tmp_path / "run")
    assert made_in(tmp_path / "run") == []


def test_a_tokenizer_that_is_not_there_is_refused(write_findings: WriteFindings, tmp_path: Path) -> None:
    assert end_of(write_findings(), tmp_path / "run", tokenizer=str(tmp_path / "none")) == EXIT_REFUSED
    assert "tokenizer: no tokenizer" in message_of(tmp_path / "run")
    assert made_in(tmp_path / "run") == []


@pytest.mark.usefixtures("torch_left_as_found")
def test_a_graph_network_refuses_the_records(
    write_findings: WriteFindings, train_document: Document, tmp_path: Path
) -> None:
    assert end_of(write_findings(), tmp_path / "records") == EXIT_DONE
    train, val = (str(tmp_path / "records" / f"{split}.jsonl") for split in ("train", "valid"))
    settings = parse_job(json.dumps(train_document(train_data=train, val_data=val)))
    assert execute(Execution(settings, tmp_path / "run", tmp_path)) == EXIT_REFUSED
    assert "train.jsonl: no record has a syntax graph (those of findings have none)" in message_of(tmp_path / "run")
    assert not list((tmp_path / "run").glob("best_model*"))
