"""Measurements are read from what finished runs recorded, and from the ledger where they ran elsewhere."""

from __future__ import annotations

import json

import pytest

from models.errors import DataInvalid
from models.settings.contrastive import EmbeddingsSettings
from models.settings.gnn import GnnSettings
from models.settings.reranking import RerankerSettings
from models.settings.transformer import TransformerSettings
from tasks.aws.prices import Rate
from tasks.aws.settings import BudgetSettings
from tasks.ledger import End, Launch, Ledger
from tasks.measured_runs import measured_runs, model_name

BACKBONE = "microsoft/codebert-base"


@pytest.fixture
def run_path(tmp_path):
    """A finished run of 1000 records in 20 of 100 epochs, at 50 records a second."""
    path = tmp_path / "train" / "gnn_s42-abc" / "12345678"
    path.mkdir(parents=True)
    files = {
        "settings.json": {"model": GnnSettings().model_dump()},
        "result.json": {"numbers": {"num_train": 1000, "num_epochs": 20, "quick_test": False}},
        "record.json": {
            "attempts": [{}, {"samples_per_second": 50.0, "num_checkpoints": 4, "seconds_saving": 2.0}],
        },
        "build.json": {"machine": {"device_class": "cuda Tesla T4 7.5", "num_ranks": 2}},
        "question.json": {"run_key": "abc"},
        "manifest.json": {},
    }
    for name, content in files.items():
        (path / name).write_text(json.dumps(content))
    return path


def change(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_finished_run_is_measured_for_each_record_and_each_epoch_that_was_allowed(run_path, tmp_path):
    (found,) = measured_runs(tmp_path)
    assert (found.model, found.device_class, found.num_ranks) == ("gnn gcn 256 4", "cuda Tesla T4 7.5", 2)
    assert found.seconds_per_record_epoch == pytest.approx(1000 * 20 / 50 / (1000 * 100))
    assert found.checkpoint_seconds == pytest.approx(0.5)


def test_sagemakers_clock_counts_once_all_attempts_have_ended(run_path, tmp_path):
    ledger = Ledger(tmp_path)
    rate = Rate(0.7364, "a test", "2026-01-02")
    for name, seconds in (("a", 900.0), ("b", 500.0)):
        ledger.book_launch(Launch(name, "abc", "train", "x", "ml.g4dn.xlarge", 1, True, 9999, rate), BudgetSettings())
        (found,) = measured_runs(tmp_path, ledger.entries())
        assert found.seconds_per_record_epoch == pytest.approx(0.004)  # one runs: its time is not known
        ledger.book_end(End(name, "Completed", seconds, 100.0))
    (found,) = measured_runs(tmp_path, ledger.entries())
    # 1400 s, of which two starts took 300 s each: an estimate adds a start by itself.
    assert found.seconds_per_record_epoch == pytest.approx(800 / (1000 * 100))
    ledger.book_launch(Launch("c", "abc", "train", "x", "ml.g4dn.xlarge", 1, True, 9999, rate), BudgetSettings())
    ledger.book_end(End("c", "NotCreated", None, None))
    assert measured_runs(tmp_path, ledger.entries()) == [found]


def test_a_run_took_no_less_than_its_own_clock_says(run_path, tmp_path):
    ledger = Ledger(tmp_path)
    rate = Rate(0.7364, "a test", "2026-01-02")
    ledger.book_launch(Launch("a", "abc", "train", "x", "ml.g4dn.xlarge", 1, True, 9999, rate), BudgetSettings())
    ledger.book_end(End("a", "Completed", 450.0, 100.0))
    (found,) = measured_runs(tmp_path, ledger.entries())
    assert found.seconds_per_record_epoch == pytest.approx(0.004)


def test_quick_tests_unfinished_runs_and_those_that_tell_too_little_are_left_out(run_path, tmp_path):
    change(run_path / "result.json", numbers={"num_train": 100, "num_epochs": 1, "quick_test": True})
    assert measured_runs(tmp_path) == []
    change(run_path / "result.json", numbers={"num_train": 100, "num_epochs": 1})
    assert len(measured_runs(tmp_path)) == 1
    change(run_path / "record.json", attempts=[{"seconds": 3.0}])
    assert measured_runs(tmp_path) == []
    (run_path / "record.json").unlink()
    assert measured_runs(tmp_path) == []
    (run_path / "manifest.json").unlink()
    assert measured_runs(tmp_path) == []


def test_a_damaged_file_is_named(run_path, tmp_path):
    (run_path / "record.json").write_text("{")
    with pytest.raises(DataInvalid, match=r"record\.json"):
        measured_runs(tmp_path)


def test_models_are_named_by_what_sets_their_speed(run_path, tmp_path):
    pretrained, off = TransformerSettings(), TransformerSettings(pretrained="off")
    assert model_name(pretrained.model_dump()) == f"transformer {BACKBONE}"
    assert model_name(off.model_dump()).startswith("transformer small roberta ")
    # Weights were wanted and not at hand: what was trained is the small one.
    change(run_path / "settings.json", model=pretrained.model_dump())
    change(run_path / "result.json", numbers={"num_train": 10, "num_epochs": 1, "backbone": {"pretrained": False}})
    assert measured_runs(tmp_path)[0].model == model_name(off.model_dump())


def test_models_of_retrieval_have_names_too():
    assert model_name(RerankerSettings().model_dump()) == "reranker 256 2"
    assert model_name(EmbeddingsSettings().model_dump()) == "embeddings small roberta 256 0"
    assert model_name(EmbeddingsSettings(pretrained="auto").model_dump()) == f"embeddings {BACKBONE}"
