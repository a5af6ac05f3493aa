"""The transformer on the engine: windows, cuts, weights, what it refuses, and the model it leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from models.data import model_hub
from models.errors import EXIT_REFUSED, BuildDiffers, DataInvalid, NumericsError, SettingsInvalid, StoreUnavailable
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.jobs.execution import Execution, execute
from models.jobs.keys import run_key
from models.jobs.registry import parse_job
from models.settings.train import TrainSettings
from models.settings.transformer import TransformerSettings
from models.training.trainer import LOSS, Trainer
from models.training.transformer import TransformerObjective

SMALL = {"hidden_dim": 16, "num_layers": 2, "num_heads": 2, "feedforward_dim": 32}
TINY_TRANSFORMER = {
    "kind": "transformer",
    "pretrained": "off",
    "small": SMALL,
    "max_seq_len": 48,
    "learning_rate": 1e-3,
    "epochs": 2,
    "batch_size": 12,
    "token_budget": 400,
}
"""As the fixtures' own."""
RECORDS = np.array([3, 41, 7, 0, 22, 59, 13, 8, 30, 31, 32, 5])


def logits_of(trainer: Trainer, records: Any, budget: int) -> torch.Tensor:
    return trainer.objective.scores(trainer.train, np.asarray(records, dtype=np.int64), budget=budget)


def gradient_of(trainer: Trainer, budget: int) -> tuple[float, torch.Tensor]:
    trainer.gradients.clear()
    trainer.position.micro_budget = budget
    trainer._backward(RECORDS)
    return float(trainer.gradients.extra[LOSS]), trainer.gradients.gradient.clone()


WITH_DECODER = {"reads_with": "encoder_decoder", "pooling": "eos", "small": {**SMALL, "family": "t5"}}  # type: ignore[dict-item]
VARIANTS = [
    {"pooling": "cls"},
    {"pooling": "mean", "max_windows": 5},
    {"pooling": "attention", "max_windows": 3},
    {"small": {**SMALL, "family": "t5"}},  # type: ignore[dict-item]
    {"small": {**SMALL, "family": "t5"}, "max_windows": 2, "gradient_checkpointing": True},  # type: ignore[dict-item]
    {"pooling": "eos", "max_windows": 3},
    WITH_DECODER,
    {**WITH_DECODER, "max_windows": 2, "gradient_checkpointing": True},
]


@pytest.mark.parametrize("model", VARIANTS, ids=lambda model: ", ".join(map(str, model.values()))[:40])
def test_neither_scores_nor_gradient_depend_on_what_a_micro_batch_holds(
    token_trainer_of: Callable[..., Trainer], model: dict[str, Any]
):
    trainer = token_trainer_of({**model, "dropout": 0.0})
    alone = logits_of(trainer, RECORDS, budget=1)
    torch.testing.assert_close(logits_of(trainer, RECORDS, budget=10**6), alone, rtol=0, atol=1e-5)
    expected_loss, expected = gradient_of(trainer, 1)
    assert float(expected.abs().max()) > 1e-3
    for budget in (200, 10**6):
        loss, gradient = gradient_of(trainer, budget)
        assert loss == pytest.approx(expected_loss, abs=1e-6)
        torch.testing.assert_close(gradient, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("model", [{}, WITH_DECODER], ids=["encoder", "encoder and decoder"])
def test_checkpointed_activations_change_neither_loss_nor_gradient(
    token_trainer_of: Callable[..., Trainer], model: dict[str, Any]
):
    found = []
    for checkpointing in (False, True):
        trainer = token_trainer_of({**model, "gradient_checkpointing": checkpointing, "dropout": 0.2})
        torch.manual_seed(5)
        found.append(gradient_of(trainer, 400))
    assert found[0][0] == found[1][0]
    torch.testing.assert_close(found[0][1], found[1][1], rtol=0, atol=1e-7)


def test_logits_of_a_long_record_are_the_mean_over_its_windows(token_trainer_of: Callable[..., Trainer]):
    trainer = token_trainer_of({"max_windows": 9})
    store = trainer.train._store  # type: ignore[attr-defined]
    (record,) = np.flatnonzero(store.num_windows == store.num_windows.max())[:1]
    batch = store.batch(np.array([record]))
    assert len(batch.ids_WT) > 2
    model = trainer.objective.model.eval()
    with torch.no_grad():
        each = [model.head(model.backbone(input_ids=row[None]).last_hidden_state[:, 0]) for row in batch.ids_WT]  # type: ignore[operator,union-attr]
    torch.testing.assert_close(logits_of(trainer, [record], 10**6), torch.cat(each).mean(dim=0)[None])


def test_the_weights_of_records_are_in_the_loss(token_trainer_of: Callable[..., Trainer]):
    trainer = token_trainer_of({"dropout": 0.0})
    trainer.train.weights[:] = np.linspace(0.1, 3.0, len(trainer.train))
    loss, _ = gradient_of(trainer, 400)
    losses = functional.cross_entropy(
        logits_of(trainer, RECORDS, 400), torch.from_numpy(trainer.train.labels[RECORDS]).long(), reduction="none"
    )
    weights = torch.from_numpy(trainer.train.weights[RECORDS]).float()
    assert loss == pytest.approx(float((losses * weights).sum() / weights.sum()), abs=1e-6)


def test_a_step_takes_exactly_batch_size_records_whatever_the_budget(token_trainer_of: Callable[..., Trainer]):
    digests = set()
    for budget in (1, 400, 10**6):
        trainer = token_trainer_of({"token_budget": budget})
        sizes, step = [], trainer.step

        def counting(records: Any, sizes: list[int] = sizes, step: Any = step) -> tuple[bool, bool]:
            sizes.append(len(records))
            return step(records)

        trainer.step = counting  # type: ignore[method-assign]
        digests.add(tuple(trainer.fit().sample_digests))
        assert set(sizes[: len(sizes) // 2 - 1]) == {12}
    assert len(digests) == 1


def test_a_loss_that_is_no_number_names_step_records_and_the_last_good_checkpoint(
    token_trainer_of: Callable[..., Trainer],
):
    trainer = token_trainer_of(checkpoints={"every_steps": 2})
    loss_sum = trainer.objective.loss_sum

    def spoiled(examples: Any, records: Any) -> torch.Tensor:
        return loss_sum(examples, records) * (float("nan") if trainer.position.step == 3 else 1.0)

    trainer.objective.loss_sum = spoiled  # type: ignore[method-assign]
    with pytest.raises(NumericsError) as refused:
        trainer.fit()
    message = str(refused.value)
    assert "at step 3" in message
    assert all(name in message for name in refused.value.record_ids)
    assert len(refused.value.record_ids) == 12
    assert refused.value.checkpoint is not None
    assert refused.value.checkpoint in message
    assert "step-" in refused.value.checkpoint
    head = json.loads((trainer.context.run_path / "checkpoints" / "head.json").read_text())
    assert head["newest"] == refused.value.checkpoint


def objective_on(path: Path, **changes: Any) -> TransformerObjective:
    context = JobContext(path, path, EventStream(None))
    model = TransformerSettings(**(TINY_TRANSFORMER | changes))
    settings = TrainSettings(train_data=path / "train.jsonl", val_data=path / "valid.jsonl", model=model)
    return TransformerObjective.untrained(settings, context)


def test_auto_without_weights_trains_the_small_encoder_and_says_so_loudly(
    token_document: Callable[..., dict[str, Any]], tmp_path: Path
):
    model = {"pretrained": "auto", "backbone": "nobody/has-this", "epochs": 1}
    assert execute(Execution(parse_job(json.dumps(token_document(model))), tmp_path / "run", tmp_path)) == 0
    told = [json.loads(line) for line in (tmp_path / "run" / "progress.jsonl").read_text().splitlines()]
    (warning,) = [event for event in told if event.get("level") == "warning"]
    assert "NOT PRETRAINED" in warning["message"]
    assert "nobody/has-this" in warning["message"]
    backbone = json.loads((tmp_path / "run" / "result.json").read_text())["numbers"]["backbone"]
    assert backbone["pretrained"] is False
    assert backbone["reason"] == "the pretrained weights were not at hand"  # hashed: no path, no words of a network
    build = json.loads((tmp_path / "run" / "build.json").read_text())
    assert build["machine"]["backbone"] == backbone["identity"] == "small roberta, trained from nothing"


def test_required_without_weights_is_refused_with_the_remedy(
    token_document: Callable[..., dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    job = parse_job(json.dumps(token_document({"pretrained": "required", "backbone": "nobody/has-this"})))
    assert execute(Execution(job, tmp_path / "run", tmp_path)) == EXIT_REFUSED
    message = capsys.readouterr().err
    assert "nobody/has-this" in message
    assert "allow-network" in message or "allow_network" in message
    assert "Traceback" not in message


def test_records_without_their_tokenizer_are_refused(token_records: Path, tmp_path: Path):
    shutil.copy2(token_records / "train.jsonl", tmp_path)
    with pytest.raises(SettingsInvalid, match=r"no tokenizer at .* in the folder where the preprocess job wrote them"):
        objective_on(tmp_path)


def test_a_record_without_its_special_tokens_is_refused(token_records: Path, tmp_path: Path):
    shutil.copytree(token_records / "tokenizer", tmp_path / "tokenizer")
    lines = (token_records / "train.jsonl").read_text().splitlines()
    spoiled = json.loads(lines[0])
    spoiled["tokens"] = spoiled["tokens"][1:]
    (tmp_path / "train.jsonl").write_text("\n".join([*lines[1:], json.dumps(spoiled)]) + "\n")
    objective = objective_on(tmp_path)
    with pytest.raises(DataInvalid, match=f"{spoiled['id']} does not begin and end as the tokenizer"):
        objective.load(tmp_path / "train.jsonl", limit=None)


def test_records_of_another_tokenizer_are_refused_in_training(
    token_document: Callable[..., dict[str, Any]],
    other_records: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    job = parse_job(json.dumps(token_document(val_data=str(other_records / "valid.jsonl"))))
    assert execute(Execution(job, tmp_path / "run", tmp_path)) == EXIT_REFUSED
    assert "preprocess all splits in one run" in capsys.readouterr().err


def test_the_tokenizer_beside_the_records_is_part_of_the_question(
    token_document: Callable[..., dict[str, Any]], token_records: Path, tmp_path: Path
):
    shutil.copytree(token_records, tmp_path / "copy")
    document = token_document() | {"train_data": str(tmp_path / "copy" / "train.jsonl")}
    keys = [run_key(parse_job(json.dumps(token_document()))), run_key(parse_job(json.dumps(document)))]
    for name in ("tokenizer.json", "reading.json"):
        path = tmp_path / "copy" / "tokenizer" / name
        path.write_text(path.read_text().replace("}", "} ", 1))
        keys.append(run_key(parse_job(json.dumps(document))))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_what_was_not_planned_is_not_trained(token_document: Callable[..., dict[str, Any]], tmp_path: Path):
    """Weights that came to hand between naming a run and beginning it do not change what it is."""
    (tmp_path / "build.json").write_text(json.dumps({"machine": {"backbone": "nobody/has-this@" + "a" * 40}}))
    settings = TrainSettings.model_validate(token_document())
    with pytest.raises(BuildDiffers, match=r"nobody/has-this@a+ then, small roberta, trained from nothing now"):
        TransformerObjective.untrained(settings, JobContext(tmp_path, tmp_path, EventStream(None)))


def test_the_state_of_the_last_token_needs_a_tokenizer_that_ends_texts(token_records: Path, tmp_path: Path):
    shutil.copytree(token_records / "tokenizer", tmp_path / "tokenizer")
    path = tmp_path / "tokenizer" / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "post_processor": None}))
    objective_on(tmp_path)
    with pytest.raises(SettingsInvalid, match=r"pooling eos: the tokenizer in .* puts no token behind a text"):
        objective_on(tmp_path, pooling="eos")


def test_ids_beyond_the_vocabulary_are_refused(token_records: Path, tmp_path: Path):
    shutil.copytree(token_records / "tokenizer", tmp_path / "tokenizer")
    record = json.loads((token_records / "train.jsonl").read_text().splitlines()[0])
    record["tokens"][1] = 4000
    (tmp_path / "train.jsonl").write_text(json.dumps(record) + "\n")
    objective = objective_on(tmp_path)
    with pytest.raises(DataInvalid, match=r"token id 4000 is beyond the backbone's vocabulary of \d+; preprocess with"):
        objective.load(tmp_path / "train.jsonl", limit=None)


def test_equal_runs_elsewhere_give_equal_bytes_the_card_included(
    token_document: Callable[..., dict[str, Any]], token_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Other folders, another cache, a hub that does not answer, other intervals: none of it decides."""

    def silent(hub: Any, name: str, commit: str) -> list[str]:
        raise StoreUnavailable(f"the hub does not answer for {name}")

    monkeypatch.setattr(model_hub.ModelHub, "file_names", silent)
    shutil.copytree(token_records, tmp_path / "elsewhere")
    one = token_document({"epochs": 1, "pretrained": "auto", "backbone": "nobody/has-this", "revision": "a" * 40})
    other = {
        **one,
        "train_data": str(tmp_path / "elsewhere" / "train.jsonl"),
        "val_data": str(tmp_path / "elsewhere" / "valid.jsonl"),
        "model": one["model"] | {"allow_network": True},
        "checkpoints": {"every_steps": 1},
    }
    for name, job in (("one", one), ("other", other)):
        assert execute(Execution(parse_job(json.dumps(job)), tmp_path / name, tmp_path)) == 0
    manifests = [json.loads((tmp_path / name / "manifest.json").read_text())["files"] for name in ("one", "other")]
    assert manifests[0] == manifests[1]
    told = [(tmp_path / name / "progress.jsonl").read_text() for name in ("one", "other")]
    assert "in the local cache" in told[0]
    assert "does not answer" in told[1]
