from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.errors import Interrupted, NumericsError
from models.store.remote_checkpoints import Upload
from models.store.uploader import Uploader
from models.training import checkpointing as checkpointing_module
from models.training import job as job_module
from models.training import trainer as trainer_module
from models.training.gnn import GraphObjective
from models.training.order import Indices
from models.training.trainer import LOSS, Trainer

NO_DROPOUT = {"dropout": 0.0}
RECORDS = np.array([3, 41, 7, 0, 22, 59, 13, 8, 30, 31, 32, 5])


def gradient_of(trainer: Trainer, budget: int) -> tuple[float, Tensor]:
    trainer.gradients.clear()
    trainer.position.micro_budget = budget
    trainer._backward(RECORDS)
    return float(trainer.gradients.extra[LOSS]), trainer.gradients.gradient.clone()


@pytest.mark.parametrize("architecture", ["gcn", "typed"])
def test_the_cut_into_micro_batches_changes_neither_loss_nor_gradient(
    trainer_of: Callable[..., Trainer], architecture: str
):
    trainer = trainer_of({**NO_DROPOUT, "architecture": architecture})
    expected_loss, expected = gradient_of(trainer, 10**9)
    for budget in (1, 50, 100, 300):
        loss, gradient = gradient_of(trainer, budget)
        assert loss == pytest.approx(expected_loss, abs=1e-6)
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-6)


def test_the_loss_of_a_step_is_the_mean_weighted_by_the_records_weights(trainer_of: Callable[..., Trainer]):
    trainer = trainer_of(NO_DROPOUT)
    trainer.train.weights[:] = np.linspace(0.1, 3.0, len(trainer.train))
    loss, gradient = gradient_of(trainer, 100)
    logits = trainer.objective.logits(trainer.train, RECORDS)  # type: ignore[attr-defined]
    losses = functional.cross_entropy(logits, torch.from_numpy(trainer.train.labels[RECORDS]).long(), reduction="none")
    weights = torch.from_numpy(trainer.train.weights[RECORDS]).float()
    expected = (losses * weights).sum() / weights.sum()
    assert loss == pytest.approx(float(expected.detach()), abs=1e-6)
    by_autograd = torch.autograd.grad(expected, trainer.gradients.parameters)
    torch.testing.assert_close(gradient, torch.cat([part.flatten() for part in by_autograd]), rtol=0, atol=1e-6)


def test_neither_one_weight_for_all_nor_the_scale_of_weights_changes_a_step(trainer_of: Callable[..., Trainer]):
    trainer = trainer_of(NO_DROPOUT)
    plain = gradient_of(trainer, 100)
    trainer.train.weights[:] = 0.2
    torch.testing.assert_close(gradient_of(trainer, 100), plain, rtol=0, atol=1e-6)
    trainer.train.weights[:] = np.linspace(0.1, 3.0, len(trainer.train))
    weighted = gradient_of(trainer, 100)
    trainer.train.weights[:] /= trainer.train.weights.mean()
    torch.testing.assert_close(gradient_of(trainer, 100), weighted, rtol=0, atol=1e-6)
    assert not torch.allclose(weighted[1], plain[1], rtol=0, atol=1e-6)


def test_the_largest_record_drawn_again_and_again_is_tried_before_the_first_step(
    trainer_of: Callable[..., Trainer], write_weights: Callable[..., Path], records_path: Path
):
    weights = write_weights(records_path / "train.jsonl", lambda number: 1.0 + number)
    tried: list[Indices] = []
    loss_sum = GraphObjective.loss_sum
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GraphObjective, "loss_sum", lambda self, e, r: (tried.append(r), loss_sum(self, e, r))[1])
        trainer = trainer_of({"node_budget": 10**6}, weights=str(weights), weighting="sampling")
    assert [records.tolist() for records in tried] == [[int(trainer.train.sizes.argmax())] * 12]


def test_the_budget_changes_no_record_of_any_step(trainer_of: Callable[..., Trainer]):
    digests = []
    for budget in (50, 300):
        trainer = trainer_of({"node_budget": budget}, folder=f"run-{budget}")
        digests.append(trainer.fit().sample_digests)
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 3


def test_a_step_takes_exactly_batch_size_records_and_the_last_what_is_left(trainer_of: Callable[..., Trainer]):
    trainer = trainer_of({"batch_size": 25, "epochs": 1})
    sizes, step = [], trainer.step

    def counting(records: Indices) -> tuple[bool, bool]:
        sizes.append(len(records))
        return step(records)

    trainer.step = counting  # type: ignore[method-assign]
    trainer.fit()
    assert sizes == [25, 25, 10]


@pytest.mark.parametrize(
    ("what", "spoil"),
    [
        ("loss", lambda loss: loss * float("nan")),
        ("gradient", lambda loss: loss + (loss - loss.detach()).clamp(min=0).sqrt()),
    ],
)
def test_numbers_that_are_none_end_training_and_leave_the_last_checkpoint(
    trainer_of: Callable[..., Trainer], what: str, spoil: Callable[[Tensor], Tensor]
):
    trainer = trainer_of(checkpoints={"every_steps": 1})
    loss_sum = trainer.objective.loss_sum

    def spoilt_from_the_third_step(examples: Any, records: Indices) -> Tensor:
        loss = loss_sum(examples, records)
        return spoil(loss) if trainer.position.step >= 3 else loss

    trainer.objective.loss_sum = spoilt_from_the_third_step  # type: ignore[method-assign]
    with pytest.raises(NumericsError) as caught:
        trainer.fit()
    assert (caught.value.what, caught.value.step) == (what, 3)
    assert len(caught.value.record_ids) == 12
    assert set(caught.value.record_ids) <= set(trainer.train.ids)
    resumed = trainer_of()
    assert resumed.position.step == 3
    assert all(torch.isfinite(parameter).all() for parameter in resumed.objective.model.parameters())


def test_a_step_of_weightless_records_is_refused_with_their_names(trainer_of: Callable[..., Trainer]):
    trainer = trainer_of()
    trainer.train.weights[:] = 0.0
    before = [parameter.detach().clone() for parameter in trainer.objective.model.parameters()]
    with pytest.raises(NumericsError, match="a total weight of 0 is not finite at step 0") as caught:
        trainer.fit()
    assert len(caught.value.record_ids) == 12
    assert set(caught.value.record_ids) <= set(trainer.train.ids)
    for parameter, was in zip(trainer.objective.model.parameters(), before, strict=True):
        assert torch.equal(parameter, was)


def test_scores_are_cut_by_the_budget_that_fitted_also_after_a_resume(
    trainer_of: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(job_module, "fitting_budget", lambda try_step, budget, smallest: budget // 4)
    trainer = trainer_of({"epochs": 1})
    assert trainer.position.micro_budget == 75
    trainer.fit()
    cut = []
    trainer.objective.logits = lambda examples, part: cut.append(part) or torch.zeros(len(part), 2)  # type: ignore
    resumed = trainer_of({"epochs": 1})
    assert resumed.position.micro_budget == 75
    trainer.evaluate()
    assert all(trainer.val.sizes[part].sum() <= 75 for part in cut)
    assert sum(len(part) for part in cut) == len(trainer.val)


def scripted(trainer: Trainer, scores: list[float]) -> Trainer:
    """The trainer with validation scores that are given."""
    coming = iter(scores)
    trainer.objective.metrics = lambda examples, scores: {"selection": next(coming)}  # type: ignore[method-assign]
    return trainer


def test_training_stops_early_and_remembers_the_best(trainer_of: Callable[..., Trainer]):
    trainer = trainer_of({"epochs": 50, "early_stopping_patience": 2})
    position = scripted(trainer, [0.2, 0.5, 0.4, 0.5, 0.9]).fit()
    assert (position.epoch, position.stop_reason) == (4, "early stopping")
    assert (position.best_score, position.best_step) == (0.5, 10)


def test_what_is_better_by_less_than_delta_is_not_better(trainer_of: Callable[..., Trainer]):
    trainer = trainer_of({"epochs": 50, "early_stopping_patience": 2, "early_stopping_delta": 0.05})
    assert scripted(trainer, [0.5, 0.54, 0.55, 0.9]).fit().best_step == 5


def test_training_that_gets_better_runs_all_epochs(trainer_of: Callable[..., Trainer]):
    position = scripted(trainer_of({"early_stopping_patience": 1}), [0.1, 0.2, 0.3]).fit()
    assert (position.epoch, position.stop_reason, position.best_step) == (3, "all epochs done", 15)


def test_the_learning_rate_falls_where_the_score_stands_still(trainer_of: Callable[..., Trainer]):
    trainer = trainer_of({"epochs": 5, "learning_rate": 0.01, "plateau_patience": 1, "plateau_factor": 0.1})
    history = scripted(trainer, [0.5, 0.5, 0.5, 0.6, 0.5]).fit().history
    assert [entry["learning_rate"] for entry in history] == pytest.approx([0.01, 0.01, 0.01, 0.001, 0.001])


def test_history_holds_measurements_and_no_clock(trainer_of: Callable[..., Trainer]):
    history = trainer_of().fit().history
    measured = {"loss", "accuracy", "precision", "recall", "f1_vulnerable"}
    for entry in history:
        assert entry.keys() == {"epoch", "step", "train_loss", "learning_rate", *(f"val_{name}" for name in measured)}


def test_training_learns_what_the_records_show(trainer_of: Callable[..., Trainer]):
    settings = {**NO_DROPOUT, "epochs": 15, "learning_rate": 0.01, "plateau_patience": 50, "hidden_dim": 32}
    history = trainer_of(settings).fit().history
    assert history[-1]["train_loss"] < 0.6 * history[0]["train_loss"]
    assert max(entry["val_accuracy"] for entry in history) > 0.7


def test_the_parts_of_an_evaluation_are_put_together_in_the_order_of_the_records(trainer_of: Callable[..., Trainer]):
    trainer = trainer_of()
    everything = np.arange(len(trainer.val))
    together = trainer.objective.scores(trainer.val, everything, budget=300)
    alone = torch.cat([trainer.objective.scores(trainer.val, everything[at : at + 1], budget=1) for at in everything])
    torch.testing.assert_close(together, alone)
    assert trainer.objective.model.training


def test_the_mid_step_point_is_reached_between_backward_and_update(
    trainer_of: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
):
    trainer = trainer_of({"epochs": 1})
    seen = []

    def reached(point: str) -> None:
        seen.append((point, trainer.position.step, bool(trainer.gradients.gradient.any())))

    monkeypatch.setattr(trainer_module, "reached", reached)
    trainer.fit()
    assert seen == [("mid-step", step, True) for step in range(5)] + [("evaluation", 5, True)]


def test_steps_are_told_with_what_people_ask_for(trainer_of: Callable[..., Trainer]):
    trainer = trainer_of({"epochs": 1})
    trainer.fit()
    lines = (trainer.context.run_path / "progress.jsonl").read_text().splitlines()
    steps = [event for event in map(json.loads, lines) if event["event"] == "step"]
    assert [event["step"] for event in steps] == [1, 2, 3, 4, 5]
    assert steps[0].keys() == {"event", "time", "step", "num_steps", "epoch", "loss", "samples_per_second"}
    assert {event["num_steps"] for event in steps} == {5}


def with_scaled_losses(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """As in fp16 training; gives the rates at which the optimiser's steps were asked for."""
    trainer.stateful.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
    rates: list[float] = []
    after_step = trainer.stateful.schedule.after_step
    monkeypatch.setattr(trainer.stateful.schedule, "after_step", lambda: (rates.append(1.0), after_step()))
    return rates


def test_a_scaled_gradient_that_overflows_costs_its_step_and_is_counted(
    trainer_of: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
):
    trainer = trainer_of({"epochs": 1})
    scheduled = with_scaled_losses(trainer, monkeypatch)
    loss_sum = trainer.objective.loss_sum

    def overflowing(examples: Any, records: Indices) -> Tensor:
        loss = loss_sum(examples, records)
        if trainer.position.step == 2:
            loss.register_hook(lambda gradient: gradient * float("inf"))
        return loss

    trainer.objective.loss_sum = overflowing  # type: ignore[method-assign]
    trainer.fit()
    assert trainer.position.num_skipped_steps == 1
    assert trainer.position.step == 5
    assert len(scheduled) == 4  # the learning rate moves with the steps that were made
    assert trainer.stateful.scaler is not None
    assert trainer.stateful.scaler.get_scale() == 2.0**3
    assert all(torch.isfinite(parameter).all() for parameter in trainer.objective.model.parameters())


def test_a_gradient_that_is_no_number_at_any_scale_ends_training(
    trainer_of: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
):
    trainer = trainer_of({"epochs": 3})
    with_scaled_losses(trainer, monkeypatch)
    loss_sum = trainer.objective.loss_sum

    def broken(examples: Any, records: Indices) -> Tensor:
        loss = loss_sum(examples, records)
        loss.register_hook(lambda gradient: gradient * float("nan"))
        return loss

    trainer.objective.loss_sum = broken  # type: ignore[method-assign]
    with pytest.raises(NumericsError, match="gradient is not finite at step 4"):
        trainer.fit()


def test_a_stop_during_an_evaluation_costs_no_further_step_and_no_second_save(
    trainer_of: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
):
    trainer = trainer_of(checkpoints={"every_steps": None})
    asked: list[bool] = []
    trainer.context = replace(trainer.context, stop_requested=lambda: bool(asked))
    monkeypatch.setattr(trainer_module, "reached", lambda point: asked.append(True) if point == "evaluation" else None)
    with pytest.raises(Interrupted) as caught:
        trainer.fit()
    assert (caught.value.step, trainer.checkpointing.num_saved) == (5, 1)
    assert trainer_of().position.epoch == 1


def test_the_last_upload_has_what_is_left_of_the_notice(
    trainer_of: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
):
    trainer = trainer_of()
    given: list[float] = []
    monkeypatch.setattr(trainer.checkpointing, "settle", lambda seconds: bool(given.append(seconds)))
    for since_seconds in (6.0, 1e6):
        trainer.context = replace(trainer.context, notice_seconds=100.0, seconds_since_stop=lambda at=since_seconds: at)
        with pytest.raises(Interrupted):
            trainer.leave()
    assert given == [pytest.approx(74.0), 0.0]


def test_an_upload_that_takes_too_long_is_said_once_and_not_waited_for_again(
    trainer_of: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checkpointing_module, "CLOSE_SECONDS", 0.0)
    trainer = trainer_of({"epochs": 1}, checkpoints={"every_steps": 1, "overlap_steps": 1})
    stuck = Uploader(lambda _: threading.Event().wait())
    stuck.offer(Upload("step-000000001-a1", -1, None, 0))
    trainer.checkpointing._mirrored = SimpleNamespace(  # type: ignore[assignment]
        uploads=stuck, problem=None, settle=lambda *_: True
    )
    trainer.fit()
    said = (trainer.context.run_path / "progress.jsonl").read_text()
    assert said.count("training goes on ahead of it") == 1
