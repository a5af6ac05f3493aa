"""The preprocess job as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from models.data.columnar import open_records
from models.data.generated import write_sample
from models.data.preprocessing import run
from models.data.tokenizer_files import save_tokenizer
from models.errors import DataInvalid, Interrupted, SettingsInvalid, TooManyRejected
from models.jobs.contract import JobContext, JobResult
from models.jobs.events import EventStream
from models.settings.preprocess import PreprocessSettings

WriteRaw = Callable[..., Path]
SMALL = {"vocab_size": 320, "num_workers": 1}


def preprocess(data: Path, run_path: Path, stop: Callable[[], bool] = lambda: False, **changes: Any) -> JobResult:
    run_path.mkdir(exist_ok=True)
    events = EventStream(run_path / "progress.jsonl", echo=None)
    try:
        settings = PreprocessSettings(data=data, **(SMALL | changes))
        return run(settings, JobContext(run_path, run_path.parent, events, stop))
    finally:
        events.close()


def bytes_of(run_path: Path, result: JobResult) -> dict[str, bytes]:
    return {name: (run_path / name).read_bytes() for name in result.files}


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def warnings_of(run_path: Path) -> list[str]:
    events = lines_of(run_path / "progress.jsonl")
    return [event["message"] for event in events if event["event"] == "notice" and event["level"] == "warning"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, num_functions=200)
    return folder


def test_it_leaves_the_files_promised_and_nothing_else(sample: Path, tmp_path: Path) -> None:
    run_path = tmp_path / "run"
    result = preprocess(sample, run_path)

    left = {path.relative_to(run_path).as_posix() for path in run_path.rglob("*") if path.is_file()}
    assert left == {*result.files, "progress.jsonl"}
    assert set(result.files) >= {
        "train.jsonl", "train.arrow", "valid.jsonl", "valid.arrow", "test.jsonl", "test.arrow",
        "rejected.jsonl", "preprocessing_metadata.json", "tokenizer/tokenizer.json",
    }  # fmt: skip
    assert result.numbers["total_graphs"] == 200
    assert result.numbers["splits"]["train"]["ast_success"] == 1.0


def test_bytes_are_the_same_for_any_number_of_workers_and_any_place(sample: Path, tmp_path: Path) -> None:
    alone = preprocess(sample, tmp_path / "alone")
    together = preprocess(sample, tmp_path / "together", num_workers=2)
    again = preprocess(sample, tmp_path / "alone", num_workers=1)

    assert bytes_of(tmp_path / "alone", alone) == bytes_of(tmp_path / "together", together)
    assert again.numbers == alone.numbers


def test_another_process_with_another_hash_seed_gives_the_same_bytes(sample: Path, tmp_path: Path) -> None:
    here = preprocess(sample, tmp_path / "here")
    job = tmp_path / "job.json"
    job.write_text(PreprocessSettings(data=sample, **SMALL).model_dump_json())
    command = [sys.executable, "-m", "models", str(job), f"--run-dir={tmp_path / 'there'}", f"--runs={tmp_path}"]
    subprocess.run(command, check=True, capture_output=True, env={"PYTHONHASHSEED": "77"})

    assert bytes_of(tmp_path / "here", here) == bytes_of(tmp_path / "there", here)


def test_the_arrow_files_are_copies_of_the_record_files(sample: Path, tmp_path: Path) -> None:
    result = preprocess(sample, tmp_path / "run")
    before = bytes_of(tmp_path / "run", result)

    for split in ("train", "valid", "test"):
        table = open_records(tmp_path / "run" / f"{split}.jsonl")
        records = lines_of(tmp_path / "run" / f"{split}.jsonl")
        assert table.ids == [record["id"] for record in records]
        assert table.groups == [record["metadata"]["group"] for record in records]
        assert bytes_of(tmp_path / "run", result) == before  # found up to date
        (tmp_path / "run" / f"{split}.arrow").unlink()
        open_records(tmp_path / "run" / f"{split}.jsonl")
        assert bytes_of(tmp_path / "run", result) == before  # made anew, to the byte


def test_records_are_the_rows_in_order(sample: Path, tmp_path: Path) -> None:
    preprocess(sample, tmp_path / "run", source="made")
    for split in ("train", "valid", "test"):
        rows, records = lines_of(sample / f"{split}.jsonl"), lines_of(tmp_path / "run" / f"{split}.jsonl")
        assert [record["id"] for record in records] == [f"MADE-{split.upper()}-{row['idx']}" for row in rows]
        assert [record["code"] for record in records] == [row["func"] for row in rows]
        assert [record["label"] for record in records] == [row["target"] for row in rows]
        assert [record["metadata"]["group"] for record in records] == [row["commit_id"] for row in rows]
        assert {len(record["tokens"]) for record in records} <= set(range(3, 513))


def bad_rows() -> dict[str, bytes]:
    def row(**values: Any) -> bytes:
        return json.dumps({"idx": 900, "func": "int f(void);", "target": 0} | values).encode()

    return {
        "broken_json": b'{"func": "int',
        "invalid_utf8": b'{"func": "\xff", "target": 0}',
        "nul_byte": row(func="a\0b"),
        "empty_func": row(func=" "),
        "missing_func": b'{"target": 1}',
        "missing_label": b'{"func": "f"}',
        "foreign_label": row(target="vulnerable"),
        "func_too_long": row(func="x" * 5_000_000),
        "line_too_long": row(func="x" * 8_000_000),
        "not_an_object": b"7",
        "duplicate_id": row(idx=0),
    }


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_each_bad_row_is_told_with_file_line_and_reason(suffix: str, write_raw: WriteRaw, tmp_path: Path) -> None:
    bad = bad_rows()
    good = [{"idx": n, "func": f"int f{n}(void) {{ return {n}; }}", "target": n % 2} for n in range(4)]
    folder = write_raw(suffix=suffix, valid=[*good, b"", *bad.values()])

    result = preprocess(folder, tmp_path / "run", max_rejected_fraction=0.8)

    rejected = lines_of(tmp_path / "run" / "rejected.jsonl")
    assert [(row["file"], row["line"], row["reason"]) for row in rejected] == [
        (f"valid{suffix}", 6 + at, reason) for at, reason in enumerate(bad)
    ]
    assert all(row["detail"] for row in rejected)
    metadata = json.loads((tmp_path / "run" / "preprocessing_metadata.json").read_bytes())
    valid = metadata["splits"]["valid"]
    assert valid["rejected_by_reason"] == dict.fromkeys(sorted(bad), 1)
    assert (valid["rows"], valid["accepted"], valid["blank_lines"]) == (15, 4, 1)
    assert result.numbers["splits"]["valid"]["rejected"] == 11
    assert any("11 of 15 rows rejected" in warning for warning in warnings_of(tmp_path / "run"))


def test_code_that_is_hard_to_parse_is_taken(write_raw: WriteRaw, tmp_path: Path) -> None:
    codes = [
        "void f() " + "{" * 10_000 + "}" * 10_000,
        "{" * 10_000,
        "x " * 50_000,
        "é🙂" * 5000,
        "\\",
        '"',
        "/*",
        "#if",
    ]
    folder = write_raw(train=[{"idx": n, "func": code, "target": n % 2} for n, code in enumerate(codes)])

    preprocess(folder, tmp_path / "run", max_nodes=100)

    records = lines_of(tmp_path / "run" / "train.jsonl")
    assert [record["code"] for record in records] == codes
    assert all(1 <= len(record["ast_nodes"]) <= 100 for record in records)
    assert any("parse without error" in warning for warning in warnings_of(tmp_path / "run"))


def test_too_many_bad_rows_end_the_job_and_leave_the_list(write_raw: WriteRaw, tmp_path: Path) -> None:
    folder = write_raw(valid=[b"{", {"idx": 1, "func": "f", "target": 1}, {"idx": 2, "func": "f", "target": 1}])

    with pytest.raises(TooManyRejected, match=r"valid\.jsonl: 1 of 3 rows.*rejected\.jsonl") as caught:
        preprocess(folder, tmp_path / "run", max_rejected_fraction=0.3)

    assert caught.value.exit_code == 2
    assert [row["reason"] for row in lines_of(tmp_path / "run" / "rejected.jsonl")] == ["broken_json"]
    assert not (tmp_path / "run" / "train.jsonl").exists()
    preprocess(folder, tmp_path / "run", max_rejected_fraction=0.34)


def test_a_split_without_a_usable_row_is_refused(write_raw: WriteRaw, tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match=r"test\.jsonl: holds no usable row"):
        preprocess(write_raw(test=[]), tmp_path / "run")


def test_a_missing_split_is_refused(write_raw: WriteRaw, tmp_path: Path) -> None:
    folder = write_raw()
    (folder / "valid.jsonl").unlink()
    with pytest.raises(DataInvalid, match=r"valid\.jsonl"):
        preprocess(folder, tmp_path / "run")


def test_a_quick_test_takes_the_first_hundred_usable_rows(write_raw: WriteRaw, tmp_path: Path) -> None:
    rows = [{"idx": n, "func": f"int f{n};", "target": n % 2} for n in range(150)]
    folder = write_raw(train=[b"{", *rows])

    result = preprocess(folder, tmp_path / "run", quick_test=True)

    assert [r["metadata"]["orig_id"] for r in lines_of(tmp_path / "run" / "train.jsonl")] == [
        str(n) for n in range(100)
    ]
    assert result.numbers["splits"]["train"] | {"accepted": 100, "rejected": 1} == result.numbers["splits"]["train"]
    metadata = json.loads((tmp_path / "run" / "preprocessing_metadata.json").read_bytes())
    assert metadata["settings"]["quick_test"] is True


def test_commits_and_copies_across_splits_are_warned_about(write_raw: WriteRaw, tmp_path: Path) -> None:
    body = "int copied(char *to, char *from)\n{\n  if (!from)\n    return -1;\n  strcpy(to, from);\n  return 0;\n}\n"
    row = {"idx": 50, "func": body, "target": 1, "commit_id": "shared"}
    others = {"commit_id": "c", "func": "int f;", "target": 0, "idx": 51}
    folder = write_raw(train=[row, others], test=[row, others | {"commit_id": "d"}])

    result = preprocess(folder, tmp_path / "run")

    warnings = warnings_of(tmp_path / "run")
    assert any("are in several splits (1 in train/test)" in warning for warning in warnings)
    assert any(warning.startswith("test: ") and "twin in train" in warning for warning in warnings)
    assert result.numbers["groups_in_several_splits"] == 1


def test_records_without_a_commit_are_their_own_group(write_raw: WriteRaw, tmp_path: Path) -> None:
    folder = write_raw(train=[{"func": "int f;", "target": 0}])
    preprocess(folder, tmp_path / "run")
    (record,) = lines_of(tmp_path / "run" / "train.jsonl")
    assert record["id"] == record["metadata"]["group"] == "CODEXGLUE-TRAIN-LINE-1".replace("LINE", "line")


def split_groups(run_path: Path) -> dict[str, list[tuple[str, str]]]:
    return {
        split: [(row["id"], row["metadata"]["group"]) for row in lines_of(run_path / f"{split}.jsonl")]
        for split in ("train", "valid", "test")
    }


def test_rows_without_a_commit_share_a_group_with_their_near_copies(write_raw: WriteRaw, tmp_path: Path) -> None:
    body = "".join(f"  a[{n}] = b[{n}] + {n};\n" for n in range(40))
    codes = [f"void f(int *a, int *b)\n{{\n{body}}}\n", f"void g(int *a, int *b)\n{{\n{body}}}\n", "int other;"]
    rows = [{"idx": at, "func": code, "target": at % 2} for at, code in enumerate(codes)]
    folder = write_raw(train=rows, test=[rows[1], rows[2] | {"commit_id": "known"}])

    preprocess(folder, tmp_path / "run")

    found = split_groups(tmp_path / "run")
    assert [group for _, group in found["train"]] == ["CODEXGLUE-TRAIN-0", "CODEXGLUE-TRAIN-0", "CODEXGLUE-TRAIN-2"]
    assert [group for _, group in found["test"]] == ["CODEXGLUE-TRAIN-0", "known"]
    assert any("(1 in train/test)" in warning for warning in warnings_of(tmp_path / "run"))


def commits(split: str) -> list[dict[str, Any]]:
    names = {"train": "aabcde", "valid": "bcf", "test": "cdg"}[split]
    return [{"idx": n, "func": f"int {split}{n};", "target": n % 2, "commit_id": name} for n, name in enumerate(names)]


def test_by_group_the_split_opened_last_keeps_a_commit(write_raw: WriteRaw, tmp_path: Path) -> None:
    folder = write_raw(train=commits("train"), valid=commits("valid"), test=commits("test"))

    result = preprocess(folder, tmp_path / "run", splits="by_group", max_rejected_fraction=0.0)

    found = split_groups(tmp_path / "run")
    assert {split: "".join(group for _, group in rows) for split, rows in found.items()} == {
        "train": "aae", "valid": "bf", "test": "cdg"
    }  # fmt: skip
    rejected = lines_of(tmp_path / "run" / "rejected.jsonl")
    assert [(row["file"], row["line"], row["reason"]) for row in rejected] == [
        ("train.jsonl", 3, "group_in_valid"),
        ("train.jsonl", 4, "group_in_test"),
        ("train.jsonl", 5, "group_in_test"),
        ("valid.jsonl", 2, "group_in_test"),
    ]
    metadata = json.loads((tmp_path / "run" / "preprocessing_metadata.json").read_bytes())
    train = metadata["splits"]["train"]
    assert train["dropped_by_reason"] == {"group_in_test": 2, "group_in_valid": 1}
    assert (train["rows"], train["accepted"], train["rejected"]) == (6, 3, 0)
    assert result.numbers["groups_in_several_splits"] == 0
    assert any("train: 3 of 6 rows dropped" in warning for warning in warnings_of(tmp_path / "run"))


def test_given_splits_stay_as_they_are(write_raw: WriteRaw, tmp_path: Path) -> None:
    folder = write_raw(train=commits("train"), valid=commits("valid"), test=commits("test"))
    result = preprocess(folder, tmp_path / "run")
    assert [len(rows) for rows in split_groups(tmp_path / "run").values()] == [6, 3, 3]
    assert result.numbers["groups_in_several_splits"] == 3


def test_a_quick_test_by_group_keeps_each_commit_in_one_split(write_raw: WriteRaw, tmp_path: Path) -> None:
    def rows(split: str) -> list[dict[str, Any]]:
        return [{"idx": n, "func": f"int {split}{n};", "target": n % 2, "commit_id": f"c{n // 2}"} for n in range(150)]

    shifted = [row | {"commit_id": f"{row['commit_id']}0" if row["idx"] < 90 else "c1"} for row in rows("test")]
    folder = write_raw(train=rows("train"), test=shifted)

    result = preprocess(folder, tmp_path / "run", splits="by_group", quick_test=True)

    accepted = {split: counts["accepted"] for split, counts in result.numbers["splits"].items()}
    groups = [{group for _, group in found} for found in split_groups(tmp_path / "run").values()]
    assert accepted["test"] == 100
    assert 0 < accepted["train"] < 100
    assert not groups[0] & groups[2]


def test_a_split_whose_commits_are_all_in_later_ones_is_refused(write_raw: WriteRaw, tmp_path: Path) -> None:
    folder = write_raw(train=commits("valid"), test=commits("valid"))
    with pytest.raises(DataInvalid, match=r"train\.jsonl: every usable row.*splits=given"):
        preprocess(folder, tmp_path / "run", splits="by_group")


def test_an_idx_that_reads_like_a_line_is_told_from_that_line(write_raw: WriteRaw, tmp_path: Path) -> None:
    folder = write_raw(
        train=[{"idx": "line-2", "func": "int f;", "target": 0}, {"func": "int g;", "target": 1, "commit_id": "c"}]
    )
    preprocess(folder, tmp_path / "run")
    ids = [record["id"] for record in lines_of(tmp_path / "run" / "train.jsonl")]
    assert ids == ["CODEXGLUE-TRAIN-idx-line-2", "CODEXGLUE-TRAIN-line-2"]
    assert lines_of(tmp_path / "run" / "rejected.jsonl") == []


def test_ids_are_unique_by_source_and_idx_and_metadata_say_where_from(write_raw: WriteRaw, tmp_path: Path) -> None:
    row = {"idx": 1, "func": "int f;", "target": 0}
    sources = [{}, {"source": "noisy", "origin": "crawler"}, {"source": "noisy"}, {"source": "Noisy"}]
    folder = write_raw(train=[row | source for source in sources])

    preprocess(folder, tmp_path / "run", source="made", max_rejected_fraction=0.5)

    records = lines_of(tmp_path / "run" / "train.jsonl")
    assert [(r["id"], r["metadata"]["source"], r["metadata"]["origin"]) for r in records] == [
        ("MADE-TRAIN-1", "made", ""),
        ("NOISY-TRAIN-1", "noisy", "crawler"),
    ]
    assert [found["reason"] for found in lines_of(tmp_path / "run" / "rejected.jsonl")] == ["duplicate_id"] * 2
    metadata = json.loads((tmp_path / "run" / "preprocessing_metadata.json").read_bytes())
    assert metadata["splits"]["train"]["sources"] == {"made": 1, "noisy": 1}


@pytest.mark.parametrize("source", ["../elsewhere", "a/b", "", ".hidden", "a\n", "a b"])
def test_a_source_that_is_no_plain_name_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="source"):
        PreprocessSettings(data=tmp_path, source=source)


def test_a_given_tokenizer_is_used_and_its_path_told_nowhere(tokenizer, write_raw: WriteRaw, tmp_path: Path) -> None:
    save_tokenizer(tokenizer.to_str(), tmp_path / "bpe")
    result = preprocess(write_raw(), tmp_path / "run", tokenizer=str(tmp_path / "bpe"))

    metadata = json.loads((tmp_path / "run" / "preprocessing_metadata.json").read_bytes())
    assert metadata["tokenizer"]["name"] == metadata["settings"]["tokenizer"] == "bpe"
    assert metadata["tokenizer"]["vocab_size"] == tokenizer.get_vocab_size()
    assert not any(str(tmp_path).encode() in content for content in bytes_of(tmp_path / "run", result).values())


def test_a_revision_without_a_tokenizer_is_refused(write_raw: WriteRaw, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="tokenizer_revision"):
        preprocess(write_raw(), tmp_path / "run", tokenizer_revision="abc")


def test_a_job_asked_to_stop_leaves_and_starts_over(sample: Path, tmp_path: Path) -> None:
    expected = bytes_of(tmp_path / "other", preprocess(sample, tmp_path / "other"))
    num_train = len(lines_of(sample / "train.jsonl"))
    # While groups are looked for, while the tokenizer is trained, and while records are written.
    for calls_before in (0, 200 + 1, 200 + num_train + 1):
        answers = iter([False] * calls_before + [True])
        with pytest.raises(Interrupted):
            preprocess(sample, tmp_path / "run", stop=lambda answers=answers: next(answers, True))
        assert not (tmp_path / "run" / "train.jsonl").exists()

    assert bytes_of(tmp_path / "run", preprocess(sample, tmp_path / "run")) == expected


def test_progress_reaches_people_but_not_too_often(sample: Path, tmp_path: Path) -> None:
    preprocess(sample, tmp_path / "run")
    events = lines_of(tmp_path / "run" / "progress.jsonl")
    assert [event["phase"] for event in events if event["event"] == "phase"] == ["read", "write", "save"]
    progress = [event for event in events if event["event"] == "progress"]
    assert {event["unit"] for event in progress} == {"functions read for the tokenizer", "functions"}
    assert all(0 < event["done"] <= event["total"] for event in progress)
    assert len(progress) < 2 + 5 * (events[-1]["time"] - events[0]["time"] + 1)
