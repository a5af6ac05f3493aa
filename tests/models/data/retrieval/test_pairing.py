"""The pairs job: what becomes of rows and pairs, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from models.data.columnar import open_records
from models.data.retrieval.pairing import run
from models.data.retrieval.text_pairs import read_pairs
from models.data.tokenizer_files import save_tokenizer
from models.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED, DataInvalid
from models.jobs.execution import Execution, execute
from models.jobs.stopping import StopSignal
from models.settings.retrieval import PairsSettings

Rows = dict[str, list[dict[str, Any]]]
SMALL = {"vocab_size": 320, "max_seq_len": 32}


def bytes_of(run_path: Path, files: tuple[str, ...]) -> dict[str, bytes]:
    return {name: (run_path / name).read_bytes() for name in files}


def test_texts_keep_code_and_facts_and_test_is_apart(write_rows, balanced_rows, run_job, lines_of, tmp_path: Path):
    rows: Rows = balanced_rows()
    rows["train"][1]["augmented_from"] = "train-0"
    result = run_job(run, PairsSettings(data=write_rows(rows), **SMALL), tmp_path / "run")
    texts = lines_of(tmp_path / "run" / "texts.jsonl")
    assert [text["id"] for text in texts] == [row["id"] for row in rows["train"] + rows["val"]]
    assert [text["id"] for text in lines_of(tmp_path / "run" / "test_texts.jsonl")] == [
        row["id"] for row in rows["test"]
    ]
    for text, row in zip(texts, rows["train"] + rows["val"], strict=True):
        known = text["metadata"]
        assert text["code"] == row["code"]
        assert (text["label"], known["label"]) == (row["label"] or 0, row["label"])
        assert known["split"] == {"train": "train", "val": "valid"}[row["split"]]
        assert known["kind"] == ("original" if row["augmented_from"] is None else "augmented")
        assert (known["match"], known["group"], known["project"]) == (row["match"], row["group"], row["repo"])
    assert sorted(path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").rglob("*.*")) == sorted(
        [*result.files, "progress.jsonl"]
    )


def test_tokens_are_the_head_of_what_the_tokenizer_makes(made_pairs: Path, lines_of):
    tokenizer = Tokenizer.from_file(str(made_pairs / "tokenizer" / "tokenizer.json"))
    cut = 0
    for name in ("texts", "test_texts"):
        table = open_records(made_pairs / f"{name}.jsonl")
        for row, text in enumerate(lines_of(made_pairs / f"{name}.jsonl")):
            whole = tokenizer.encode(text["code"]).ids
            expected = whole if len(whole) <= 20 else [*whole[:19], whole[-1]]
            assert text["tokens"] == table.tokens(row).tolist() == expected
            begin, end = text["token_offsets"][-2]
            assert tokenizer.decode(text["tokens"]) == text["code"][:end]
            assert begin < end
            cut += len(whole) > 20
    metadata = json.loads((made_pairs / "pairs_metadata.json").read_bytes())
    assert sum(split["num_cut"] for split in metadata["splits"].values()) == cut > 0


def test_pairs_are_those_of_each_split(made_pairs: Path, balanced_rows):
    rows = balanced_rows()
    for split, name in (("train", "train"), ("val", "valid")):
        assert [tuple(pair)[:5] for pair in read_pairs(made_pairs / f"{name}_pairs.jsonl")] == [
            (pair["id"], pair["anchor"], pair["positive"], pair["match"], pair["group"])
            for pair in rows["pairs"]
            if pair["split"] == split
        ]
    metadata = json.loads((made_pairs / "pairs_metadata.json").read_bytes())
    assert {split: found["num_pairs"] for split, found in metadata["splits"].items()} == {
        "train": 6, "valid": 3, "test": 2,
    }  # fmt: skip


def test_a_quick_test_reads_a_hundred_of_each(write_rows, balanced_rows, run_job, lines_of, tmp_path: Path):
    data = write_rows(balanced_rows({"train": 130, "val": 104, "test": 2}))
    run_job(run, PairsSettings(data=data, quick_test=True, **SMALL), tmp_path / "run")
    texts = lines_of(tmp_path / "run" / "texts.jsonl")
    assert [text["id"] for text in texts] == [f"{split}-{at}" for split in ("train", "val") for at in range(100)]
    assert len(read_pairs(tmp_path / "run" / "train_pairs.jsonl")) == 50


def test_an_empty_test_is_told(write_rows, balanced_rows, run_job, warnings_in, tmp_path: Path):
    run_job(
        run, PairsSettings(data=write_rows(balanced_rows({"train": 4, "val": 2, "test": 0})), **SMALL), tmp_path / "run"
    )
    assert warnings_in(tmp_path / "run") == ["test holds no text: nothing can be measured on it"]
    assert len(open_records(tmp_path / "run" / "test_texts.jsonl")) == 0


def without_pairs_of(split: str) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        rows["pairs"] = [pair for pair in rows["pairs"] if pair["split"] != split]

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows.pop("val"), "val.jsonl: no such file"),
        (lambda rows: rows.pop("pairs"), "pairs.jsonl: no such file"),
        (lambda rows: rows["train"].clear(), "train.jsonl: holds no text"),
        (lambda rows: rows["train"][2].update(id="train-0"), "train.jsonl:3: id train-0 is there twice"),
        (lambda rows: rows["test"][1].update(id="train-0"), "test.jsonl:2: id train-0 is there twice"),
        (lambda rows: rows["val"][1].pop("match"), "val.jsonl:2: no row (KeyError: 'match')"),
        (lambda rows: rows["val"][1].update(label=2), "val.jsonl:2: no row (ValueError: label"),
        (lambda rows: rows["val"][1].update(code=" \n"), "val.jsonl:2: no row (ValueError: id or code is empty"),
        (lambda rows: rows["pairs"][1].update(positive="gone"), "pairs.jsonl:2: pair train-1 names the text gone"),
        (lambda rows: rows["pairs"][0].update(positive="val-0"), "names a text of train and one of valid"),
        (lambda rows: rows["pairs"][0].update(positive="train-0"), "names one text twice"),
        (lambda rows: rows["pairs"][0].update(positive="train-4"), "does the same as 'train-task-0', its texts as"),
        (lambda rows: rows["pairs"][1].update(id="train-0"), "pairs.jsonl:2: pair train-0 is there twice"),
        (lambda rows: rows["pairs"][1].pop("anchor"), "pairs.jsonl:2: no pair (KeyError: 'anchor')"),
        (without_pairs_of("train"), "holds no pair of train"),
        (without_pairs_of("val"), "holds no pair of valid"),
    ],
)
def test_a_fault_ends_the_job_before_anything_is_written(
    change: Callable[[Rows], Any], told: str, write_rows, balanced_rows, run_job, tmp_path: Path
):
    rows = balanced_rows()
    change(rows)
    with pytest.raises(DataInvalid) as refused:
        run_job(run, PairsSettings(data=write_rows(rows), **SMALL), tmp_path / "run")
    assert told in str(refused.value)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["progress.jsonl"]


def test_a_text_without_a_token_is_refused(write_rows, balanced_rows, run_job, tmp_path: Path):
    from tokenizers import models, normalizers, processors

    silent = Tokenizer(models.BPE({"<s>": 0, "</s>": 1, "<pad>": 2, "a": 3, "x": 4}, []))
    silent.normalizer = normalizers.Replace("b", "")
    silent.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    silent.add_special_tokens(["<s>", "</s>", "<pad>"])
    save_tokenizer(silent.to_str(), tmp_path / "silent")
    rows = balanced_rows()
    for row in rows["train"]:
        row["code"] = "aa"
    rows["train"][3]["code"] = "b"
    with pytest.raises(DataInvalid, match="no token of the text train-3"):
        run_job(
            run, PairsSettings(data=write_rows(rows), tokenizer=str(tmp_path / "silent"), **SMALL), tmp_path / "run"
        )
    assert not (tmp_path / "run" / "texts.jsonl").exists()


class StopAfter(StopSignal):
    """Up once it was read so many times."""

    def __init__(self, num_calls: int) -> None:
        super().__init__()
        self.num_left = num_calls

    def __call__(self) -> bool:
        self.num_left -= 1
        return self.num_left < 0


@pytest.mark.parametrize("calls_before", [0, 1, 5, 15, 16])
def test_a_job_asked_to_stop_starts_over_and_ends_alike(calls_before: int, write_rows, balanced_rows, tmp_path: Path):
    settings = PairsSettings(data=write_rows(balanced_rows()), **SMALL)

    def end_of(name: str, stop: StopSignal) -> int:
        return execute(Execution(settings, tmp_path / name, tmp_path, stop=stop))

    assert end_of("run", StopAfter(calls_before)) == EXIT_INTERRUPTED
    assert not (tmp_path / "run" / "manifest.json").exists()
    assert end_of("run", StopSignal()) == end_of("undisturbed", StopSignal()) == EXIT_DONE
    files = tuple(json.loads((tmp_path / "run" / "manifest.json").read_bytes())["files"])
    assert bytes_of(tmp_path / "run", files) == bytes_of(tmp_path / "undisturbed", files)
    assert not (tmp_path / "run" / ".pairs").exists()


def test_refused_is_an_exit_of_its_own(write_rows, balanced_rows, tmp_path: Path):
    rows = balanced_rows()
    rows["pairs"] = []
    settings = PairsSettings(data=write_rows(rows), **SMALL)
    assert execute(Execution(settings, tmp_path / "run", tmp_path, stop=StopSignal())) == EXIT_REFUSED


def test_every_hash_seed_gives_the_same_bytes(write_rows, balanced_rows, tmp_path: Path):
    data = write_rows(balanced_rows())
    made = []
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "models", "pairs", "--data", str(data), "--vocab-size", "320"]
        subprocess.run(
            [*command, "--runs", str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
            check=True,
            capture_output=True,
        )
        (run_path,) = (tmp_path / seed / "pairs").glob("*/*")
        files = tuple(json.loads((run_path / "manifest.json").read_bytes())["files"])
        made.append(bytes_of(run_path, files))
    assert made[0] == made[1]
