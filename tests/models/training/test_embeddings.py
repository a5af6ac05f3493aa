"""The dual encoder on the engine: what it leaves, resumes and refuses; several ranks; memory that runs out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from models.data.retrieval.text_pairs import TextPair, pair_line, read_pairs
from models.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED, DataInvalid, MemoryExhausted, SettingsInvalid
from models.jobs.stopping import StopSignal
from models.settings.contrastive import EmbeddingsSettings
from models.training import state
from models.training.embeddings import EmbeddingsObjective
from models.training.embeddings_files import read_meta
from models.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[3]
LEFT = {"embeddings_model.safetensors", "embeddings_meta.json", "vocab.json", "history.json", "predictions_valid.jsonl"}


def scores_of(objective: Any, examples: Any, budget: int = 400) -> torch.Tensor:
    scores: torch.Tensor = objective.scores(examples, np.arange(len(examples)), budget=budget)
    return scores


def trained_again(run_path: Path) -> EmbeddingsObjective:
    settings = json.loads((run_path / "settings.json").read_bytes())["model"]
    return EmbeddingsObjective.trained(EmbeddingsSettings.model_validate(settings), run_path)


class StopAtStep(StopSignal):
    """Up once it was read so many times: once in each step."""

    def __init__(self, num_looks: int) -> None:
        super().__init__()
        self.num_left = num_looks

    def __call__(self) -> bool:
        self.num_left -= 1
        return self.num_left <= 0


def left_by(run_path: Path) -> dict[str, bytes]:
    head = json.loads((run_path / "checkpoints" / "head.json").read_bytes())
    parts = (run_path / "checkpoints" / head["newest"]).iterdir()
    files = {path.name: path.read_bytes() for path in parts if path.name != "manifest.json"}
    return files | {"manifest of the run": (run_path / "manifest.json").read_bytes()}


@pytest.mark.parametrize("model", [{}, {"towers": "separate", "learn_temperature": False}], ids=["shared", "separate"])
def test_a_run_leaves_an_encoder_that_gives_the_same_embeddings_again(
    model: dict[str, Any],
    run_job: Callable[..., int],
    pair_document: Callable[..., dict[str, Any]],
    pair_records: Path,
    tmp_path: Path,
):
    assert run_job(pair_document(model), "run") == EXIT_DONE
    run_path = tmp_path / "run"
    numbers = json.loads((run_path / "result.json").read_bytes())["numbers"]
    assert set(json.loads((run_path / "manifest.json").read_bytes())["files"]) > LEFT
    again = trained_again(run_path)
    val = again.load(pair_records / "valid_pairs.jsonl", limit=None)
    metrics = again.metrics(val, scores_of(again, val).numpy())
    assert metrics["val_mrr"] == numbers["best"]["val_mrr"]
    assert metrics["val_loss"] == pytest.approx(numbers["best"]["val_loss"], abs=1e-6)
    rows = [json.loads(line) for line in (run_path / "predictions_valid.jsonl").read_bytes().splitlines()]
    assert np.mean([1 / row["rank"] for row in rows]) == pytest.approx(metrics["val_mrr"])
    assert numbers["temperature"] == read_meta(run_path)["temperature"] == again.model.temperature
    assert (again.model.temperature == pytest.approx(0.07)) == (model != {})
    assert numbers["backbone"]["pretrained"] is False
    vocabulary = json.loads((run_path / "vocab.json").read_bytes())
    assert vocabulary == Tokenizer.from_file(str(run_path / "tokenizer" / "tokenizer.json")).get_vocab()
    assert list(vocabulary.values()) == sorted(vocabulary.values())
    assert str(pair_records) not in (run_path / "embeddings_meta.json").read_text()


def test_training_brings_pairs_together(pair_trainer_of: Callable[..., Trainer]):
    trainer = pair_trainer_of({"epochs": 12, "warmup_steps": 0, "learning_rate": 3e-3, "dropout": 0.0})

    def distance() -> float:
        anchors, positives = scores_of(trainer.objective, trainer.train).chunk(2, dim=1)
        cosines = anchors @ positives.T
        return float(cosines.diagonal().mean() - cosines.mean())

    before = distance()
    history = trainer.fit().history
    assert history[-1]["train_loss"] < history[0]["train_loss"] - 0.3
    assert distance() > before + 0.1


def test_a_run_stopped_anywhere_ends_with_the_same_bytes(
    run_job: Callable[..., int], pair_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    document = pair_document(checkpoints={"every_steps": None})
    assert run_job(document, "undisturbed") == EXIT_DONE
    for num_looks in (1, 2, 3):
        assert run_job(document, "run", stop=StopAtStep(num_looks)) == EXIT_INTERRUPTED
    assert run_job(document, "run") == EXIT_DONE
    attempts = json.loads((tmp_path / "run" / "record.json").read_bytes())["attempts"]
    assert [attempt["resumed_at_step"] for attempt in attempts][:3] == [0, 1, 3]
    assert left_by(tmp_path / "run") == left_by(tmp_path / "undisturbed")


@pytest.mark.parametrize("num_ranks", [2, pytest.param(3, marks=pytest.mark.long)])
def test_several_ranks_make_the_steps_of_one(
    num_ranks: int, run_job: Callable[..., int], pair_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    model = {"dropout": 0.0, "epochs": 1, "batch_size": 7, "warmup_steps": 0}
    histories, weights = [], []
    for ranks in (1, num_ranks):
        document = pair_document(model, compute={"device": "cpu", "num_ranks": ranks})
        assert run_job(document, f"{ranks}-ranks") == EXIT_DONE
        histories.append(json.loads((tmp_path / f"{ranks}-ranks" / "history.json").read_bytes()))
        weights.append(load_file(tmp_path / f"{ranks}-ranks" / "embeddings_model.safetensors"))
    assert histories[0]["sample_digests"] == histories[1]["sample_digests"]
    assert histories[0]["epochs"][0]["train_loss"] == pytest.approx(histories[1]["epochs"][0]["train_loss"], abs=1e-5)
    for name, tensor in weights[0].items():
        torch.testing.assert_close(
            weights[1][name], tensor, rtol=0, atol=3e-4, msg=lambda text, name=name: f"{name}: {text}"
        )
    torch.testing.assert_close(weights[1]["log_scale"], weights[0]["log_scale"], rtol=0, atol=1e-5)


def test_validation_reads_each_text_once_and_ranks_do_not_depend_on_the_budget(
    pair_trainer_of: Callable[..., Trainer],
):
    trainer = pair_trainer_of()
    small, large = (scores_of(trainer.objective, trainer.val, budget) for budget in (60, 10**6))
    torch.testing.assert_close(small, large, rtol=0, atol=1e-6)
    some = trainer.objective.scores(trainer.val, np.array([3, 0]), budget=400)
    torch.testing.assert_close(some, large[[3, 0]], rtol=0, atol=1e-6)


def test_a_step_that_ran_out_of_memory_is_done_again_with_half_the_budget(pair_trainer_of: Callable[..., Trainer]):
    def runs_out(trainer: Trainer, times: int) -> None:
        objective: Any = trainer.objective
        embed, left = objective._embed, [times]

        def scarce(texts: Any, rows: Any, side: int) -> torch.Tensor:
            if trainer.position.step == 2 and left[0] and objective.model.training:
                left[0] -= 1
                torch.rand(3)
                raise torch.OutOfMemoryError("no room")
            found: torch.Tensor = embed(texts, rows, side)
            return found

        objective._embed = scarce

    scarce = pair_trainer_of(folder="scarce")
    runs_out(scarce, times=1)
    assert scarce.fit().halvings == [[2, 200]]
    halved = pair_trainer_of(folder="halved")
    step = halved.step

    def half_from_step_2(records: Any) -> tuple[bool, bool]:
        if halved.position.step == 2:
            halved.position.micro_budget = 200
        return step(records)

    halved.step = half_from_step_2  # type: ignore[method-assign]
    halved.fit()
    assert state.model_to_bytes(scarce.stateful.model) == state.model_to_bytes(halved.stateful.model)
    hopeless = pair_trainer_of(folder="hopeless")
    runs_out(hopeless, times=99)
    with pytest.raises(MemoryExhausted, match="one record at a time at step 2"):
        hopeless.fit()


SHORT_RANK = """
import sys
if "--rank=1" in sys.orig_argv:
    import torch
    from models.training.embeddings import EmbeddingsObjective
    embed, calls = EmbeddingsObjective._embed, [0]
    def scarce(self, texts, rows, side):
        calls[0] += self.model.training
        if calls[0] == 9:
            raise torch.OutOfMemoryError("no room")
        return embed(self, texts, rows, side)
    EmbeddingsObjective._embed = scarce
"""
"""Found by every interpreter before its program; only one of the ranks changes."""


def test_ranks_halve_together_when_one_of_them_has_no_room(
    pair_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SHORT_RANK)
    job_path = tmp_path / "job.json"
    job_path.write_text(json.dumps(pair_document({"epochs": 1}, compute={"device": "cpu", "num_ranks": 2})))
    command = [sys.executable, "-m", "models", str(job_path), f"--run-dir={tmp_path / 'run'}", f"--runs={tmp_path}"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == EXIT_DONE, done.stderr
    numbers = json.loads((tmp_path / "run" / "result.json").read_bytes())["numbers"]
    assert [budget for _, budget in numbers["halvings"]] == [200]


def test_the_first_pairs_are_learnt_from_and_validation_stays_whole(pair_trainer_of: Callable[..., Trainer]):
    trainer = pair_trainer_of({"max_pairs": 7})
    whole = pair_trainer_of()
    assert trainer.train.ids == whole.train.ids[:7]
    assert trainer.val.ids == whole.val.ids


def test_weights_and_temperature_are_no_less_than_they_say(pair_trainer_of: Callable[..., Trainer]):
    trainer = pair_trainer_of({"temperature": 0.01, "learning_rate": 0.5, "warmup_steps": 0, "max_grad_norm": 1e6})
    trainer.fit()
    assert trainer.objective.facts(trainer.train)["temperature"] >= 0.01
    no_decay = trainer.stateful.optimizer.param_groups[1]
    assert no_decay["weight_decay"] == 0.0
    assert any(parameter is trainer.objective.model.log_scale for parameter in no_decay["params"])


def test_a_missing_backbone_is_said_and_in_the_result(pair_trainer_of: Callable[..., Trainer]):
    trainer = pair_trainer_of({"pretrained": "auto", "backbone": "nobody/nothing"})
    assert "NOT PRETRAINED" in trainer.objective.notices[0]
    identity = trainer.objective.facts(trainer.train)["backbone"]
    assert (identity["pretrained"], identity["reason"]) == (False, "the pretrained weights were not at hand")
    with pytest.raises(SettingsInvalid, match="required"):
        pair_trainer_of({"pretrained": "required", "backbone": "nobody/nothing"})


def test_pairs_of_texts_that_are_not_there_are_refused(
    pair_trainer_of: Callable[..., Trainer], pair_records: Path, tmp_path: Path
):
    strange = tmp_path / "strange.jsonl"
    pairs = read_pairs(pair_records / "train_pairs.jsonl", limit=2)
    strange.write_bytes(b"".join(map(pair_line, [*pairs, TextPair("x", "nobody", pairs[0].anchor, "m", "g")])))
    texts = str(pair_records / "texts.jsonl")
    with pytest.raises(DataInvalid, match="nobody"):
        pair_trainer_of(train_data=str(strange), texts=texts)


def test_texts_of_another_tokenizer_are_refused(
    run_job: Callable[..., int],
    pair_document: Callable[..., dict[str, Any]],
    pair_records: Path,
    other_records: Path,
    tmp_path: Path,
):
    shutil.copytree(other_records / "tokenizer", tmp_path / "tokenizer")
    document = pair_document(tokenizer=str(tmp_path / "tokenizer"))
    assert run_job(document, "run") == EXIT_REFUSED
    assert "not the tokenizer that the model reads by" in (tmp_path / "run" / "outcome.json").read_text()


def test_what_a_run_left_is_read_as_data_only(
    run_job: Callable[..., int], pair_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    assert run_job(pair_document({"epochs": 1}), "run") == EXIT_DONE
    meta_path = tmp_path / "run" / "embeddings_meta.json"
    meta = json.loads(meta_path.read_bytes())
    meta_path.write_text(json.dumps({**meta, "format": "something else"}))
    with pytest.raises(SettingsInvalid, match="give a finished embeddings run"):
        trained_again(tmp_path / "run")
    meta_path.write_text(json.dumps({**meta, "embedding_dim": 9}))
    with pytest.raises(Exception, match="projection"):
        trained_again(tmp_path / "run")
