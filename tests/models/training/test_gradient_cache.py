"""The gradient cache: the gradient of one pass, dropout included, whatever is kept and however a step is cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from models.losses.info_nce import symmetric_info_nce
from models.training.gradient_cache import GradientCache
from models.training.trainer import LOSS, Trainer

RECORDS = np.array([3, 17, 7, 0, 22, 29, 13, 8, 30, 31])


def gradient_of(trainer: Trainer, budget: int) -> tuple[float, torch.Tensor]:
    trainer.gradients.clear()
    trainer.position.micro_budget = budget
    torch.manual_seed(11)
    trainer._backward(RECORDS)
    return float(trainer.gradients.extra[LOSS]), trainer.gradients.gradient.clone()


def plain_gradient(trainer: Trainer) -> tuple[float, torch.Tensor]:
    """All texts in one batch, one loss, one backward: no cache at all."""
    objective: Any = trainer.objective
    texts = trainer.train.step_texts(RECORDS)  # type: ignore[attr-defined]
    trainer.gradients.clear()
    embeddings = torch.cat(
        [
            objective.model(trainer.train.texts.batch(texts.text[texts.side == side]), side)  # type: ignore[attr-defined]
            for side in (0, 1)
        ]
    )
    match = torch.from_numpy(texts.match)
    losses = symmetric_info_nce(
        embeddings[:10], embeddings[10:], objective.model.log_scale.exp(), match_P=match[:10], match_T=match[10:]
    )
    losses.mean().backward()
    return losses.mean().item(), trainer.gradients.gradient.clone()


@pytest.mark.parametrize(
    "model",
    [{}, {"towers": "separate"}, {"small": {"hidden_dim": 16, "num_layers": 0, "num_heads": 2}}],
    ids=["shared", "separate", "embedding layer"],
)
def test_every_budget_gives_the_gradient_of_one_plain_pass(
    pair_trainer_of: Callable[..., Trainer], model: dict[str, Any]
):
    trainer = pair_trainer_of({**model, "dropout": 0.0})
    expected_loss, expected = plain_gradient(trainer)
    assert float(expected.abs().max()) > 1e-3
    for budget in (1, 150, 600, 10**6):
        loss, gradient = gradient_of(trainer, budget)
        assert loss == pytest.approx(expected_loss, abs=1e-6)
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
def test_reading_twice_gives_the_gradient_of_keeping_all_states_with_the_same_dropout(
    pair_trainer_of: Callable[..., Trainer], autocast: bool
):
    trainer = pair_trainer_of({"dropout": 0.3})
    objective: Any = trainer.objective
    texts = trainer.train.step_texts(RECORDS)  # type: ignore[attr-defined]
    parts = np.array_split(np.arange(len(texts.text)), 4)
    found = []
    for keeps_states in (True, False):
        trainer.gradients.clear()
        torch.manual_seed(5)

        def encode(rows: Any) -> torch.Tensor:
            return objective._embed(trainer.train.texts, texts.text[rows], 1)  # type: ignore[attr-defined,no-any-return]

        cache = GradientCache(encode, parts, keeps_states=keeps_states)
        embeddings = torch.zeros(len(texts.text), 8)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            cache.fill(embeddings)
            weights = torch.linspace(-1, 1, embeddings.numel()).view_as(embeddings)
            surrogates = cache.surrogates(weights)
            first = next(surrogates)
        first.backward()
        while True:
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                surrogate = next(surrogates, None)
            if surrogate is None:
                break
            surrogate.backward()
        found.append((embeddings, trainer.gradients.gradient.clone(), torch.get_rng_state()))
    assert torch.equal(found[0][0], found[1][0])
    assert float(found[0][1].abs().max()) > 1e-3
    torch.testing.assert_close(found[1][1], found[0][1], rtol=0, atol=1e-6)
    assert torch.equal(found[0][2], found[1][2])


def test_dropout_falls_differently_on_each_micro_batch(pair_trainer_of: Callable[..., Trainer]):
    trainer = pair_trainer_of({"dropout": 0.3})
    texts = trainer.train.texts  # type: ignore[attr-defined]
    rows = np.zeros(6, dtype=np.int64)
    cache = GradientCache(
        lambda part: trainer.objective._embed(texts, rows[part], 1),  # type: ignore[attr-defined]
        np.array_split(np.arange(6), 3),
        keeps_states=False,
    )
    embeddings = torch.zeros(6, 8)
    cache.fill(embeddings)
    assert len({tuple(row.tolist()) for row in embeddings}) == 6


def test_a_step_that_fits_is_read_once_and_one_that_does_not_twice(
    pair_trainer_of: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
):
    trainer = pair_trainer_of()
    objective: Any = trainer.objective
    read: list[int] = []
    embed = objective._embed
    monkeypatch.setattr(
        objective, "_embed", lambda texts, rows, side: (read.append(len(rows)), embed(texts, rows, side))[1]
    )
    num_texts = len(trainer.train.step_texts(RECORDS).text)  # type: ignore[attr-defined]
    gradient_of(trainer, 10**6)
    assert sum(read) == num_texts
    read.clear()
    gradient_of(trainer, 150)
    assert sum(read) == 2 * num_texts
