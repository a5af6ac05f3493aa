"""The findings job as a whole, on a small sample."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from models.data.columnar import open_records
from models.data.findings_preprocessing import run
from models.data.tokenizer_files import save_tokenizer
from models.jobs.contract import JobContext, JobResult
from models.jobs.events import EventStream
from models.settings.findings import FindingsSettings

RowOf = Callable[..., dict[str, Any]]
WriteFindings = Callable[..., Path]
SPLITS = ("train", "valid", "test")
SMALL = {"vocab_size": 300}


def make_records(data: Path, run_path: Path, **changes: Any) -> JobResult:
    run_path.mkdir(exist_ok=True)
    events = EventStream(run_path / "progress.jsonl", echo=None)
    try:
        settings = FindingsSettings(data=data, **(SMALL | changes))
        return run(settings, JobContext(run_path, run_path.parent, events))
    finally:
        events.close()


def bytes_of(run_path: Path, result: JobResult) -> dict[str, bytes]:
    return {name: (run_path / name).read_bytes() for name in result.files}


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def metadata_of(run_path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run_path / "findings_metadata.json").read_bytes())
    return content


def warnings_of(run_path: Path) -> list[str]:
    events = lines_of(run_path / "progress.jsonl")
    return [event["message"] for event in events if event["event"] == "notice" and event["level"] == "warning"]


def left_in(run_path: Path) -> set[str]:
    return {path.relative_to(run_path).as_posix() for path in run_path.rglob("*") if path.is_file()}


@pytest.fixture
def shared(row_of: RowOf, write_findings: WriteFindings) -> Path:
    """A folder whose train and val share three files."""
    rows = [row_of(number) for number in range(12)]
    of_chef = [row_of(number, "chef") for number in range(6)]
    return write_findings(
        {"train": [*rows[:3], rows[5], rows[7], *rows[8:], *of_chef], "val": [rows[3], rows[4], rows[6]]}
    )


def test_it_leaves_the_files_promised_and_nothing_else(write_findings: WriteFindings, tmp_path: Path) -> None:
    result = make_records(write_findings(), tmp_path / "run")
    assert left_in(tmp_path / "run") == {*result.files, "progress.jsonl"}
    assert set(result.files) == {
        "train.jsonl", "train.arrow", "valid.jsonl", "valid.arrow", "test.jsonl", "test.arrow",
        "findings_metadata.json", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json",
        "tokenizer/reading.json",
    }  # fmt: skip
    assert json.loads((tmp_path / "run" / "tokenizer" / "reading.json").read_bytes()) == {
        "collapse_whitespace": False,
        "trimming": "farthest_lines",
        "max_seq_len": 512,
    }
    phases = [event["phase"] for event in lines_of(tmp_path / "run" / "progress.jsonl") if event["event"] == "phase"]
    assert phases == ["read", "write", "save"]


def test_a_record_has_the_keys_of_a_function_and_no_graph(write_findings: WriteFindings, tmp_path: Path) -> None:
    make_records(write_findings(), tmp_path / "run", source="made")
    record = lines_of(tmp_path / "run" / "train.jsonl")[13]  # the second of chef
    tokenizer = Tokenizer.from_file(str(tmp_path / "run" / "tokenizer" / "tokenizer.json"))
    assert tokenizer.decode(record.pop("tokens")) == record["code"]
    del record["token_offsets"]
    num_tokens = {record["metadata"].pop(name) for name in ("num_tokens", "num_tokens_before_trim")}
    assert len(num_tokens) == 1
    assert record == {
        "id": "MADE-TRAIN-14",
        "code": "chef hard_coded_secret\n- name: user 1\n  # kept by hand\n>>>   password: s3cret1\n  state: present\n",
        "language": "chef",
        "ast_nodes": [],
        "edge_index": [],
        "edge_type": [],
        "label": 1,
        "metadata": {
            "source": "made", "split": "train", "given_split": "train", "file": "chef-0.yml", "technology": "chef",
            "smell": "hard_coded_secret", "line": 11, "row": 14, "label_source": "by hand", "in_combined": True,
            "project": "", "group": "chef/chef-0.yml", "trimming": "none",
        },
    }  # fmt: skip


def test_test_holds_all_technologies_by_name_and_ids_are_unique(write_findings: WriteFindings, tmp_path: Path) -> None:
    make_records(write_findings(), tmp_path / "run")
    records = {split: lines_of(tmp_path / "run" / f"{split}.jsonl") for split in SPLITS}
    assert [record["id"] for record in records["test"]] == [
        *(f"IAC-TEST-ANSIBLE-{row}" for row in range(1, 5)),
        *(f"IAC-TEST-CHEF-{row}" for row in range(1, 5)),
    ]
    ids = [record["id"] for found in records.values() for record in found]
    assert len(ids) == len(set(ids)) == 24 + 6 + 8


def test_the_arrow_files_are_copies_of_the_record_files(write_findings: WriteFindings, tmp_path: Path) -> None:
    result = make_records(write_findings(), tmp_path / "run")
    before = bytes_of(tmp_path / "run", result)
    for split in SPLITS:
        path = tmp_path / "run" / f"{split}.jsonl"
        table, records = open_records(path), lines_of(path)
        assert table.ids == [record["id"] for record in records]
        assert table.groups == [record["metadata"]["group"] for record in records]
        assert table.labels.tolist() == [record["label"] for record in records]
        assert [table.tokens(at).tolist() for at in range(len(table))] == [record["tokens"] for record in records]
        assert not np.any(table.node_ptr)
        path.with_suffix(".arrow").unlink()
        open_records(path)
    assert bytes_of(tmp_path / "run", result) == before  # made anew, to the byte


def test_equal_findings_give_equal_bytes_wherever_and_however_they_lie(shared: Path, tmp_path: Path) -> None:
    result = make_records(shared, tmp_path / "run")
    expected = bytes_of(tmp_path / "run", result)
    assert bytes_of(tmp_path / "run", make_records(shared, tmp_path / "run")) == expected

    moved = shutil.copytree(shared, tmp_path / "elsewhere")
    job = tmp_path / "job.json"
    job.write_text(FindingsSettings(data=moved, **SMALL).model_dump_json())
    command = [sys.executable, "-m", "models", str(job), f"--run-dir={tmp_path / 'there'}", f"--runs={tmp_path}"]
    subprocess.run(command, check=True, capture_output=True, env={"PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "1"})
    assert bytes_of(tmp_path / "there", result) == expected
    assert not any(str(tmp_path).encode() in content for content in expected.values())


def test_order_of_keys_and_compression_change_no_record(
    row_of: RowOf, write_findings: WriteFindings, tmp_path: Path
) -> None:
    rows = [row_of(number, "chef") for number in range(12)]
    shuffled = [dict(random.Random(row["line"]).sample(list(row.items()), len(row))) for row in rows]
    a = make_records(write_findings({"train": rows}, folder="a"), tmp_path / "run-a")
    make_records(write_findings({"train": shuffled}, folder="b", suffix=".jsonl.gz"), tmp_path / "run-b")
    for name in set(a.files) - {"findings_metadata.json"}:  # which holds names and digests of the files read
        assert (tmp_path / "run-a" / name).read_bytes() == (tmp_path / "run-b" / name).read_bytes()
    found = [metadata_of(tmp_path / name) for name in ("run-a", "run-b")]
    data = [metadata.pop("data") for metadata in found]
    assert found[0] == found[1]
    assert [each["train"]["file"] for each in data] == ["train.jsonl", "train.jsonl.gz"]


def test_the_order_of_rows_decides_neither_where_a_file_goes_nor_the_counts(
    row_of: RowOf, write_findings: WriteFindings, shared: Path, tmp_path: Path
) -> None:
    rows = {name: lines_of(shared / f"{name}.jsonl") for name in ("train", "val")}
    turned = write_findings({name: found[::-1] for name, found in rows.items()}, folder="turned")
    a, b = make_records(shared, tmp_path / "a"), make_records(turned, tmp_path / "b")
    assert a.numbers == b.numbers
    for split in SPLITS:
        places = [
            {(record["metadata"]["group"], record["metadata"]["line"], record["code"]) for record in lines_of(path)}
            for path in (tmp_path / "a" / f"{split}.jsonl", tmp_path / "b" / f"{split}.jsonl")
        ]
        assert places[0] == places[1]


@pytest.mark.parametrize("strategy", ["regroup", "drop"])
def test_shared_files_end_in_one_split_and_are_told(strategy: str, shared: Path, tmp_path: Path) -> None:
    result = make_records(shared, tmp_path / strategy, shared_files=strategy)
    records = {split: lines_of(tmp_path / strategy / f"{split}.jsonl") for split in SPLITS}
    groups = [{record["metadata"]["group"] for record in found} for found in records.values()]
    assert not groups[0] & groups[1]
    assert result.numbers["shared_files"]["files"] == 3
    assert result.numbers["shared_files"] == metadata_of(tmp_path / strategy)["shared_files"]
    assert any("3 files had findings in both train and val" in warning for warning in warnings_of(tmp_path / strategy))
    came_in = {"train": "train", "valid": "val", "test": "test"}
    facts = [(split, record["metadata"]) for split, found in records.items() for record in found]
    assert all(fact["split"] == split for split, fact in facts)
    moved = [fact for split, fact in facts if fact["given_split"] != came_in[split]]
    counts = result.numbers["shared_files"]
    assert len(moved) == counts["rows_moved_to_train"] + counts["rows_moved_to_val"]
    assert (len(moved) > 0) == (strategy == "regroup")


def test_test_stays_as_given_whatever_becomes_of_shared_files(
    tokenizer: Tokenizer, shared: Path, tmp_path: Path
) -> None:
    save_tokenizer(tokenizer.to_str(), tmp_path / "bpe")
    for strategy in ("regroup", "drop"):
        make_records(shared, tmp_path / strategy, shared_files=strategy, tokenizer=str(tmp_path / "bpe"))
    assert (tmp_path / "regroup" / "test.jsonl").read_bytes() == (tmp_path / "drop" / "test.jsonl").read_bytes()
    rows = [row for name in ("ansible", "chef") for row in lines_of(shared / "test" / f"{name}.jsonl")]
    records = lines_of(tmp_path / "drop" / "test.jsonl")
    assert [record["metadata"]["line"] for record in records] == [row["line"] for row in rows]


def test_the_metadata_count_what_is_in_the_record_files(
    row_of: RowOf, write_findings: WriteFindings, tmp_path: Path
) -> None:
    tests = [row_of(number, "chef", in_combined=number != 60) for number in range(60, 64)]
    twin = [row_of(20, smell="Weak crypto algorithm"), *(row_of(number) for number in range(20, 26)), row_of(21)]
    result = make_records(write_findings({"test/chef": tests, "val": twin}), tmp_path / "run")
    metadata = metadata_of(tmp_path / "run")
    assert metadata["test_sets"] == {
        "combined": {"findings": 7, "files": 4, "labels": {"FP": 3, "TP": 4}, "share_true": 0.5714},
        "ansible": {"findings": 4, "files": 2, "labels": {"FP": 2, "TP": 2}, "share_true": 0.5},
        "chef": {"findings": 4, "files": 2, "labels": {"FP": 2, "TP": 2}, "share_true": 0.5},
    }  # fmt: skip
    for split in SPLITS:
        records, counts = lines_of(tmp_path / "run" / f"{split}.jsonl"), metadata["splits"][split]
        assert counts["findings"] == len(records)
        assert counts["labels"]["TP"] == sum(record["label"] for record in records)
        assert counts["by_technology"].keys() == {record["language"] for record in records}
        assert sum(of_smell["findings"] for of_smell in counts["by_smell"].values()) == len(records)
        assert counts["tokens"]["max"] == max(len(record["tokens"]) for record in records)
    assert metadata["copies_left_out"] == {"train": 0, "val": 1, "test/ansible": 0, "test/chef": 0}
    assert result.numbers["copies_left_out"] == 1
    assert "rows that repeat another one's finding were left out: 1 of val" in warnings_of(tmp_path / "run")
    assert metadata["settings"]["shared_files"] == "regroup"


def test_what_was_cut_is_counted_and_warned_about(row_of: RowOf, write_findings: WriteFindings, tmp_path: Path) -> None:
    content = "url: " + "http://a.example " * 40
    wide = row_of(13, content=content, with_context=f"a\n23: {content}\nb")
    folder = write_findings({"train": [*(row_of(number) for number in range(12)), wide]})
    make_records(folder, tmp_path / "run", max_seq_len=32)
    records = lines_of(tmp_path / "run" / "train.jsonl")
    assert max(len(record["tokens"]) for record in records) == 32
    trimming = metadata_of(tmp_path / "run")["splits"]["train"]["trimming"]
    assert trimming["flagged_line"] >= 1
    assert sum(trimming.values()) == len(records)
    told = f"train: {trimming['flagged_line']} flagged lines are longer than max_seq_len and were cut"
    assert told in warnings_of(tmp_path / "run")


def test_a_given_tokenizer_makes_the_tokens_of_any_set(
    tokenizer: Tokenizer, write_findings: WriteFindings, tmp_path: Path
) -> None:
    save_tokenizer(tokenizer.to_str(), tmp_path / "bpe")
    result = make_records(write_findings(), tmp_path / "run", tokenizer=str(tmp_path / "bpe"))
    metadata = metadata_of(tmp_path / "run")
    assert metadata["tokenizer"]["name"] == metadata["settings"]["tokenizer"] == "bpe"
    assert result.numbers["vocab_size"] == tokenizer.get_vocab_size()
    record = lines_of(tmp_path / "run" / "valid.jsonl")[0]
    assert record["tokens"][1:-1] == tokenizer.encode(record["code"], add_special_tokens=False).ids
