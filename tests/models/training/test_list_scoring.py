"""The score job: its rows, the log of openings, what it refuses, and what it says it could not check."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.data.retrieval.candidate_lists import list_line, read_lists
from models.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED
from models.jobs.stopping import StopSignal
from models.store.openings import read_openings

KINDS = ("reranker", "cross_encoder", "patch_ranker")


@pytest.fixture
def score_document(ranked_lists: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def made(**changes: Any) -> dict[str, Any]:
        return {
            "kind": "score",
            "model_run": str(tmp_path / "run"),
            "lists": str(ranked_lists / "test_lists.jsonl"),
            "texts": str(ranked_lists / "texts.jsonl"),
            "purpose": "a test",
            "compute": {"device": "cpu"},
            **changes,
        }

    return made


@pytest.fixture
def train(run_job: Callable[..., int], ranker_document: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    """Trains a ranker for an epoch in the folder ``run``."""

    def done(kind: str = "patch_ranker", **changes: Any) -> None:
        assert run_job(ranker_document(kind, {"epochs": 1}, **changes), "run") == EXIT_DONE

    return done


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "scores.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_list_is_scored_in_the_order_of_its_file_once_its_opening_is_logged(
    kind: str,
    train: Callable[..., None],
    run_job: Callable[..., int],
    score_document: Callable[..., dict[str, Any]],
    ranked_lists: Path,
    tmp_path: Path,
):
    train(kind)
    assert run_job(score_document(), "scored") == EXIT_DONE
    rows, entries = rows_of(tmp_path / "scored"), read_lists(ranked_lists / "test_lists.jsonl")
    assert [row["id"] for row in rows] == [entry.list_id for entry in entries]
    for row, entry in zip(rows, entries, strict=True):
        assert row.keys() == {"id", "group", "candidates", "relevant", "scores"}
        assert (row["group"], row["candidates"], row["relevant"]) == (
            entry.group,
            list(entry.candidates),
            list(entry.relevant),
        )
        assert len(row["scores"]) == len(entry.candidates)
    numbers = json.loads((tmp_path / "scored" / "result.json").read_text())["numbers"]
    assert numbers["num_lists"] == len(entries)
    assert numbers["not_checked_for_leaks"] == []
    openings = read_openings(tmp_path)
    assert [(opening.split, opening.purpose) for opening in openings] == [
        ("test_lists", "a test"),
        ("texts", "a test"),
    ]
    assert run_job(score_document(), "again") == EXIT_DONE
    assert (tmp_path / "again" / "scores.jsonl").read_bytes() == (tmp_path / "scored" / "scores.jsonl").read_bytes()


@pytest.mark.parametrize("split", ["train", "valid"])
def test_lists_that_the_model_was_trained_or_selected_on_are_refused(
    split: str,
    train: Callable[..., None],
    run_job: Callable[..., int],
    score_document: Callable[..., dict[str, Any]],
    ranked_lists: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    train()
    seen, new = (read_lists(ranked_lists / f"{name}_lists.jsonl") for name in (split, "test"))
    path = tmp_path / "lists.jsonl"
    for entry in (seen[0]._replace(group="another"), new[0]._replace(group=seen[1].group)):
        path.write_bytes(list_line(entry) + list_line(new[1]))
        assert run_job(score_document(lists=str(path)), f"scored-{entry.list_id}") == EXIT_REFUSED
        assert "trained or selected on 1 of 2 lists or their groups" in capsys.readouterr().err
        assert not (tmp_path / f"scored-{entry.list_id}" / "scores.jsonl").exists()


def test_what_the_encoder_of_a_reranker_learnt_from_is_refused_too(
    train: Callable[..., None],
    run_job: Callable[..., int],
    score_document: Callable[..., dict[str, Any]],
    ranked_lists: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    """The reranker learns from half of the lists; its encoder saw pairs of all of them."""
    entries = read_lists(ranked_lists / "train_lists.jsonl")
    half, rest = tmp_path / "half.jsonl", tmp_path / "rest.jsonl"
    half.write_bytes(b"".join(map(list_line, entries[:20])))
    rest.write_bytes(b"".join(map(list_line, entries[20:])))
    train("reranker", train_data=str(half), texts=str(ranked_lists / "texts.jsonl"))
    assert run_job(score_document(lists=str(rest)), "scored") == EXIT_REFUSED
    assert f"trained or selected on {len(entries) - 20} of {len(entries) - 20} lists" in capsys.readouterr().err


def test_data_that_are_gone_or_changed_are_said_not_to_be_checked(
    train: Callable[..., None],
    run_job: Callable[..., int],
    score_document: Callable[..., dict[str, Any]],
    ranked_lists: Path,
    tmp_path: Path,
):
    copies = {split: tmp_path / f"{split}_lists.jsonl" for split in ("train", "valid")}
    for split, path in copies.items():
        shutil.copy2(ranked_lists / f"{split}_lists.jsonl", path)
    texts = str(ranked_lists / "texts.jsonl")
    train(train_data=str(copies["train"]), val_data=str(copies["valid"]), texts=texts)
    copies["train"].unlink()
    copies["valid"].write_bytes(copies["valid"].read_bytes() + b"\n")
    assert run_job(score_document(), "scored") == EXIT_DONE
    result = json.loads((tmp_path / "scored" / "result.json").read_text())
    assert result["numbers"]["not_checked_for_leaks"] == ["train_data", "val_data"]
    told = [json.loads(line) for line in (tmp_path / "scored" / "progress.jsonl").read_text().splitlines()]
    warnings = [event["message"] for event in told if event.get("level") == "warning"]
    assert len([message for message in warnings if "was not checked there" in message]) == 2


def test_a_text_that_is_missing_an_unfinished_run_and_several_ranks_are_refused(
    train: Callable[..., None],
    run_job: Callable[..., int],
    score_document: Callable[..., dict[str, Any]],
    ranked_lists: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    train()
    shutil.copytree(ranked_lists / "tokenizer", tmp_path / "tokenizer")
    lines = (ranked_lists / "texts.jsonl").read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["id"] != "test-0-1"]
    (tmp_path / "texts.jsonl").write_text("\n".join(kept) + "\n")
    assert run_job(score_document(texts=str(tmp_path / "texts.jsonl")), "one") == EXIT_REFUSED
    assert "names the text test-0-1, which is not in" in capsys.readouterr().err
    assert run_job(score_document(compute={"device": "cpu", "num_ranks": 2}), "two") == EXIT_REFUSED
    assert "scoring runs in one process" in capsys.readouterr().err
    (tmp_path / "run" / "manifest.json").unlink()
    assert run_job(score_document(), "three") == EXIT_REFUSED
    assert "is not finished" in capsys.readouterr().err


def test_a_model_that_ranks_no_candidates_is_refused_before_anything_is_opened(
    run_job: Callable[..., int],
    score_document: Callable[..., dict[str, Any]],
    train_document: Callable[..., dict[str, Any]],
    ranked_lists: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    assert run_job(train_document({"epochs": 1}), "run") == EXIT_DONE
    for run_path, kind in ((tmp_path / "run", "gnn"), (ranked_lists / "encoder", "embeddings")):
        assert run_job(score_document(model_run=str(run_path)), f"scored-{kind}") == EXIT_REFUSED
        assert f"trained a model of kind {kind}, which ranks no candidates" in capsys.readouterr().err
    assert read_openings(tmp_path) == []


def test_an_encoder_that_was_changed_is_not_compared_by(
    train: Callable[..., None],
    run_job: Callable[..., int],
    score_document: Callable[..., dict[str, Any]],
    ranker_document: Callable[..., dict[str, Any]],
    ranked_lists: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    shutil.copytree(ranked_lists / "encoder", tmp_path / "encoder")
    model = {"encoder": str(tmp_path / "encoder"), "epochs": 1}
    assert run_job(ranker_document("reranker", model), "run") == EXIT_DONE
    shutil.rmtree(tmp_path / "encoder")
    settings = json.loads((ranked_lists / "encoder" / "settings.json").read_text())
    assert run_job(settings | {"seed": 5}, "encoder") == EXIT_DONE
    assert run_job(score_document(), "scored") == EXIT_REFUSED
    assert "is not the encoder that" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "encoder")
    assert run_job(score_document(), "gone") == EXIT_REFUSED
    assert "is not a finished run" in capsys.readouterr().err


def test_a_job_that_is_asked_to_leave_begins_anew(
    train: Callable[..., None],
    run_job: Callable[..., int],
    score_document: Callable[..., dict[str, Any]],
    tmp_path: Path,
):
    train()
    assert run_job(score_document(), "scored", stop=Asked()) == EXIT_INTERRUPTED
    assert run_job(score_document(), "scored") == EXIT_DONE
    assert len(rows_of(tmp_path / "scored")) == 12


class Asked(StopSignal):
    """Up from the second look on."""

    num_looks = 0

    def __call__(self) -> bool:
        self.num_looks += 1
        return self.num_looks > 1
